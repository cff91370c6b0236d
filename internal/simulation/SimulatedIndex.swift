internal import Records
internal import Scheduling

/// One partition's index as Redis holds it: its three keys, and what the scripts do to them.
struct SimulatedIndex {
    enum Key { case at, due, lanes }

    /// Of `due`.
    enum Member: Hashable {
        case delivery(DeliveryID)
        case lane(LaneID)

        var bytes: [UInt8] {
            switch self {
            case .delivery(let id): id.bytes
            case .lane(let lane): lane.bytes
            }
        }
    }

    /// Of `lanes`: by age.
    private struct Waiting {
        var since: Int64
        var id: DeliveryID

        func isBefore(_ other: Waiting) -> Bool {
            since != other.since ? since < other.since : id.bytes.lexicographicallyPrecedes(other.id.bytes)
        }
    }

    private(set) var at: [DeliveryID: IndexEntry] = [:]
    private(set) var due: [Member: Int64] = [:]
    private var lanes: [LaneID: [Waiting]] = [:]
    private var found: [Key: IndexHeader] = [:]
    private let mutation: Mutation?

    init(mutation: Mutation?) { self.mutation = mutation }

    var isEmpty: Bool { at.isEmpty && due.isEmpty && lanes.values.allSatisfy(\.isEmpty) }
    var headers: IndexHeaders {
        IndexHeaders(at: found[.at]?.text, due: found[.due]?.text, lanes: found[.lanes]?.text)
    }

    func look(_ ids: [DeliveryID]) -> [DeliveryID: IndexEntry] {
        var found: [DeliveryID: IndexEntry] = [:]
        for id in ids { found[id] = at[id] }
        return found
    }

    /// What is due by then, soonest first; of a lane, the oldest.
    func upcoming(until: Int64, limit: Int) -> [IndexReply.Claimed] {
        members(dueBy: until, limit: limit).compactMap { member in
            switch member {
            case .delivery(let id): id
            case .lane(let lane): lanes[lane]?.first?.id
            }
        }.compactMap { id in at[id].map { IndexReply.Claimed(delivery: id, entry: $0) } }
    }

    mutating func open(_ opening: IndexOpening) -> Bool {
        guard headers == opening.found else { return false }
        if opening.resets { for key in [Key.at, .due, .lanes] { lose(key) } }
        put(opening.header)
        return true
    }

    private mutating func put(_ header: IndexHeader) { for key in [Key.at, .due, .lanes] { found[key] = header } }

    mutating func run(_ script: IndexScript) -> IndexReply {
        guard isExpected(script.expected, found[.at]), isExpected(script.expected, found[.due]),
            isExpected(script.expected, found[.lanes])
        else { return .mismatch }
        put(script.next)
        switch script.work {
        case .index(let changes, let lanes):
            for change in changes { set(change) }
            for lane in lanes { due[.lane(lane.lane)] = min(due[.lane(lane.lane)] ?? .max, max(0, lane.dueAtMs)) }
        case .claim(let now, let until, let limit): return claim(now, until, limit)
        case .release(let releases, let until, let expired, let limit):
            return release(releases, until, expired, limit)
        case .renew(let ids, let until):
            for id in ids { due[.delivery(id)] = due[.delivery(id)].map { max($0, until) } }
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

    private mutating func set(_ change: IndexBatch.Change) {
        drop(change.delivery)
        guard let entry = change.entry else { return }
        at[change.delivery] = entry
        guard let place = entry.place else {
            due[.delivery(change.delivery)] = max(0, change.dueAtMs)
            return
        }
        let item = Waiting(since: place.sinceMs, id: change.delivery)
        let index = lanes[place.lane]?.firstIndex { item.isBefore($0) }
        lanes[place.lane, default: []].insert(item, at: index ?? lanes[place.lane]?.count ?? 0)
    }

    /// By score, then by member, as in a sorted set.
    private func members(dueBy time: Int64, limit: Int) -> ArraySlice<Member> {
        due.filter { $0.value <= time }.sorted { left, right in
            left.value != right.value
                ? left.value < right.value : left.key.bytes.lexicographicallyPrecedes(right.key.bytes)
        }.map(\.key).prefix(limit)
    }

    private mutating func claim(_ now: Int64, _ until: Int64, _ limit: Int) -> IndexReply {
        var claimed: [IndexReply.Claimed] = []
        var lanes: [LaneID] = []
        for member in members(dueBy: now, limit: limit) {
            switch member {
            case .lane(let lane):
                due[member] = until
                lanes.append(lane)
            case .delivery(let id):
                due[member] = at[id].map { _ in until }
                guard let entry = at[id] else { continue }
                claimed.append(.init(delivery: id, entry: entry))
                if mutation == .claimRemoves { drop(id) }
            }
        }
        return .claimed(claimed, lanes: lanes, nextDueMs: due.values.min())
    }

    private mutating func release(
        _ releases: [LaneRelease], _ until: Int64, _ expired: Int64, _ limit: Int
    ) -> IndexReply {
        var claimed: [IndexReply.Claimed] = []
        var empty: [LaneID] = []
        for release in releases {
            let waiting = lanes[release.lane] ?? []
            let old = waiting.count { $0.since < expired }
            let count = min(max(release.count, old), limit - claimed.count)
            let taken = waiting.prefix(count)
            lanes[release.lane] = Array(waiting.dropFirst(taken.count))
            for id in taken.map(\.id) {
                guard let entry = at[id] else { continue }
                claimed.append(.init(delivery: id, entry: entry))
                at[id]?.place = nil
                due[.delivery(id)] = until
                if mutation == .claimRemoves { drop(id) }
            }
            let isEmpty = count > 0 && taken.isEmpty
            due[.lane(release.lane)] = isEmpty ? nil : old > taken.count ? 0 : release.nextDueMs
            if isEmpty { empty.append(release.lane) }
        }
        return .claimed(claimed, lanes: empty, nextDueMs: due.values.min())
    }

    private mutating func remove(_ id: DeliveryID, _ claimed: IndexEntry, _ holdUntil: Int64) {
        guard var entry = at[id], entry.generation == claimed.generation, entry.offset == claimed.offset else { return }
        switch entry.mark {
        case claimed.mark, .none, .now: drop(id)
        case .cancel:
            entry.mark = .hold
            at[id] = entry
            due[.delivery(id)] = holdUntil
        case .hold: break
        }
    }

    private mutating func drop(_ id: DeliveryID) {
        if let place = at[id]?.place { lanes[place.lane]?.removeAll { $0.id == id } }
        at[id] = nil
        due[.delivery(id)] = nil
    }

    mutating func lose(_ key: Key) {
        found[key] = nil
        switch key {
        case .at: at = [:]
        case .due: due = [:]
        case .lanes: lanes = [:]
        }
    }
}
