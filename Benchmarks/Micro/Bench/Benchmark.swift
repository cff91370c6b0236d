import CMeasuring

/// A hot path and how it is measured: a fixed number of operations, again and again, whose result is known.
struct Benchmark: Sendable {
    /// `path/variant`.
    let name: String
    /// In each round.
    let operations: Int
    /// How many webhooks there are, where that makes a difference.
    let webhooks: Int
    /// Makes what the operations work on, and calls what it is given with it, once, on this thread.
    let prepare: @Sendable (_ use: @escaping (Work) -> Void) throws -> Void

    init(
        _ name: String, operations: Int, webhooks: Int = 0,
        preparing prepare: @escaping @Sendable (@escaping (Work) -> Void) throws -> Void
    ) {
        self.name = name
        self.operations = operations
        self.webhooks = webhooks
        self.prepare = prepare
    }

    init(
        _ name: String, operations: Int, webhooks: Int = 0, _ make: @escaping @Sendable () throws -> Work
    ) {
        self.init(name, operations: operations, webhooks: webhooks, preparing: { use in use(try make()) })
    }

    struct Work {
        /// Does so many operations and returns what all their results add up to.
        let run: (Int) -> UInt64
        /// What `run` must return.
        let expected: (Int) -> UInt64
    }

    struct WrongResult: Error, CustomStringConvertible {
        let description: String
    }

    static var all: [Benchmark] {
        eventBenchmarks + recordBenchmarks + historyBenchmarks + routingBenchmarks + signingBenchmarks
            + settlingBenchmarks
            + decisionBenchmarks + retryIndexBenchmarks + metricBenchmarks
    }

    /// The median of `rounds`, after one that is not counted.
    func measure(rounds: Int) throws -> Measurement {
        let before = Int(measuring_heap_bytes())
        var result: Result<Measurement, any Error>?
        try prepare { work in
            let kept = Int(measuring_heap_bytes()) - before
            result = Result { try measure(work, rounds, keptBytes: max(0, kept)) }
        }
        guard let result else { throw WrongResult(description: "\(name): it was not run") }
        return try result.get()
    }

    private func measure(_ work: Work, _ rounds: Int, keptBytes: Int) throws -> Measurement {
        var (times, counts, bytes): ([Double], [Double], [Double]) = ([], [], [])
        for round in 0...rounds {
            let allocated = measuring_of_thread()
            let began = measuring_cpu_ns()
            let result = work.run(operations)
            let spent = measuring_cpu_ns() - began
            let allocatedNow = measuring_of_thread()
            guard result == work.expected(operations) else {
                throw WrongResult(description: "\(name): \(result) instead of \(work.expected(operations))")
            }
            guard round > 0 else { continue }
            times.append(Double(spent) / Double(operations))
            counts.append(Double(allocatedNow.count - allocated.count) / Double(operations))
            bytes.append(Double(allocatedNow.bytes - allocated.bytes) / Double(operations))
        }
        return Measurement(
            name: name, operations: operations, nanoseconds: Self.median(times), allocations: Self.median(counts),
            allocatedBytes: Self.median(bytes), keptBytes: keptBytes)
    }

    private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

/// What one operation takes.
struct Measurement: Sendable {
    let name: String
    let operations: Int
    /// CPU time of the thread.
    let nanoseconds: Double
    let allocations: Double
    let allocatedBytes: Double
    /// Memory of what the operations work on.
    let keptBytes: Int

    /// What is allocated once for a round, such as a scanner's memory, vanishes in this.
    var roundedAllocations: Double { (allocations * 100).rounded() / 100 }
}
