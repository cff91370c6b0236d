import Records
import Scheduling
import TestSupport

/// A promise the model saw broken.
struct Broken: Error, CustomStringConvertible {
    var description: String
    var delivery: DeliveryID?
    init(_ description: String, of delivery: DeliveryID? = nil) {
        self.description = description
        self.delivery = delivery
    }
}

/// A rule left out on purpose: by what the simulated world around the real code does without it.
enum Mutation: CaseIterable {
    case none
    /// Scripts do not look at the header; at an epoch that is newer; at its turn; at the second
    /// key's.
    case header, epoch, turn, oneKey
    /// A removal takes whatever generation, or offset, it finds.
    case removalIgnoresGeneration, removalIgnoresOffset
    /// Tombstones that a batch owes, or a flight's, count as written before they are.
    case owedEarly, flightTombstonesEarly
    /// A delivery's tombstone is written before `deliveries` has the delivery.
    case tombstoneFirst
    /// The index may be claimed from before it has reached the log's end.
    case notCaughtUp
    /// Keys of `retries` do not name the generation.
    case keyWithoutGeneration
    /// What is in flight is fired again when it is claimed again.
    case guardIgnored
    /// A renewed lease brings nearer what is due later.
    case renewalLowers
    /// A cancellation ends as soon as its delivery is closed.
    case cancelEndsEarly
    /// An owner does not ask whether it still is a member.
    case confirmIgnored
    /// A record that is gone counts as fired.
    case goneIsFired
    /// Scripts do not look at the third key's header.
    case lanesKey
    /// What a lane lets go of is due nowhere; a lane that is joined is not; one that is claimed is no more; one that is empty still
    /// is; a lane lets go of a batch, whatever is in flight already.
    case releasedNotDue, laneNotDue, claimedLaneForgotten, emptyLaneKept, releaseBeyondRoom
}

/// A record of `deliveries`.
struct Fired {
    var id: DeliveryID
    var generation: UInt32
    var isCancel: Bool
    /// Until when its cancellation stands at least.
    var standsUntil: Int64?
}

/// What happens in one world besides the protocol's own steps.
struct Faults {
    var crash, zombie, wipe, rollBack, loseKey, lostAnswer, dispatcher: Bool

    init(_ random: inout SplitMix64) {
        crash = random.chance(60)
        zombie = random.chance(60)
        wipe = random.chance(50)
        rollBack = random.chance(50)
        loseKey = random.chance(40)
        lostAnswer = random.chance(60)
        dispatcher = random.chance(50)
    }

    init(zombie: Bool = false, rollBack: Bool = false, loseKey: Bool = false) {
        (crash, self.zombie, wipe, self.rollBack, self.loseKey, lostAnswer, dispatcher) = (
            false, zombie, false, rollBack, loseKey, false, false
        )
    }
}

/// The logs, the index, the dispatcher and the users of one partition.
struct World {
    static let lastGeneration: UInt32 = 4
    let batch = 3
    let limits: IndexOwner.Limits
    let mutation: Mutation
    let traces: Bool
    var random: SplitMix64
    var faults: Faults
    var now: Int64 = 1
    var index: ModelIndex

    /// `retries`: nil, compacted away.
    var log: [RetryRecord?] = []
    /// How often the record at each offset was fired.
    var fires: [Int] = []
    var deliveries: [Fired] = []
    /// Answered by the dispatcher up to here; those in `running` are being delivered.
    var taken = 0
    var running: [Fired] = []
    var ids: [DeliveryID] = []
    /// The lane of each, while it waits for its webhook's sake, and since when there has been the delivery.
    var places: [DeliveryID: LanePlace] = [:]
    /// How often something waited in a lane.
    var parkedCount = 0
    var ended: Set<DeliveryID> = []
    var top: [DeliveryID: UInt32] = [:]

    /// Work of owners that are no more, or gave up on the answer: it may arrive yet.
    var orphans: [Operation] = []
    /// The owner that wrote the fence.
    var fences: [Int64: Int] = [:]
    /// What each owner's loss of the index may cause to be fired again.
    var exposure: [Int: Int] = [:]
    var living: Set<Int> = []
    var member = 0
    var holder: Int?
    /// An owner that took the index though it was told that it is no member.
    var tookBack: Int?
    /// One that had more than a batch in flight.
    var overfull: Int?
    var allowedExtra = 0
    var extraFires = 0
    var faultCount = 0

