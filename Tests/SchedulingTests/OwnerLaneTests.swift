import Records
import Testing

@testable import Scheduling

private let a = DeliveryID(random: 0, 1)
private let b = DeliveryID(random: 0, 2)
private let place = LanePlace(lane: LaneID(webhook: "wh_1"), sinceMs: 70)

/// How an owner of an index lets go of lanes.
@Suite struct OwnerLaneTests {
    private var owner: IndexOwner

    init() {
        var limits = IndexOwner.Limits(leaseMs: 3_000, holdMs: 50)
        limits.roundMs = 1_000
        limits.maxAgeMs = 600
        owner = IndexOwner(logID: "log", limits: limits)
        _ = owner.next(now: 0, room: 4)
        owner.headersRead(.init())
        _ = owner.next(now: 0, room: 4)
        owner.fenced(at: 0, now: 0)
        _ = owner.next(now: 0, room: 4)
        owner.opened(true, now: 0)
        _ = owner.next(now: 0, room: 4)
        owner.took([], end: 1)
        _ = owner.next(now: 0, room: 4)
        owner.ran(.done, now: 0)
    }

    @Test mutating func whatIsParkedMakesItsLaneDue() {
        #expect(work(0) == .claim(nowMs: 0, untilMs: 3_000, limit: 4))
        owner.ran(.claimed([], lanes: [], nextDueMs: nil), now: 0)
        let change = index(a, generation: 1, due: 40, at: 1, now: 0)
        #expect(change == .index([.init(delivery: a, entry: parked(1, 1), dueAtMs: 40)], lanes: [due(40)]))
        #expect(owner.wakeAt == 40)
        #expect(work(39) == nil)
        #expect(work(40) == .claim(nowMs: 40, untilMs: 3_040, limit: 4))
    }

    @Test mutating func aDueLaneLetsGoOfOne() {
        claimLane()
        #expect(owner.wakeAt == 0)
        // Not without room.
        #expect(owner.next(now: 0, room: 0) == nil)
        #expect(work(0) == release(1, at: 0, nextDueMs: 1_000))
        owner.ran(claimed([(a, parked(1, 1))], nextDueMs: 1_000), now: 0)
        #expect(owner.inFlight == 1 && owner.laneCount == 1)
        // It left its lane when it was let go, and is removed as what it is then.
        let entry = IndexEntry(generation: 1, offset: 1)
        #expect(owner.next(now: 0, room: 3) == .fire(.init(delivery: a, entry: entry)))
        owner.fired(a)
        #expect(owner.next(now: 0, room: 3) == .retireFlight(a, [.delivery(a, generation: 1)]))
        owner.retiredFlight(a)
        #expect(work(0) == .remove([a: entry], holdUntilMs: 50))
        owner.ran(.done, now: 0)
        #expect(owner.inFlight == 0)
    }

    @Test mutating func aRoundLaterTwo() {
        claimLane()
        #expect(work(0) == release(1, at: 0, nextDueMs: 1_000))
        owner.ran(claimed([], nextDueMs: 1_000), now: 0)
        claimLane(at: 1_000)
        #expect(work(1_000) == release(1, at: 1_000, nextDueMs: 1_500))
        owner.ran(claimed([], nextDueMs: 1_500), now: 1_000)
        claimLane(at: 1_500)
        #expect(work(1_500) == release(1, at: 1_500, nextDueMs: 2_000))
    }

    @Test mutating func whatComesBackSaysWhenToTryAgain() {
        claimLane()
        #expect(work(0) != nil)
        owner.ran(claimed([(a, parked(1, 1))], nextDueMs: 1_000), now: 0)
        land(a, now: 0)
        let change = index(a, generation: 2, due: 5_000, at: 2, now: 10)
        #expect(change == .index([.init(delivery: a, entry: parked(2, 2), dueAtMs: 5_000)], lanes: [due(5_000)]))
        #expect(owner.returned == 1)
        // Redis has the earlier time yet: asked then, the lane lets go of nothing.
        claimLane(at: 1_000)
        #expect(work(1_000) == release(0, at: 1_000, nextDueMs: 5_000))
    }

    @Test mutating func anEmptyLaneIsForgotten() {
        claimLane()
        #expect(work(0) != nil)
        owner.ran(.claimed([], lanes: [place.lane], nextDueMs: nil), now: 0)
        #expect(owner.laneCount == 0)
        #expect(owner.wakeAt == 1_000)
    }

    /// Nobody knows whether it let go of something: its claim lapses, and it is claimed again.
    @Test mutating func aReleaseThatFailedIsNotRepeated() {
        claimLane()
        #expect(work(0) != nil)
        owner.failed(now: 0)
        #expect(owner.wakeAt == 500)
        owner.ran(claimed([(a, parked(1, 1))], nextDueMs: 1_000), now: 0)
        #expect(owner.inFlight == 0)
    }

    @Test mutating func aPartitionThatIsGivenBackLetsGoOfNothing() {
        claimLane()
        owner.drain()
        #expect(work(0) == nil)
        #expect(owner.wakeAt == 1_000)
    }

    // MARK: Support

    private func parked(_ generation: UInt32, _ offset: Int64) -> IndexEntry {
        IndexEntry(generation: generation, offset: offset, place: place)
    }

    private func due(_ ms: Int64) -> LaneDue { LaneDue(lane: place.lane, dueAtMs: ms) }

    private func release(_ count: Int, at now: Int64, nextDueMs: Int64) -> IndexScript.Work {
        .release(
            [LaneRelease(lane: place.lane, count: count, nextDueMs: nextDueMs)], untilMs: now + 3_000,
            expiredMs: now - 600, limit: 4)
    }

    private func claimed(_ found: [(DeliveryID, IndexEntry)], nextDueMs: Int64) -> IndexReply {
        .claimed(found.map { .init(delivery: $0, entry: $1) }, lanes: [], nextDueMs: nextDueMs)
    }

    private mutating func work(_ now: Int64) -> IndexScript.Work? {
        guard case .run(let script) = owner.next(now: now, room: 4) else { return nil }
        return script.work
    }

    private mutating func claimLane(at now: Int64 = 0) {
        #expect(work(now) == .claim(nowMs: now, untilMs: now + 3_000, limit: 4))
        owner.ran(.claimed([], lanes: [place.lane], nextDueMs: nil), now: now)
    }

    private mutating func land(_ id: DeliveryID, now: Int64) {
        #expect(owner.next(now: now, room: 4) != nil)
        owner.fired(id)
        #expect(owner.next(now: now, room: 4) != nil)
        owner.retiredFlight(id)
        #expect(work(now) != nil)
        owner.ran(.done, now: now)
    }

    /// Indexes a record of what is parked, and returns what the script does.
    private mutating func index(
        _ id: DeliveryID, generation: UInt32, due: Int64, at offset: Int64, now: Int64
    ) -> IndexScript.Work? {
        let record = RetryRecord(
            offset: offset, timestampMs: 0, key: .delivery(id, generation: generation),
            content: .waiting(dueAtMs: due, place: place))
        owner.took([record], end: offset + 1)
        #expect(owner.next(now: now, room: 4) == .look([id]))
        owner.looked([:], now: now)
        let work = work(now)
        owner.ran(.done, now: now)
        return work
    }
}
