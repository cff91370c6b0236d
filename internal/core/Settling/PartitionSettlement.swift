public import Records

/// Which offsets of one source partition are settled, for one owner and one assignment.
///
/// Each record taken is an entry with the number of outcomes it still owes; so is each stretch of offsets without
/// a record or without a webhook (one outcome, which names the stretch). Acknowledgements come in any order; the committed
/// offset is that of the first entry that owes something.
///
///     offset    40   41   42–44   45   46
///     owes       0    2     0      1    0        commit 41: 40 is settled, 42–46 wait behind 41
///     batch      └─ note 7 ─┘      └ note 9 ┘    with note 7, that of the batch that holds 41
///
/// Offsets may have gaps (compaction, transactions, truncation). Timestamps are the records' own. One thread at a time.
public struct PartitionSettlement: Sendable {
    /// Names an entry; acknowledgements bring it back.
    public struct Slot: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    /// A stretch to be recorded as covered, and the slot that waits for it.
    public struct Coverage: Equatable, Sendable {
        public var span: Outcome.Span
        public var slot: Slot
    }

    private struct Entry {
        var first: Int64
        var owed: Int
    }

    private struct Batch {
        var first: Int64
        var note: Int64
    }

    private var entries = Ring<Entry>()
    private var batches = Ring<Batch>()
    private var coverages: [Coverage] = []
    private let memory: SourceMemory
    private let inheritedNote: Int64
    /// The next source offset to be taken.
    public private(set) var position: Int64
    /// How many outcomes are owed.
    public private(set) var owed = 0

    /// - Parameters:
    ///   - offset: the first offset to take; all below are settled.
    ///   - note: the note that the offset was committed with.
    ///   - memory: what `attempts` said between that note and its end.
    public init(offset: Int64, note: Int64, memory: SourceMemory) {
        position = offset
        inheritedNote = note
        self.memory = memory
    }

    // MARK: Taking records

    /// Before the records of one fetch.
    /// - Parameter attemptsEnd: an offset of `attempts` at or below its end now: no outcome of this batch lies below it.
    ///   Where the batch reaches down to an offset whose outcome is there already, the note it was found from stands instead.
    public mutating func openBatch(attemptsEnd: Int64) {
        let note = position <= memory.highest ? inheritedNote : attemptsEnd
        batches.append(Batch(first: position, note: note))
    }

    /// The next record, in order of offsets. Offsets skipped since the last one become a stretch, and so does this one
    /// where no webhook takes it. Returns nil for an offset taken before (a fetch repeated), which owes nothing.
    public mutating func take(offset: Int64, fanOut: Int) -> Slot? {
        guard offset >= position else { return nil }
        if offset > position { cover(position, offset - 1) }
        if fanOut == 0 {
            position = offset + 1
            return cover(offset, offset)
        }
        let slot = append(Entry(first: offset, owed: fanOut))
        position = offset + 1
        if memory.wasRoutedOtherwise(offset: offset, fanOut: UInt32(fanOut)) {
            owe(slot)
            coverages.append(Coverage(span: .init(first: offset, last: offset), slot: slot))
        }
        return slot
    }

    /// Whether this delivery of the record in `slot` was settled by an earlier owner; if so it is settled here too.
    public mutating func skipIfSettled(_ slot: Slot, offset: Int64, timestamp: Int64, webhook: String) -> Bool {
        guard memory.holds(offset: offset, timestamp: timestamp, webhook: webhook) else { return false }
        settle(slot)
        return true
    }

    /// The offsets up to `end` (exclusive) do not exist any more: the log was truncated or compacted behind them.
    public mutating func skip(to end: Int64) {
        guard end > position else { return }
        cover(position, end - 1)
        position = end
    }

    /// After the records of one fetch: the stretches to be recorded, each settled by its slot.
    public mutating func closeBatch() -> [Coverage] {
        defer { coverages.removeAll(keepingCapacity: true) }
        return coverages
    }

    @discardableResult
    private mutating func cover(_ first: Int64, _ last: Int64) -> Slot {
        if let open = coverages.last, open.span.last + 1 == first, open.slot.number + 1 == entries.end {
            coverages[coverages.count - 1].span.last = last
            return open.slot
        }
        let slot = append(Entry(first: first, owed: 1))
        coverages.append(Coverage(span: .init(first: first, last: last), slot: slot))
        return slot
    }

    private mutating func append(_ entry: Entry) -> Slot {
        owed += entry.owed
        return Slot(number: entries.append(entry))
    }

    private mutating func owe(_ slot: Slot) {
        entries[slot.number].owed += 1
        owed += 1
    }

    // MARK: Settling

    /// One outcome of the slot's record, or its stretch, has been acknowledged in `attempts`.
    public mutating func settle(_ slot: Slot) {
        precondition(entries[slot.number].owed > 0, "more acknowledgements than outcomes")
        entries[slot.number].owed -= 1
        owed -= 1
    }

    /// What may be committed now. Forgets what lies below.
    public mutating func commitPoint() -> CommitPoint {
        while let first = entries.first, first.owed == 0 { entries.removeFirst() }
        let offset = entries.first?.first ?? position
        while batches.count > 1, batches[batches.start + 1].first <= offset { batches.removeFirst() }
        return CommitPoint(offset: offset, note: batches.first?.note ?? inheritedNote)
    }
}