    /// Deliveries of which more than one chain of generations is under way, after something was fired or answered again.
    var several: Set<DeliveryID> = []
    /// Cancellations that stand: when each ends at the earliest.
    var cancels: [DeliveryID: Int64] = [:]
    /// Records that were written while a cancellation stood, and until when they must not be fired but as cancelled.
    var cancelledUntil: [Int64: Int64] = [:]
    /// Where the log ended when a delivery was closed as cancelled, and until when nothing newer of it is to be fired.
    var closedAsCancelled: [DeliveryID: (end: Int64, until: Int64)] = [:]
    var cancelledCount = 0
    var history: [DeliveryID: [String]] = [:]

    init(seed: UInt64, mutation: Mutation, traces: Bool) {
        random = SplitMix64(seed: seed)
        self.mutation = mutation
        self.traces = traces
        faults = Faults(&random)
        // Only what the rule is for, so that it has to be this rule that is missed.
        if mutation == .epoch { faults = Faults(zombie: true) }
        if mutation == .turn { faults = Faults(rollBack: true) }
        if mutation == .lanesKey { faults = Faults(loseKey: true) }
        // A short hold ends before the next generation comes, a long one not before the world rests.
        var limits = IndexOwner.Limits(leaseMs: 9, holdMs: random.chance(30) ? 6 : 600)
        limits.retryDelayMs = 3
        limits.checkIntervalMs = 150
        limits.roundMs = 5
        limits.maxAgeMs = random.chance(50) ? 30 : 600
        self.limits = limits
        index = ModelIndex(mutation: mutation)
    }

    // MARK: The log

    @discardableResult
    mutating func append(_ key: RetryKey, _ content: RetryRecord.Content) -> Int64 {
        let offset = Int64(log.count)
        log.append(RetryRecord(offset: offset, timestampMs: now, key: key, content: content))
        fires.append(0)
        if let id = key.delivery { trace(id, "\(offset): \(key) \(content)") }
        switch (key, content) {
        case (.cancel(let id), .command):
            // Compaction may leave only the later one of two, which came after what the first one was for.
            if cancels[id] != nil { cancelledUntil = cancelledUntil.filter { log[Int($0.key)]?.key.delivery != id } }
            cancels[id] = cancels[id] ?? now + limits.holdMs
        case (.cancel(let id), .tombstone): cancels[id] = nil
        case (.delivery(let id, let generation), .waiting):
            cancelledUntil[offset] = cancels[id]
            if generation <= top[id] ?? 0 { several.insert(id) }
            top[id] = max(top[id] ?? 0, generation)
        default: break
        }
        return offset
    }

    /// Only the last record of each key is kept, and tombstones only for a while.
    mutating func compact(all: Bool = false) {
        var last: [RetryKey: Int] = [:]
        for case let record? in log { last[compactionKey(record.key)] = Int(record.offset) }
        for offset in 0..<max(0, log.count - (all ? 0 : random.below(5))) {
            guard let record = log[offset] else { continue }
            let isOld = all || offset < log.count - 12 && random.chance(30)
            if last[compactionKey(record.key)] != offset || record.content == .tombstone && isOld { log[offset] = nil }
        }
    }

    private func compactionKey(_ key: RetryKey) -> RetryKey {
        if mutation == .keyWithoutGeneration, case .delivery(let id, _) = key { return .delivery(id, generation: 0) }
        return key
    }

    /// What is to be read from `position` on, and the offset behind it.
    func read(from position: Int64, limit: Int) -> ([RetryRecord], end: Int64) {
        let end = min(log.count, Int(position) + limit)
        return (log[Int(position)..<end].compactMap { $0 }, Int64(end))
    }

    // MARK: Firing

    mutating func fire(_ flight: IndexOwner.Flight) throws {
        let (id, entry) = (flight.delivery, flight.entry)
        let isCancel = entry.mark == .cancel
        deliveries.append(
            Fired(
                id: id, generation: entry.generation, isCancel: isCancel, standsUntil: isCancel ? cancels[id] : nil))
        trace(id, "fires \(entry)")
        fires[Int(entry.offset)] += 1
        if fires[Int(entry.offset)] > 1 {
            extraFires += 1
            several.insert(id)
        }
        if entry.mark == .none, case .waiting(let due, nil) = log[Int(entry.offset)]?.content, now < due {
            throw Broken("fired before it is due", of: id)
        }
        guard !isCancel else { return }
        if let until = cancelledUntil[entry.offset], now < until {
            throw Broken("cancelled, and fired as if it were not", of: id)
        }
        if let closed = closedAsCancelled[id], entry.offset >= closed.end, now < closed.until {
            throw Broken("closed as cancelled, and fired afterwards", of: id)
        }
    }

