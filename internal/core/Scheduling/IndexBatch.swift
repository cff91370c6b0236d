public import Records

/// What a batch of records makes of the index, worked out record by record on what the index holds of the deliveries concerned.
///
/// ```
///                     none ──record──► waiting ──retry──► now          a newer generation replaces an older one,
///                      ▲ │               │ │               │           whose key is then owed a tombstone; an
///             tombstone│ └──cancel──► hold └───cancel──► cancel        older one is owed its tombstone at once
///                      └──────◄──────────◄─────────────────┘
/// ```
public struct IndexBatch: Sendable {
    /// What an entry becomes: nil, it goes.
    public struct Change: Equatable, Sendable {
        public var delivery: DeliveryID
        public var entry: IndexEntry?
        /// Its score; meaningless without an entry, and of one that waits in a lane.
        public var dueAtMs: Int64
    }

    /// A delivery that came to wait in a lane.
    public struct Join: Equatable, Sendable {
        public var lane: LaneID
        public var delivery: DeliveryID
        public var dueAtMs: Int64
    }

    private struct Slot {
        var entry: IndexEntry?
        var dueAtMs: Int64?
        var isChanged = false
    }

    private var slots: [DeliveryID: Slot]
    private var order: [DeliveryID] = []
    /// Keys to be tombstoned before the batch may be put into the index.
    public private(set) var owed: [RetryKey] = []
    public private(set) var joins: [Join] = []

    private let now: Int64
    private let holdMs: Int64
    /// Deliveries in flight, with the generation that is.
    private let flying: [DeliveryID: UInt32]

    /// - Parameters:
    ///   - known: what the index holds of the records' deliveries.
    ///   - flying: the generations that are being fired by this owner.
    ///   - now: milliseconds since 1970.
    ///   - holdMs: how long a cancellation waits for a later generation, counted from its command.
    public init(
        known: [DeliveryID: IndexEntry], flying: [DeliveryID: UInt32], now: Int64, holdMs: Int64
    ) {
        slots = known.mapValues { Slot(entry: $0) }
        self.flying = flying
        self.now = now
        self.holdMs = holdMs
    }

    /// In the order of the first change of each delivery.
    public var changes: [Change] {
        order.compactMap { id in
            guard let slot = slots[id], slot.isChanged else { return nil }
            return Change(delivery: id, entry: slot.entry, dueAtMs: slot.dueAtMs ?? now)
        }
    }

    public mutating func apply(_ record: RetryRecord) {
        switch (record.key, record.content) {
        case (.fence, _): break
        case (.delivery(let id, let generation), .waiting(let due, let place)):
            wait(id, IndexEntry(generation: generation, offset: record.offset, place: place), due)
        case (.delivery(let id, let generation), .tombstone): retired(id, generation)
        case (.retryNow(let id, let generation), .command): retryNow(id, generation)
        case (.cancel(let id), .command): cancel(id, record)
        case (.cancel(let id), .tombstone): cancelRetired(id)
        // The entry goes on being due now, which is what was wanted.
        case (.retryNow, .tombstone): break
        // Not ours to understand: whoever wrote it meant no delivery.
        case (.delivery, .command), (.retryNow, .waiting), (.cancel, .waiting): owed.append(record.key)
        }
    }

    private func entry(_ id: DeliveryID) -> IndexEntry? { slots[id]?.entry }

    private mutating func set(_ id: DeliveryID, _ entry: IndexEntry?, due: Int64) {
        if slots[id]?.isChanged != true { order.append(id) }
        slots[id] = Slot(entry: entry, dueAtMs: due, isChanged: true)
    }

    private mutating func wait(_ id: DeliveryID, _ new: IndexEntry, _ due: Int64) {
        guard let old = entry(id) else { return settle(id, new, due) }
        if old.mark == .hold { return marked(id, new, .cancel) }
        if old.generation > new.generation {
            owed.append(.delivery(id, generation: new.generation))
            return
        }
        var mark = old.mark
        if old.generation < new.generation {
            owed.append(.delivery(id, generation: old.generation))
            if mark == .now {
                owed.append(.retryNow(id, generation: old.generation))
                mark = .none
            }
        }
        if mark == .none { settle(id, new, due) } else { marked(id, new, mark) }
    }

    private mutating func settle(_ id: DeliveryID, _ entry: IndexEntry, _ due: Int64) {
        set(id, entry, due: due)
        guard let place = entry.place else { return }
        joins.append(Join(lane: place.lane, delivery: id, dueAtMs: due))
    }

    /// What a user has asked for does not queue.
    private mutating func marked(_ id: DeliveryID, _ entry: IndexEntry, _ mark: IndexEntry.Mark) {
        var entry = entry
        entry.mark = mark
        entry.place = nil
        set(id, entry, due: now)
    }

    private mutating func retired(_ id: DeliveryID, _ generation: UInt32) {
        guard var old = entry(id), old.generation == generation, old.mark != .hold else { return }
        // Whoever fired it may have come no further.
        if old.mark == .now { owed.append(.retryNow(id, generation: generation)) }
        guard old.mark == .cancel else { return set(id, nil, due: now) }
        old.mark = .hold
        set(id, old, due: now + holdMs)
    }

    private mutating func retryNow(_ id: DeliveryID, _ generation: UInt32) {
        guard let old = entry(id), old.generation == generation, old.mark == .none || old.mark == .now,
            flying[id] != generation
        else {
            owed.append(.retryNow(id, generation: generation))
            return
        }
        marked(id, old, .now)
    }

    private mutating func cancel(_ id: DeliveryID, _ record: RetryRecord) {
        guard var old = entry(id) else {
            return set(
                id, IndexEntry(generation: 0, offset: record.offset, mark: .hold), due: record.timestampMs + holdMs)
        }
        // The command that brought the hold about may be retired at this moment: a flight removes what has the offset it knows.
        if old.mark == .hold {
            old.offset = record.offset
            return set(id, old, due: now + holdMs)
        }
        guard old.mark != .cancel else { return }
        if old.mark == .now { owed.append(.retryNow(id, generation: old.generation)) }
        marked(id, old, .cancel)
    }

    /// Of a delivery that is still to be cancelled the record's own tombstone tells, which is written first.
    private mutating func cancelRetired(_ id: DeliveryID) {
        if entry(id)?.mark == .hold { set(id, nil, due: now) }
    }
}
