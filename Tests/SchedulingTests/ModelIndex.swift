import Records
import Scheduling

/// Redis, as far as one partition's index is concerned: its three keys, and the scripts on them.
struct ModelIndex {
    struct Keys {
        var at: [DeliveryID: IndexEntry] = [:]
        var due: [Member: Int64] = [:]
        var lanes: [LaneID: ModelLane] = [:]
        var atHeader: IndexHeader?
        var dueHeader: IndexHeader?
        var lanesHeader: IndexHeader?
    }

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

    private(set) var keys = Keys()
    /// Earlier states, the latest last: what is not on disk yet is lost with the server.
    private var history: [Keys] = []
    private let remembers: Bool
    let mutation: Mutation

    init(mutation: Mutation = .none, remembers: Bool = true) {
        self.mutation = mutation
        self.remembers = remembers
    }

    var isEmpty: Bool { keys.at.isEmpty && keys.due.isEmpty && keys.lanes.values.allSatisfy(\.isEmpty) }
    var waitsInLanes: Int { keys.lanes.values.reduce(0) { $0 + $1.count } }
    var epoch: Int64? { keys.atHeader?.epoch }
    var headers: IndexHeaders {
        IndexHeaders(at: keys.atHeader?.text, due: keys.dueHeader?.text, lanes: keys.lanesHeader?.text)
    }

    func look(_ ids: [DeliveryID]) -> [DeliveryID: IndexEntry] {
        var found: [DeliveryID: IndexEntry] = [:]
        for id in ids { found[id] = keys.at[id] }
        return found
    }

    // MARK: Scripts

    mutating func open(_ opening: IndexOpening) -> Bool {
        guard headers == opening.found else { return false }
        remember()
        if opening.resets { keys = Keys() }
        put(opening.header)
        return true
    }

    mutating func run(_ script: IndexScript) -> IndexReply {
        guard isExpected(script.expected, keys.atHeader),
            mutation == .oneKey || isExpected(script.expected, keys.dueHeader),
            mutation == .lanesKey || isExpected(script.expected, keys.lanesHeader)
        else { return .mismatch }
        remember()
        put(script.next)
        switch script.work {
        case .index(let changes, let lanes):
            for change in changes { set(change) }
            for lane in lanes where mutation != .laneNotDue {
                keys.due[.lane(lane.lane)] = min(keys.due[.lane(lane.lane)] ?? .max, lane.dueAtMs)
            }
        case .claim(let now, let until, let limit): return claim(now: now, until: until, limit: limit)
        case .release(let releases, let until, let expired, let limit):
            return release(releases, until: until, expired: expired, limit: limit)
        case .renew(let ids, let until):
            for id in ids {
                guard let due = keys.due[.delivery(id)] else { continue }
                keys.due[.delivery(id)] = mutation == .renewalLowers ? until : max(due, until)
            }
        case .remove(let entries, let until): for (id, entry) in entries { remove(id, entry, holdUntil: until) }
        case .check: break
        }
        return .done
    }

    private func isExpected(_ expected: IndexHeader, _ found: IndexHeader?) -> Bool {
        switch mutation {
        case .header: return true
        case .epoch: return expected == found || expected.epoch < found?.epoch ?? -1
        case .turn: return expected.position == found?.position && expected.epoch == found?.epoch
        default: return expected == found
        }
    }

    private mutating func put(_ header: IndexHeader) {
        keys.atHeader = header
        keys.dueHeader = header
        keys.lanesHeader = header
    }

    private mutating func set(_ change: IndexBatch.Change) {
        drop(change.delivery)
        guard let entry = change.entry else { return }
        keys.at[change.delivery] = entry
        if let place = entry.place {
            keys.lanes[place.lane, default: ModelLane()].insert(place.sinceMs, change.delivery)
        } else {
            keys.due[.delivery(change.delivery)] = change.dueAtMs
        }
    }

    private mutating func claim(now: Int64, until: Int64, limit: Int) -> IndexReply {
        var claimed: [IndexReply.Claimed] = []
        var lanes: [LaneID] = []
        for (member, _) in keys.due.filter({ $0.value <= now }).sorted(by: { isBefore($0, $1) }).prefix(limit) {
            switch member {
            case .lane(let lane):
                keys.due[member] = mutation == .claimedLaneForgotten ? nil : until
                lanes.append(lane)
            case .delivery(let id):
                keys.due[member] = keys.at[id].map { _ in until }
                if let entry = keys.at[id] { claimed.append(.init(delivery: id, entry: entry)) }
            }
        }
        return .claimed(claimed, lanes: lanes, nextDueMs: keys.due.values.min())
    }

    private mutating func release(_ releases: [LaneRelease], until: Int64, expired: Int64, limit: Int) -> IndexReply {
        var claimed: [IndexReply.Claimed] = []
        var empty: [LaneID] = []
        for release in releases {
            let old = keys.lanes[release.lane]?.count { $0 < expired } ?? 0
            let room = limit - claimed.count
            let count = mutation == .releaseBeyondRoom ? limit : min(max(release.count, old), room)
            let ids = keys.lanes[release.lane]?.removeFirst(count) ?? []
            for id in ids {
                guard let entry = keys.at[id] else { continue }
                claimed.append(.init(delivery: id, entry: entry))
                keys.at[id]?.place = nil
                if mutation != .releasedNotDue { keys.due[.delivery(id)] = until }
            }
            let isEmpty = count > 0 && ids.isEmpty && mutation != .emptyLaneKept
            keys.due[.lane(release.lane)] = isEmpty ? nil : old > ids.count ? 0 : release.nextDueMs
            if isEmpty { empty.append(release.lane) }
        }
        return .claimed(claimed, lanes: empty, nextDueMs: keys.due.values.min())
    }

    /// By score, then by member, as in a sorted set.
    private func isBefore(_ left: (key: Member, value: Int64), _ right: (key: Member, value: Int64)) -> Bool {
        left.value != right.value ? left.value < right.value : left.key.bytes.lexicographicallyPrecedes(right.key.bytes)
    }

    private mutating func remove(_ id: DeliveryID, _ claimed: IndexEntry, holdUntil: Int64) {
        guard var entry = keys.at[id] else { return }
        let isSame =
            (entry.generation == claimed.generation || mutation == .removalIgnoresGeneration)
            && (entry.offset == claimed.offset || mutation == .removalIgnoresOffset
                || mutation == .removalIgnoresGeneration)
        guard isSame else { return }
        switch entry.mark {
        case claimed.mark: drop(id)
        case .cancel:
            entry.mark = .hold
            keys.at[id] = entry
            keys.due[.delivery(id)] = holdUntil
        case .none, .now: drop(id)
        case .hold: break
        }
    }

    private mutating func drop(_ id: DeliveryID) {
        if let place = keys.at[id]?.place { keys.lanes[place.lane]?.remove(place.sinceMs, id) }
        keys.at[id] = nil
        keys.due[.delivery(id)] = nil
    }

    // MARK: Faults

    private mutating func remember() {
        guard remembers else { return }
        if history.count == 6 { history.removeFirst() }
        history.append(keys)
    }

    mutating func wipe() {
        keys = Keys()
        history = []
    }

    mutating func rollBack(steps: Int) {
        guard steps > 0, steps <= history.count else { return }
        keys = history[history.count - steps]
        history.removeLast(steps)
    }

    mutating func loseAt() {
        keys.at = [:]
        keys.atHeader = nil
    }

    mutating func loseDue() {
        keys.due = [:]
        keys.dueHeader = nil
    }

    mutating func loseLanes() {
        keys.lanes = [:]
        keys.lanesHeader = nil
    }
}