    // MARK: The dispatcher

    mutating func makeDelivery() {
        let id = DeliveryID(random: 7, UInt64(ids.count))
        ids.append(id)
        places[id] = LanePlace(lane: LaneID(webhook: "wh_\(random.below(2))"), sinceMs: now)
        wait(id, 1)
    }

    private mutating func wait(_ id: DeliveryID, _ generation: UInt32) {
        let place = random.chance(50) ? places[id] : nil
        if place != nil { parkedCount += 1 }
        append(
            .delivery(id, generation: generation),
            .waiting(dueAtMs: now + Int64(1 + random.below(6)) * Int64(generation), place: place))
    }

    mutating func dispatch(faulty: Bool) -> Bool {
        while taken < deliveries.count, running.count < 4 {
            running.append(deliveries[taken])
            taken += 1
        }
        guard !running.isEmpty else { return false }
        let place = random.below(running.count)
        let fired = running[place]
        if fired.isCancel {
            ended.insert(fired.id)
            if let until = fired.standsUntil { closedAsCancelled[fired.id] = (Int64(log.count), until) }
            cancelledCount += 1
        } else if fired.generation >= Self.lastGeneration || random.chance(25) {
            ended.insert(fired.id)
        } else {
            wait(fired.id, fired.generation + 1)
        }
        trace(fired.id, "answered \(fired.generation)\(fired.isCancel ? ", cancelled" : "")")
        // It crashes before the outcome is written, and answers again.
        if faulty, faults.dispatcher, random.chance(4) {
            several.insert(fired.id)
        } else {
            running.remove(at: place)
        }
        return true
    }

    // MARK: Users

    mutating func command() {
        guard !ids.isEmpty else { return }
        let id = ids[random.below(ids.count)]
        if random.chance(60) {
            // What the user looks at may be behind.
            let generation = top[id]! - (random.chance(20) ? 1 : 0)
            append(.retryNow(id, generation: generation), .command)
        } else {
            append(.cancel(id), .command)
        }
    }

    // MARK: Who has the index

    mutating func holds(_ owner: Int?) {
        guard let owner, living.contains(owner), owner != holder else { return }
        if let holder {
            allowedExtra += exposure[holder] ?? 0
            if !living.contains(holder) { exposure[holder] = nil }
        }
        holder = owner
    }

    mutating func rollBack(steps: Int) {
        index.rollBack(steps: steps)
        // An owner from before that lives yet has it back.
        holds(index.epoch.flatMap { fences[$0] })
    }

    // MARK: At the end

    func isAtRest() -> Bool {
        index.isEmpty && running.isEmpty && taken == deliveries.count && ended.count == ids.count && live() == nil
    }

    /// A key of the log that was never retired.
    func live() -> RetryKey? {
        var last: [RetryKey: RetryRecord] = [:]
        for case let record? in log { last[record.key] = record }
        return last.values.first { $0.key != .fence && $0.content != .tombstone }?.key
    }

    func check() throws {
        if let overfull { throw Broken("owner \(overfull) has more than a batch in flight") }
        if let tookBack { throw Broken("owner \(tookBack) takes the index back though it was replaced") }
        if let lost = ids.first(where: { !ended.contains($0) }) { throw Broken("lost", of: lost) }
        if let key = live() { throw Broken("never retired: \(key)", of: key.delivery) }
        if !index.isEmpty { throw Broken("the index is not empty", of: index.keys.at.keys.first) }
        if extraFires > allowedExtra {
            throw Broken("\(extraFires) fired again, \(allowedExtra) allowed", of: several.first)
        }
    }

    mutating func trace(_ id: DeliveryID?, _ event: @autoclosure () -> String) {
        guard traces else { return }
        for id in id.map({ [$0] }) ?? ids { history[id, default: []].append("\(now): \(event())") }
    }
}
