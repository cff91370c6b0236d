import JSONScanning

/// What the generator sends, and when. Events are numbered from `firstNumber` on; every number is sent once.
struct LoadPlan: Equatable, Sendable {
    /// A constant rate for a while.
    struct Step: Equatable, Sendable {
        /// Events a second (not requests, where they come in batches).
        var rate: Double
        var seconds: Double
    }

    var port: UInt16 = 8082
    var steps: [Step] = [Step(rate: 1_000, seconds: 10)]
    /// At most so many connections, each with one request under way.
    var connections = 1_024
    /// Length of an event's JSON as it is sent.
    var eventBytes = 500
    /// Events of a request; more than 1 goes to `/events/batch`.
    var batch = 1
    /// Whether events carry ids of their own, which ingestion then looks up.
    var hasIDs = true
    /// Event types, taken in turn: `bench.t000000`, …
    var types = 1
    /// Told to the receiver, so that it does not count what belongs to another run.
    var run = 0
    var firstNumber = 0
    /// How long answers are awaited after the last event.
    var drainSeconds = 15.0

    var seconds: Double { steps.reduce(0) { $0 + $1.seconds } }
    var events: Int { steps.reduce(0) { $0 + Int(($1.rate * $1.seconds).rounded()) } }

    /// The type that an event has.
    static func type(_ index: Int) -> String { "bench.t" + padded(index, 6) }
}

/// Zeros in front.
func padded(_ number: Int, _ width: Int) -> String {
    let digits = "\(number)"
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// When each request is due: open loop, so a late one does not move those after it, and its latency counts from when it was due.
struct Schedule {
    /// The first event of a step, and when it is due in nanoseconds since the start.
    private struct Part {
        var first: Int
        var start: Double
        var interval: Double
        var end: Int
    }
    private var parts: [Part] = []
    /// Requests, each of `batch` events.
    let requests: Int

    init(_ plan: LoadPlan) {
        var first = 0
        var start = 0.0
        for step in plan.steps {
            let count = Int((step.rate * step.seconds).rounded()) / plan.batch
            parts.append(
                Part(first: first, start: start, interval: 1e9 * Double(plan.batch) / step.rate, end: first + count))
            first += count
            start += step.seconds * 1e9
        }
        requests = first
    }

    private var current = 0

    /// Nanoseconds since the start. Requests are asked for in order.
    mutating func due(_ request: Int) -> UInt64 {
        while request >= parts[current].end, current < parts.count - 1 { current += 1 }
        let part = parts[current]
        return UInt64(part.start + part.interval * Double(request - part.first))
    }
}
