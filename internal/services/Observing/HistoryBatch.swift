internal import Records
internal import WireFormat

/// One record of `attempts` that leaves a trace in the database. An object, because it goes from list to list and holds ten texts.
final class HistoryEntry: Sendable {
    enum Content: Sendable {
        /// - Parameter at: The time that decides where its row lies, in milliseconds since 1970; nil where it is older than
        ///   what is kept: then it only changes which deliveries are open.
        case outcome(Outcome, at: Int64?)
        /// Not an outcome. Set aside with the reason.
        case unreadable([UInt8], reason: String)
    }

    let partition: Int32
    let offset: Int64
    let content: Content

    init(partition: Int32, offset: Int64, content: Content) {
        self.partition = partition
        self.offset = offset
        self.content = content
    }

    /// Roughly what it holds in memory.
    var size: Int {
        switch content {
        case .outcome(let outcome, _): 400 + outcome.response.count
        case .unreadable(let bytes, _): 100 + bytes.count
        }
    }
}

/// What one transaction stores: entries, and for each partition the step that its position takes. Entries of one partition are in the
/// order of their offsets; an offset without entry (a repeated outcome, say) is just stepped over.
struct HistoryBatch: Sendable {
    /// From the offset that must be stored to the one that will be.
    struct Step: Equatable, Sendable {
        var expected: Int64
        var next: Int64
    }

    /// The assignment that it was read under.
    let epoch: Int
    private(set) var entries: [HistoryEntry] = []
    private(set) var steps: [Int32: Step] = [:]
    private(set) var size = 0

    init(epoch: Int) { self.epoch = epoch }

    var isEmpty: Bool { steps.isEmpty }

    /// Adds what was read of one partition from `expected` up to, not including, `next`.
    mutating func append(_ new: [HistoryEntry], partition: Int32, expected: Int64, next: Int64) {
        guard next > expected else { return }
        if let step = steps[partition] {
            precondition(step.next == expected, "a batch steps over offsets that it does not hold")
            steps[partition]?.next = next
        } else {
            steps[partition] = Step(expected: expected, next: next)
        }
        entries += new
        for entry in new { size += entry.size }
    }

    /// Two batches that are the same when stored one after the other. Needs two entries.
    func halves() -> (HistoryBatch, HistoryBatch) {
        let middle = entries.count / 2
        var first = HistoryBatch(epoch: epoch)
        first.entries = Array(entries[..<middle])
        var second = HistoryBatch(epoch: epoch)
        second.entries = Array(entries[middle...])
        second.steps = steps
        for entry in first.entries {
            guard let step = steps[entry.partition] else { continue }
            first.steps[entry.partition] = Step(expected: step.expected, next: entry.offset + 1)
            second.steps[entry.partition]?.expected = entry.offset + 1
        }
        second.steps = second.steps.filter { $0.value.next > $0.value.expected }
        return (first, second)
    }

    /// The same with its entries set aside instead of stored.
    func rejecting(because reason: String) -> HistoryBatch {
        var batch = self
        batch.entries = entries.map { entry in
            guard case .outcome(let outcome, _) = entry.content else { return entry }
            return HistoryEntry(
                partition: entry.partition, offset: entry.offset,
                content: .unreadable(outcome.encoded(), reason: reason))
        }
        return batch
    }
}
