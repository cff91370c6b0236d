internal import Records
internal import Scheduling

/// One partition's index as Redis holds it: both keys, and what the scripts do to them.
struct SimulatedIndex {
    private(set) var at: [DeliveryID: IndexEntry] = [:]
    private(set) var due: [DeliveryID: Int64] = [:]
    private(set) var atHeader: IndexHeader?
    private(set) var dueHeader: IndexHeader?
    private let mutation: Mutation?

    init(mutation: Mutation?) { self.mutation = mutation }

    var isEmpty: Bool { at.isEmpty && due.isEmpty }
    var headers: IndexHeaders { IndexHeaders(at: atHeader?.text, due: dueHeader?.text) }

    func look(_ ids: [DeliveryID]) -> [DeliveryID: IndexEntry] {
        var found: [DeliveryID: IndexEntry] = [:]
        for id in ids { found[id] = at[id] }
        return found
    }

    /// What is due by then, soonest first.
    func upcoming(until: Int64, limit: Int) -> [IndexReply.Claimed] {
        members(dueBy: until, limit: limit).compactMap { id in
            at[id].map { IndexReply.Claimed(delivery: id, entry: $0) }
        }
    }

    mutating func open(_ opening: IndexOpening) -> Bool {
        guard headers == opening.found else { return false }
        if opening.resets {
            at = [:]
            due = [:]
        }
        atHeader = opening.header
        dueHeader = opening.header
        return true
    }

    mutating func run(_ script: IndexScript) -> IndexReply {
        guard isExpected(script.expected, atHeader), isExpected(script.expected, dueHeader) else { return .mismatch }
        atHeader = script.next
        dueHeader = script.next
        switch script.work {
        case .index(let changes):
            for change in changes {
                at[change.delivery] = change.entry
                due[change.delivery] = change.entry.map { _ in max(0, change.dueAtMs) }
            }
        case .claim(let now, let until, let limit): return claim(now, until, limit)
        case .renew(let ids, let until):
            for id in ids { due[id] = due[id].map { max($0, until) } }
        case .remove(let entries, let until): for (id, entry) in entries { remove(id, entry, until) }
        case .check: break
        }
        return .done
    }

    private func isExpected(_ expected: IndexHeader, _ found: IndexHeader?) -> Bool {
        switch mutation {
        case .headerIgnored: true
        case .epochIgnored: found != nil && expected.epoch != found?.epoch || expected == found
        default: expected == found
        }
    }

    /// By score, then by member, as in a sorted set.
    private func members(dueBy time: Int64, limit: Int) -> ArraySlice<DeliveryID> {
        due.filter { $0.value <= time }.sorted { left, right in
            left.value != right.value
                ? left.value < right.value : left.key.bytes.lexicographicallyPrecedes(right.key.bytes)
        }.map(\.key).prefix(limit)
    }

    private mutating func claim(_ now: Int64, _ until: Int64, _ limit: Int) -> IndexReply {
        var claimed: [IndexReply.Claimed] = []
        for id in members(dueBy: now, limit: limit) {
            guard let entry = at[id] else {
                due[id] = nil
                continue
            }
            due[id] = until
            claimed.append(.init(delivery: id, entry: entry))
            if mutation == .claimRemoves { drop(id) }
        }
        return .claimed(claimed, nextDueMs: due.values.min())
    }

    private mutating func remove(_ id: DeliveryID, _ claimed: IndexEntry, _ holdUntil: Int64) {
        guard var entry = at[id], entry.generation == claimed.generation, entry.offset == claimed.offset else { return }
        switch entry.mark {
        case claimed.mark, .none, .now: drop(id)
        case .cancel:
            entry.mark = .hold
            at[id] = entry
            due[id] = holdUntil
        case .hold: break
        }
    }

    private mutating func drop(_ id: DeliveryID) {
        at[id] = nil
        due[id] = nil
    }

    mutating func loseAt() {
        at = [:]
        atHeader = nil
    }

    mutating func loseDue() {
        due = [:]
        dueHeader = nil
    }
}

/// A simulated Redis with the indexes of all partitions. It writes to its disk once a second, so a crash takes up to that much back.
final class Redis {
    private let timeline: Timeline
    private var random: Generator
    private let mutation: Mutation?
    private(set) var indexes: [SimulatedIndex]
    private var onDisk: [SimulatedIndex]
    private var writtenAt: Int64 = 0
    private var upAt: Int64 = 0
    private var isFullUntil: Int64 = 0
    private var losses: (percent: Int, until: Int64) = (0, 0)

    init(_ timeline: Timeline, partitions: Int, mutation: Mutation?, random: Generator) {
        self.timeline = timeline
        self.random = random
        self.mutation = mutation
        indexes = Array(repeating: SimulatedIndex(mutation: mutation), count: partitions)
        onDisk = indexes
    }

    // MARK: Faults

    func wipe() {
        indexes = indexes.map { _ in SimulatedIndex(mutation: mutation) }
        onDisk = indexes
    }

    /// It dies, and is back after a while with what its disk has, or nothing.
    func restart(after ms: Int64, isEmpty: Bool) {
        if isEmpty { wipe() }
        indexes = onDisk
        upAt = max(upAt, timeline.now + ms)
    }

    func loseKey(_ partition: Int, isSet: Bool) {
        isSet ? indexes[partition].loseDue() : indexes[partition].loseAt()
    }

    /// Out of memory: it refuses what writes.
    func fill(for ms: Int64) { isFullUntil = timeline.now + ms }

    func loseAnswers(percent: Int, for ms: Int64) { losses = (percent, timeline.now + ms) }

    func recover() {
        upAt = min(upAt, timeline.now)
        isFullUntil = 0
        losses = (0, 0)
    }

    // MARK: Commands

    /// - Parameters:
    ///   - writes: whether it takes memory.
    ///   - reply: nil, where Redis did not answer, or with an error.
    func run<Answer>(
        _ host: Host, _ partition: Int, writes: Bool, _ command: @escaping (inout SimulatedIndex) -> Answer,
        _ reply: @escaping (Answer?) -> Void
    ) {
        let arrives = max(timeline.now + random.within(0...2), host.channels[.redis] ?? 0)
        host.channels[.redis] = arrives
        timeline.at(arrives) { [self] in
            guard timeline.now >= upAt, !writes || timeline.now >= isFullUntil else {
                return timeline.after(1, host) { reply(nil) }
            }
            persist()
            let answer = command(&indexes[partition])
            let isLost = timeline.now < losses.until && random.chance(losses.percent)
            timeline.after(isLost ? 300 : random.within(0...2), host) { reply(isLost ? nil : answer) }
        }
    }

    /// What was there a second ago, or less, is on the disk.
    private func persist() {
        guard timeline.now >= writtenAt + 1_000 else { return }
        writtenAt = timeline.now
        onDisk = indexes
    }
}
