public import Records

/// What `attempts` tells a new owner about one source partition: which deliveries are settled, though their offsets lie at or
/// above the committed one.
public struct SourceMemory: Sendable {
    private struct Settled: Hashable {
        var offset: Int64
        var timestamp: Int64
        var webhook: String
    }

    private let topic: String
    private let partition: Int32
    private let committed: Int64
    private var settled: Set<Settled> = []
    /// Per offset, the fan-outs that its outcomes name.
    private var fanOuts: [Int64: Set<UInt32>] = [:]
    /// The highest source offset that any outcome named; −1 where none did.
    public private(set) var highest: Int64 = -1

    /// - Parameter committed: what lies below is settled and not remembered.
    public init(topic: String, partition: Int32, committed: Int64) {
        self.topic = topic
        self.partition = partition
        self.committed = committed
    }

    public var isEmpty: Bool { highest < 0 }

    /// Takes one record of `attempts`, in any order; those about other sources are ignored.
    public mutating func learn(_ outcome: Outcome) {
        guard outcome.sourceTopic == topic, outcome.sourcePartition == partition else { return }
        if outcome.kind == .covered {
            for span in outcome.spans { highest = max(highest, span.last) }
            return
        }
        highest = max(highest, outcome.sourceOffset)
        guard outcome.sourceOffset >= committed else { return }
        settled.insert(
            Settled(
                offset: outcome.sourceOffset, timestamp: outcome.sourceTimestampMs, webhook: outcome.webhookID))
        fanOuts[outcome.sourceOffset, default: []].insert(outcome.fanOut)
    }

    /// Whether the outcome of this delivery is in `attempts`.
    public func holds(offset: Int64, timestamp: Int64, webhook: String) -> Bool {
        guard offset <= highest else { return false }
        return settled.contains(Settled(offset: offset, timestamp: timestamp, webhook: webhook))
    }

    /// Whether the offset's outcomes name another fan-out than `fanOut`: the webhooks changed between two owners.
    func wasRoutedOtherwise(offset: Int64, fanOut: UInt32) -> Bool {
        guard offset <= highest, let known = fanOuts[offset] else { return false }
        return known != [fanOut]
    }
}
