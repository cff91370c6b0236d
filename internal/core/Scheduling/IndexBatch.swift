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
        /// Its score; meaningless without an entry.
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
        case (.delivery(let id, let generation), .waiting(let due)): wait(id, generation, record.offset, due)
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

    private mutating func wait(_ id: DeliveryID, _ generation: UInt32, _ offset: Int64, _ due: Int64) {
        guard let old = entry(id) else {
            return set(id, IndexEntry(generation: generation, offset: offset), due: due)
        }
        if old.mark == .hold {
            return set(id, IndexEntry(generation: generation, offset: offset, mark: .cancel), due: now)
        }
        if old.generation > generation {
            owed.append(.delivery(id, generation: generation))
            return
        }
        var mark = old.mark
        if old.generation < generation {
            owed.append(.delivery(id, generation: old.generation))
            if mark == .now {
                owed.append(.retryNow(id, generation: old.generation))
                mark = .none
            }
        }
        set(id, IndexEntry(generation: generation, offset: offset, mark: mark), due: mark == .none ? due : now)
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
        guard var old = entry(id), old.generation == generation, old.mark == .none || old.mark == .now,
            flying[id] != generation
        else {
            owed.append(.retryNow(id, generation: generation))
            return
        }
        old.mark = .now
        set(id, old, due: now)
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
        old.mark = .cancel
        set(id, old, due: now)
    }

    /// Of a delivery that is still to be cancelled the record's own tombstone tells, which is written first.
    private mutating func cancelRetired(_ id: DeliveryID) {
        if entry(id)?.mark == .hold { set(id, nil, due: now) }
    }
}
