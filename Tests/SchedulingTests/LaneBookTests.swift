import Records
import Testing

@testable import Scheduling

@Suite struct LaneBookTests {
    private static let lane = LaneID(webhook: "wh_1")
    private static let other = LaneID(webhook: "wh_2")
    private var book = LaneBook(limits: limits)

    private static var limits: IndexOwner.Limits {
        var limits = IndexOwner.Limits(leaseMs: 300, holdMs: 50)
        limits.roundMs = 1_000
        return limits
    }

    private func id(_ number: Int) -> DeliveryID { DeliveryID(random: 3, UInt64(number)) }

    private func join(_ number: Int, _ lane: LaneID = lane, due: Int64) -> IndexBatch.Join {
        .init(lane: lane, delivery: id(number), dueAtMs: due)
    }

    private mutating func letGo(_ numbers: Range<Int>, at now: Int64, of lane: LaneID = lane) {
        book.released(
            numbers.map {
                .init(
                    delivery: id($0),
                    entry: .init(generation: 1, offset: 0, place: LanePlace(lane: lane, sinceMs: 0)))
            }, at: now)
    }

    @Test mutating func aNewLaneIsDueWithItsFirst() {
        let due = book.joined([join(1, due: 70), join(2, due: 50), join(3, Self.other, due: 90)], now: 0)
        #expect(
            due.sorted { $0.dueAtMs < $1.dueAtMs } == [
                LaneDue(lane: Self.lane, dueAtMs: 50), LaneDue(lane: Self.other, dueAtMs: 90),
            ])
        #expect(book.count == 0 && !book.hasDue)
    }

    @Test mutating func whatIsDueSharesTheRoom() {
        book.claimed([Self.lane, Self.other])
        book.claimed([Self.lane])
        let releases = book.release(now: 0, room: 1)
        #expect(releases == [LaneRelease(lane: Self.lane, count: 1, nextDueMs: 1_000)])
        #expect(book.hasDue)
        #expect(book.release(now: 5, room: 9) == [LaneRelease(lane: Self.other, count: 1, nextDueMs: 1_005)])
        #expect(!book.hasDue && book.count == 2)
    }

    @Test mutating func onlyWhatWasLetGoComesBack() {
        book.claimed([Self.lane])
        _ = book.release(now: 0, room: 9)
        letGo(0..<1, at: 0)
        // Parked for the first time, or fired by its own due time before: it tells nothing of the lane's pace.
        _ = book.joined([join(7, due: 20)], now: 10)
        #expect(book.returned == 0)
        _ = book.joined([join(0, due: 60_000)], now: 20)
        #expect(book.returned == 1)
        // The same record indexed again, after a failure.
        let due = book.joined([join(0, due: 60_000)], now: 30)
        #expect(book.returned == 1)
        #expect(due == [LaneDue(lane: Self.lane, dueAtMs: 60_000)])
    }

    @Test mutating func whatWasLetGoLongAgoIsForgotten() {
        letGo(0..<1, at: 0)
        letGo(1..<2, at: 1_500)
        _ = book.joined([join(0, due: 0)], now: 1_600)
        #expect(book.returned == 1)
        letGo(2..<3, at: 2_600)
        letGo(3..<4, at: 3_700)
        _ = book.joined([join(1, due: 0)], now: 3_800)
        #expect(book.returned == 1)
    }

    /// It counts as come back, though the lane that it left had none left and begins anew.
    @Test mutating func anEmptiedLaneBeginsAnew() {
        book.claimed([Self.lane])
        _ = book.release(now: 0, room: 9)
        letGo(0..<1, at: 0)
        book.emptied([Self.lane])
        #expect(book.count == 0)
        #expect(book.joined([join(0, due: 70)], now: 10) == [LaneDue(lane: Self.lane, dueAtMs: 70)])
        #expect(book.returned == 1)
    }

    @Test func placesAreOrderedByAgeAndComeBack() throws {
        let early = LanePlace(lane: Self.lane, sinceMs: 1 << 40 - 1)
        let late = LanePlace(lane: Self.lane, sinceMs: 1 << 40)
        #expect(early.bytes.lexicographicallyPrecedes(late.bytes))
        #expect(early.bytes.count == LanePlace.byteCount)
        #expect(LanePlace(bytes: early.bytes) == early)
        #expect(LanePlace(bytes: Array(early.bytes.dropLast())) == nil)
        // A lane's name never begins as a header does.
        #expect(LanePlace(bytes: [UInt8](repeating: UInt8(ascii: "!"), count: 12)) == nil)
        #expect((0..<1_000).allSatisfy { LaneID(webhook: "wh_\($0)").bytes[0] >= 0x80 })
        #expect(Set((0..<1_000).map { LaneID(webhook: "wh_\($0)") }).count == 1_000)
        let entry = IndexEntry(generation: 7, offset: 9, place: late)
        #expect(entry.bytes.count == IndexEntry.byteCount + LanePlace.byteCount)
        #expect(IndexEntry(bytes: entry.bytes) == entry)
    }
}
