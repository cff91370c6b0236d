import Records
import Testing

@testable import Scheduling

private let a = DeliveryID(random: 0, 1)
private let b = DeliveryID(random: 0, 2)

private func header(_ position: Int64, epoch: Int64, turn: Int64, log: String = "log") -> IndexHeader {
    IndexHeader(logID: log, position: position, epoch: epoch, turn: turn)
}

private func all(_ text: String) -> IndexHeaders { IndexHeaders(at: text, due: text, lanes: text) }

private func waits(_ id: DeliveryID, at offset: Int64, due: Int64 = 0) -> RetryRecord {
    RetryRecord(
        offset: offset, timestampMs: 0, key: .delivery(id, generation: 1), content: .waiting(dueAtMs: due, place: nil))
}

/// What is found in Redis and at the stored epoch, and how it is opened.
struct Opened: CustomTestStringConvertible, Sendable {
    var name: String
    var found: IndexHeaders
    /// nil: nobody asks.
    var isFence: Bool?
    var header: IndexHeader
    var resets: Bool

    var testDescription: String { name }
}

@Suite struct IndexOwnerTests {
    private var owner = IndexOwner(logID: "log", limits: .init(leaseMs: 300, holdMs: 50))

    // MARK: Opening

    static let agreed = header(6, epoch: 4, turn: 9).text
    static let openings = [
        Opened(name: "empty", found: .init(), header: header(0, epoch: 8, turn: 1), resets: true),
        Opened(
            name: "as it was left", found: all(agreed), isFence: true,
            header: header(6, epoch: 8, turn: 10), resets: false),
        Opened(
            name: "the keys disagree", found: .init(at: agreed, due: header(5, epoch: 4, turn: 8).text, lanes: agreed),
            header: header(0, epoch: 8, turn: 1), resets: true),
        Opened(
            name: "the lanes are from before",
            found: .init(at: agreed, due: agreed, lanes: header(6, epoch: 4, turn: 8).text),
            header: header(0, epoch: 8, turn: 1), resets: true),
        Opened(
            name: "one key is gone", found: .init(at: nil, due: agreed, lanes: agreed),
            header: header(0, epoch: 8, turn: 1), resets: true),
        Opened(
            name: "the lanes are gone", found: .init(at: agreed, due: agreed), header: header(0, epoch: 8, turn: 1),
            resets: true),
        Opened(
            name: "no header", found: all("x"), header: header(0, epoch: 8, turn: 1), resets: true),
        Opened(
            name: "of another log",
            found: all(header(6, epoch: 4, turn: 9, log: "old").text),
            header: header(0, epoch: 8, turn: 1), resets: true),
        Opened(
            name: "the topic was recreated: no fence at the epoch", found: all(agreed),
            isFence: false, header: header(0, epoch: 8, turn: 1), resets: true),
        Opened(
            name: "the position is past the fence",
            found: all(header(9, epoch: 4, turn: 9).text), isFence: true,
            header: header(0, epoch: 8, turn: 1), resets: true),
        Opened(
            name: "the position is at the fence",
            found: all(header(8, epoch: 4, turn: 9).text), isFence: true,
            header: header(8, epoch: 8, turn: 10), resets: false),
    ]

    @Test(arguments: openings) mutating func anIndexIsOpened(_ opened: Opened) {
        #expect(next(0) == .readHeaders)
        #expect(next(0) == nil)
        owner.headersRead(opened.found)
        if let isFence = opened.isFence {
            #expect(next(0) == .readFence(offset: opened.found.agreed!.epoch))
            owner.fenceRead(isFence)
        }
        #expect(next(0) == .writeFence)
        owner.fenced(at: 8, now: 0)
        let opening = IndexOpening(found: opened.found, header: opened.header, resets: opened.resets)
        #expect(next(0) == .open(opening))
        #expect(!owner.isRunning && !owner.wantsRecords)
        owner.opened(true, now: 0)
        #expect(next(0) == .seek(opened.header.position))
        #expect(owner.isRunning && owner.wantsRecords && !owner.isCaughtUp)
        #expect(owner.epoch == 8 && owner.position == opened.header.position)
    }

