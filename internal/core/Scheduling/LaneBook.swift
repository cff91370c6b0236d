internal import Records

/// The lanes of one partition that its owner has let go of something: how fast each is let go, which are due now, and what of it
/// may come back. It is the owner's own memory: the next one begins with one delivery a round again.
struct LaneBook: Sendable {
    private let limits: IndexOwner.Limits
    private var paces: [LaneID: LanePace] = [:]
    /// Claimed, and to be let go as soon as there is room.
    private var due: [LaneID] = []
    /// Let go in this round and in the one before: what joins its lane again meanwhile has come back.
    private var recent: [DeliveryID: LaneID] = [:]
    private var older: [DeliveryID: LaneID] = [:]
    private var nextTurn: Int64 = .min
    /// Deliveries that came back to lanes that had let go of them.
    private(set) var returned = 0

    init(limits: IndexOwner.Limits) { self.limits = limits }

    var count: Int { paces.count }
    var hasDue: Bool { !due.isEmpty }

    /// Deliveries have joined lanes.
    /// - Returns: when each of the lanes is due at the latest.
    mutating func joined(_ joins: [IndexBatch.Join], now: Int64) -> [LaneDue] {
        var latest: [LaneID: Int64] = [:]
        for join in joins {
            let isBack = forget(join.delivery) == join.lane
            if isBack { returned += 1 }
            guard var pace = paces[join.lane] else {
                latest[join.lane] = min(latest[join.lane] ?? .max, join.dueAtMs)
                continue
            }
            if isBack {
                pace.returned(dueAt: join.dueAtMs, now: now, roundMs: limits.roundMs)
            } else {
                pace.joined(dueAt: join.dueAtMs)
            }
            paces[join.lane] = pace
            latest[join.lane] = pace.nextAt
        }
        return latest.map { LaneDue(lane: $0.key, dueAtMs: $0.value) }
    }

    private mutating func forget(_ id: DeliveryID) -> LaneID? {
        recent.removeValue(forKey: id) ?? older.removeValue(forKey: id)
    }

    mutating func claimed(_ lanes: [LaneID]) {
        for lane in lanes where !due.contains(lane) { due.append(lane) }
    }

    /// What is let go now of the lanes that are due, `room` at most.
    mutating func release(now: Int64, room: Int) -> [LaneRelease] {
        var releases: [LaneRelease] = []
        var room = room
        while room > 0, let lane = due.first {
            due.removeFirst()
            var pace = paces[lane] ?? LanePace(now: now, roundMs: limits.roundMs)
            let (count, next) = pace.release(now: now, room: room, roundMs: limits.roundMs)
            paces[lane] = pace
            room -= count
            releases.append(LaneRelease(lane: lane, count: count, nextDueMs: next))
        }
        return releases
    }

    /// Lanes have let go of these.
    mutating func released(_ taken: [IndexReply.Claimed], at now: Int64) {
        if now >= nextTurn {
            (older, recent) = (recent, [:])
            nextTurn = now + limits.roundMs
        }
        for claimed in taken { recent[claimed.delivery] = claimed.entry.place?.lane }
    }

    /// Lanes had none left.
    mutating func emptied(_ lanes: [LaneID]) {
        for lane in lanes { paces[lane] = nil }
    }

    /// The index starts over, and with it the lanes.
    mutating func forget() {
        paces = [:]
        due = []
    }
}
