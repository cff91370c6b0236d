public import Records

/// Finds deliveries of one source partition that have more than one outcome for the same record. Remembers the last `capacity` of them,
/// by a 64-bit hash: among a hundred million the chance of one mistake is one in three thousand. One thread at a time.
public struct RepeatFinder: Sendable {
    /// How the second outcome differs from the one that came first.
    public enum Repeat: Equatable, Sendable {
        /// It is the same one, appended twice by a producer that did not learn of the first time. Nothing was sent twice.
        case sameOutcome
        /// Another request was made, or the delivery was put off or closed a second time: an owner of the partition did not know of the first one.
        case anotherOutcome
    }

    private let capacity: Int
    private var requests: [UInt64: UInt64] = [:]
    private var order: [UInt64] = []
    private var oldest = 0

    public init(capacity: Int = .max) { self.capacity = capacity }

    /// nil for the first outcome of its delivery's record, and for one that covers offsets.
    public mutating func learn(_ outcome: Outcome) -> Repeat? {
        guard outcome.kind != .covered else { return nil }
        var hash = SipHash128(key0: 0x746c_6572_7472_616d, key1: 0x7265_6765_646c_6572)
        hash.update(outcome.sourceTopic)
        hash.update(outcome.sourceOffset)
        hash.update(outcome.sourceTimestampMs)
        hash.update(outcome.webhookID)
        let key = hash.finish().0
        if let known = requests[key] { return known == outcome.requestID ? .sameOutcome : .anotherOutcome }
        remember(key, outcome.requestID)
        return nil
    }

    private mutating func remember(_ key: UInt64, _ request: UInt64) {
        requests[key] = request
        guard capacity < .max else { return }
        if order.count < capacity {
            order.append(key)
        } else {
            requests[order[oldest]] = nil
            order[oldest] = key
            oldest = (oldest + 1) % capacity
        }
    }
}