    @Test mutating func aNewerOwnerIsNotOpenedOver() {
        let newer = header(6, epoch: 9, turn: 3).text
        #expect(next(0) == .readHeaders)
        owner.headersRead(all(newer))
        #expect(next(0) == .readFence(offset: 9))
        owner.fenceRead(true)
        #expect(next(0) == .writeFence)
        owner.fenced(at: 8, now: 0)
        expectConfirmation(from: 0)
    }

    @Test mutating func aFenceWithoutOffsetIsWrittenAgain() {
        #expect(next(0) == .readHeaders)
        owner.headersRead(.init())
        #expect(next(0) == .writeFence)
        owner.fenced(at: nil, now: 0)
        #expect(next(0) == .writeFence)
        owner.fenced(at: 8, now: 0)
        #expect(next(0) == .open(.init(found: .init(), header: header(0, epoch: 8, turn: 1), resets: true)))
        // Somebody was faster.
        owner.opened(false, now: 0)
        expectConfirmation(from: 0)
    }

    // MARK: Failing

    @Test mutating func aFailureIsFollowedByConfirmationAndReopening() {
        run(caughtUp: true)
        owner.failed(now: 100)
        #expect(!owner.wantsRecords)
        expectConfirmation(from: 100)
        owner.confirmed(true)
        #expect(next(600) == .readHeaders)
        #expect(!owner.isCaughtUp)
    }

    @Test mutating func whoIsNoMemberAnyMoreStops() {
        run(caughtUp: true)
        claim([(a, .none)])
        owner.failed(now: 100)
        #expect(next(100) == .fire(flight(a)))
        expectConfirmation(from: 100)
        owner.confirmed(false)
        #expect(owner.inFlight == 0)
        #expect(next(600) == .stop)
        #expect(owner.isStopped)
        owner.failed(now: 700)
        owner.fired(a)
        #expect(next(9_000) == nil && owner.wakeAt == nil && owner.isStopped)
    }

    @Test mutating func aMismatchIsConfirmedAtOnce() {
        run(caughtUp: false)
        #expect(script(5_000)?.work == .check)
        owner.ran(.mismatch, now: 5_000)
        #expect(next(5_000) == .confirm)
    }

    @Test mutating func answersFromBeforeAFailureDoNothing() {
        run(caughtUp: false)
        owner.took([waits(a, at: 0)], end: 1)
        #expect(next(0) == .look([a]))
        owner.failed(now: 0)
        owner.looked([:], now: 0)
        owner.retired()
        owner.ran(.done, now: 0)
        owner.opened(true, now: 0)
        owner.fenced(at: 3, now: 0)
        owner.confirmed(true)
        expectConfirmation(from: 0)
        #expect(owner.position == 0)
    }

    // MARK: Indexing

