import JSONScanning
import Metrics

/// Which deliveries have arrived, and how long each took. A delivery is one event for one of the webhooks that match it.
struct Arrivals {
    /// Deliveries of a run have numbers: event × fan-out + the webhook's place in it.
    private var seen: [UInt64] = []
    private let run: Int
    private let fanOut: Int
    private(set) var delivered = 0
    private(set) var duplicates = 0
    /// Answered otherwise than with 200, on purpose.
    var refused = 0
    /// Without the numbers that the generator writes, or of another run.
    var foreign = 0
    /// Nanoseconds from when the event was due to be sent until its delivery was there. First arrivals only.
    private(set) var latency = HdrHistogram()
    /// Of the webhooks that were told to misbehave, apart, so that they do not hide what the others have.
    private(set) var latencyOfOthers = HdrHistogram()
    private(set) var lastArrival: UInt64 = 0

    init(run: Int, fanOut: Int) {
        self.run = run
        self.fanOut = fanOut
    }

    /// - Parameters:
    ///   - due: monotonic nanoseconds, as written into the event.
    ///   - isBystander: whether the webhook behaves.
    mutating func arrived(run: Int, event: Int, hook: Int, due: UInt64, now: UInt64, isBystander: Bool) {
        guard run == self.run else {
            foreign += 1
            return
        }
        let delivery = event * fanOut + hook % fanOut
        let word = delivery >> 6
        if word >= seen.count {
            seen.append(contentsOf: repeatElement(0, count: max(word + 1, seen.count * 2) - seen.count))
        }
        let bit: UInt64 = 1 << UInt64(delivery & 63)
        guard seen[word] & bit == 0 else {
            duplicates += 1
            return
        }
        seen[word] |= bit
        delivered += 1
        lastArrival = now
        let nanoseconds = Int(max(now, due) - due)
        if isBystander { latency.record(nanoseconds) } else { latencyOfOthers.record(nanoseconds) }
    }

    /// Events of `range` of which a delivery has not arrived, `limit` at most.
    func missing(in range: Range<Int>, limit: Int) -> [Int] {
        var found: [Int] = []
        for event in range where found.count < limit {
            let deliveries = event * fanOut..<(event + 1) * fanOut
            let isComplete = deliveries.allSatisfy { delivery in
                delivery >> 6 < seen.count && seen[delivery >> 6] & (1 << UInt64(delivery & 63)) != 0
            }
            if !isComplete { found.append(event) }
        }
        return found
    }

    func write(to writer: inout JSONWriter) {
        writer.member("delivered", delivered)
        writer.member("duplicates", duplicates)
        writer.member("refused", refused)
        writer.member("foreign", foreign)
        writer.member("last_arrival", lastArrival)
        writer.key("latency")
        latency.write(to: &writer)
        writer.key("latency_of_misbehaving")
        latencyOfOthers.write(to: &writer)
    }
}