    @Test mutating func aBatchIsIndexed() {
        run(caughtUp: false)
        owner.took([waits(a, at: 3, due: 70)], end: 4)
        #expect(!owner.wantsRecords)
        #expect(next(0) == .look([a]))
        #expect(next(0) == nil)
        owner.looked([:], now: 0)
        let change = IndexBatch.Change(delivery: a, entry: .init(generation: 1, offset: 3), dueAtMs: 70)
        #expect(
            next(0)
                == .run(
                    .init(
                        expected: header(0, epoch: 8, turn: 1), next: header(4, epoch: 8, turn: 2),
                        work: .index([change], lanes: []))))
        #expect(owner.position == 0)
        owner.ran(.done, now: 0)
        #expect(owner.position == 4 && owner.wantsRecords)
    }

    @Test mutating func owedTombstonesComeBeforeThePosition() {
        run(caughtUp: false)
        owner.took([waits(a, at: 3)], end: 4)
        #expect(next(0) == .look([a]))
        owner.looked([a: .init(generation: 2, offset: 1)], now: 0)
        #expect(next(0) == .retire([.delivery(a, generation: 1)]))
        #expect(next(0) == nil)
        owner.retired()
        #expect(script(0)?.work == .index([], lanes: []))
    }

    @Test mutating func offsetsWithoutRecordsMoveThePosition() {
        run(caughtUp: false)
        owner.took([], end: 5)
        #expect(script(0)?.next.position == 5)
        owner.ran(.done, now: 0)
        // Nothing new, and records from before the position, which are not taken again.
        owner.took([], end: 5)
        #expect(next(0) == nil)
        owner.took([waits(a, at: 4)], end: 6)
        #expect(script(0)?.work == .index([], lanes: []))
    }

    // MARK: Claiming

    @Test mutating func nothingIsClaimedBeforeTheFenceIsReached() {
        run(caughtUp: false)
        owner.took([], end: 8)
        #expect(script(0)?.work == .index([], lanes: []))
        owner.ran(.done, now: 0)
        #expect(!owner.isCaughtUp)
        #expect(next(0) == nil)
        owner.took([], end: 9)
        #expect(script(0)?.work == .index([], lanes: []))
        owner.ran(.done, now: 0)
        #expect(owner.isCaughtUp)
        #expect(script(0)?.work == .claim(nowMs: 0, untilMs: 300, limit: 4))
    }

    @Test mutating func nothingIsClaimedWhileABatchIsUnderWay() {
        run(caughtUp: true)
        owner.took([waits(a, at: 9)], end: 10)
        #expect(next(0) == .look([a]))
        #expect(next(0) == nil)
        owner.looked([a: .init(generation: 2, offset: 1)], now: 0)
        #expect(next(0) == .retire([.delivery(a, generation: 1)]))
        #expect(next(0) == nil)
        owner.retired()
        #expect(script(0)?.work == .index([], lanes: []))
        #expect(next(0) == nil)
        owner.ran(.done, now: 0)
        #expect(script(0)?.work == .claim(nowMs: 0, untilMs: 300, limit: 4))
    }

    @Test mutating func claimsWaitForTheNextDueTimeAndForRoom() {
        run(caughtUp: true)
        #expect(owner.next(now: 0, room: 0) == nil)
        #expect(script(0)?.work == .claim(nowMs: 0, untilMs: 300, limit: 4))
        owner.ran(.claimed([], lanes: [], nextDueMs: 40), now: 0)
        #expect(owner.wakeAt == 40)
        #expect(next(39) == nil)
        #expect(script(40)?.work == .claim(nowMs: 40, untilMs: 340, limit: 4))
        owner.ran(.claimed([], lanes: [], nextDueMs: nil), now: 40)
        #expect(owner.wakeAt == 1_040)
        #expect(script(1_040)?.work == .check)
    }

    @Test mutating func aFullClaimIsFollowedByAnother() {
        run(caughtUp: true)
        #expect(owner.next(now: 0, room: 1) != nil)
        owner.ran(
            .claimed([.init(delivery: a, entry: .init(generation: 1, offset: 3))], lanes: [], nextDueMs: 900), now: 0)
        #expect(next(0) == .fire(flight(a)))
        #expect(script(0)?.work == .claim(nowMs: 0, untilMs: 300, limit: 4))
    }

    @Test mutating func whatIsIndexedIsClaimedWhenItIsDue() {
        run(caughtUp: true)
        #expect(script(0) != nil)
        owner.ran(.claimed([], lanes: [], nextDueMs: 500), now: 0)
        owner.took([waits(a, at: 9, due: 70)], end: 10)
        #expect(next(0) == .look([a]))
        owner.looked([:], now: 0)
        #expect(script(0) != nil)
        owner.ran(.done, now: 0)
        #expect(owner.wakeAt == 70)
        owner.drain()
        #expect(owner.wakeAt == 1_000)
        #expect(next(70) == nil)
    }

    // MARK: Flying

    @Test mutating func aFlightIsFiredRetiredRemoved() {
        run(caughtUp: true)
        claim([(a, .none)])
        #expect(next(0) == .fire(flight(a)))
        #expect(next(0) == nil)
        owner.retiredFlight(a)
        #expect(next(0) == nil)
        owner.fired(a)
        #expect(next(0) == .retireFlight(a, [.delivery(a, generation: 1)]))
        #expect(next(0) == nil)
        owner.retiredFlight(a)
        #expect(script(0)?.work == .remove([a: flight(a).entry], holdUntilMs: 50))
        #expect(owner.inFlight == 1)
        owner.ran(.done, now: 0)
        #expect(owner.inFlight == 0)
    }

    @Test(arguments: [
        (IndexEntry.Mark.now, [RetryKey.delivery(a, generation: 1), .retryNow(a, generation: 1)]),
        (.cancel, [.delivery(a, generation: 1)]),
    ]) mutating func aCommandIsRetiredWithWhatItFired(mark: IndexEntry.Mark, keys: [RetryKey]) {
        run(caughtUp: true)
        claim([(a, mark)])
        #expect(next(0) == .fire(flight(a, mark)))
        owner.fired(a)
        #expect(next(0) == .retireFlight(a, keys))
    }

    @Test mutating func aHoldThatEndsIsNotFired() {
        run(caughtUp: true)
        claim([(a, .hold)])
        #expect(next(0) == .retireFlight(a, [.cancel(a)]))
    }

    @Test mutating func flightsAreNotFiredAgainAndGoOnWhileTheIndexIsOpened() {
        run(caughtUp: true)
        claim([(a, .none), (b, .none)])
        #expect(next(0) == .fire(flight(a)))
        owner.failed(now: 0)
        #expect(next(0) == .fire(flight(b)))
        owner.fired(a)
        #expect(next(0) == .retireFlight(a, [.delivery(a, generation: 1)]))
        owner.retiredFlight(a)
        #expect(next(500) == .confirm)
        owner.confirmed(true)
        open(at: 500, fence: 20)
        // First the lease of what is in flight; nothing is removed before the index has caught up.
        #expect(renewed(500) == [a, b])
        #expect(next(500) == nil)
        owner.took([], end: 21)
        #expect(script(500) != nil)
        owner.ran(.done, now: 500)
        #expect(script(500)?.work == .remove([a: flight(a).entry], holdUntilMs: 550))
        owner.ran(.done, now: 500)
        claim([(b, .none)], at: 500)
        #expect(next(500) == nil)
        #expect(owner.inFlight == 1)
    }

    @Test mutating func aLeaseIsRenewedWhileAFlightLasts() {
        run(caughtUp: true)
        claim([(a, .none)])
        #expect(next(0) == .fire(flight(a)))
        #expect(owner.wakeAt == 100)
        #expect(next(99) == nil)
        #expect(renewed(100, until: 400) == [a])
        #expect(owner.wakeAt == 200)
        owner.fired(a)
        #expect(next(150) != nil)
        owner.retiredFlight(a)
        #expect(script(150) != nil)
        owner.ran(.done, now: 150)
        // No renewal any more; but what was removed may have become a hold, which ends then.
        #expect(owner.wakeAt == 200)
        #expect(next(199) == nil)
        #expect(script(200)?.work == .claim(nowMs: 200, untilMs: 500, limit: 4))
    }

    // MARK: Support

    private mutating func next(_ now: Int64) -> IndexOwner.Action? { owner.next(now: now, room: 4) }

    private mutating func script(_ now: Int64) -> IndexScript? {
        guard case .run(let script) = next(now) else { return nil }
        return script
    }

    private func flight(_ id: DeliveryID, _ mark: IndexEntry.Mark = .none) -> IndexOwner.Flight {
        .init(delivery: id, entry: .init(generation: 1, offset: 3, mark: mark))
    }

    /// Opens an empty index; the fence lies at 8.
    private mutating func run(caughtUp: Bool) {
        open(at: 0, fence: 8)
        guard caughtUp else { return }
        owner.took([], end: 9)
        #expect(script(0) != nil)
        owner.ran(.done, now: 0)
    }

    private mutating func open(at now: Int64, fence: Int64) {
        #expect(next(now) == .readHeaders)
        owner.headersRead(.init())
        #expect(next(now) == .writeFence)
        owner.fenced(at: fence, now: now)
        #expect(next(now) != nil)
        owner.opened(true, now: now)
        #expect(next(now) == .seek(0))
    }

    private mutating func claim(_ claimed: [(DeliveryID, IndexEntry.Mark)], at now: Int64 = 0) {
        guard case .claim = script(now)?.work else {
            Issue.record("no claim")
            return
        }
        owner.ran(
            .claimed(
                claimed.map { .init(delivery: $0, entry: .init(generation: 1, offset: 3, mark: $1)) },
                lanes: [], nextDueMs: now + 300), now: now)
    }

    /// Those whose lease is renewed now.
    private mutating func renewed(_ now: Int64, until: Int64? = nil) -> Set<DeliveryID> {
        guard case .renew(let ids, let end) = script(now)?.work else { return [] }
        #expect(end == until ?? now + 300)
        owner.ran(.done, now: now)
        return Set(ids)
    }

    private mutating func expectConfirmation(from now: Int64) {
        #expect(owner.wakeAt == now + 500)
        #expect(next(now + 499) == nil)
        #expect(next(now + 500) == .confirm)
        #expect(next(now + 500) == nil)
    }
}
