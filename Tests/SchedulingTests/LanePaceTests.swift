import Records
import Testing

@testable import Scheduling

/// How fast a lane is let go: rounds of one second.
@Suite struct LanePaceTests {
    private static let roundMs: Int64 = 1_000

    /// One after the other: what comes back in each round, as a share of what was let go in it, and the width of each.
    struct Course: CustomTestStringConvertible, Sendable {
        var name: String
        var back: [Int]
        var widths: [Int]
        var testDescription: String { name }
    }

    static let courses = [
        Course(name: "nothing comes back: twice as many", back: [0, 0, 0, 0, 0], widths: [1, 2, 4, 8, 16]),
        Course(
            name: "a few come back: as many again", back: [0, 0, 0, 0, 0, 2, 2, 0],
            widths: [1, 2, 4, 8, 16, 32, 32, 32]),
        Course(
            name: "many come back: half as many, then an eighth more at a time", back: [0, 0, 0, 0, 0, 3, 0, 0, 0, 0],
            widths: [1, 2, 4, 8, 16, 32, 16, 16, 18, 20]),
        Course(
            name: "what comes back after a halving was let go before it", back: [0, 0, 0, 0, 0, 3, 1, 0, 0],
            widths: [1, 2, 4, 8, 16, 32, 16, 16, 18]),
        Course(
            name: "but if it is still too much: half again", back: [0, 0, 0, 0, 0, 3, 2, 0, 0],
            widths: [1, 2, 4, 8, 16, 32, 16, 8, 8]),
        Course(
            name: "never less than one, and from there without caution", back: [1, 1, 1, 0, 0, 0, 0],
            widths: [1, 1, 1, 1, 1, 2, 4]),
        Course(
            name: "after eight cautious rounds twice as many again",
            back: [0, 0, 0, 0, 2] + [Int](repeating: 0, count: 12),
            widths: [1, 2, 4, 8, 16, 8, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32, 64]),
    ]

    @Test(arguments: courses) func aCourse(_ course: Course) {
        var now: Int64 = 0
        var pace = LanePace(now: now, roundMs: Self.roundMs)
        var widths: [Int] = []
        for back in course.back {
            let end = now + Self.roundMs
            var released = 0
            var width = 0
            while now < end {
                released += pace.release(now: now, room: .max, roundMs: Self.roundMs).count
                width = max(width, pace.width)
                now = min(end, pace.nextAt)
            }
            // At the round's end, so that each round is as long as the others.
            for _ in 0..<back { pace.returned(dueAt: 0, now: end, roundMs: Self.roundMs) }
            widths.append(width)
            #expect(abs(released - width) <= width / 8 + 1)
        }
        #expect(widths == course.widths)
    }

    @Test func aRoundIsSpreadOverItsTime() {
        var pace = LanePace(now: 0, roundMs: Self.roundMs)
        var now: Int64 = 0
        while pace.width < 512 { now = pace.release(now: now, room: .max, roundMs: Self.roundMs).nextAt }
        let most = (0..<40).map { _ in
            let (count, next) = pace.release(now: now, room: .max, roundMs: Self.roundMs)
            #expect(next > now && pace.release(now: next - 1, room: .max, roundMs: Self.roundMs) == (0, next))
            now = next
            return Double(count) / Double(pace.width)
        }.max()
        #expect(most! < 0.15)
    }

    @Test func noMoreThanThereIsRoomFor() {
        var pace = LanePace(now: 0, roundMs: Self.roundMs)
        var now: Int64 = 0
        while pace.width < 1_024 { now = pace.release(now: now, room: .max, roundMs: Self.roundMs).nextAt }
        #expect(pace.release(now: now, room: 7, roundMs: Self.roundMs) == (7, now + 6))
    }

    /// One that let go of less, for there was no room, has not shown that more is taken.
    @Test func whatWasNotTriedDoesNotGrow() {
        var pace = LanePace(now: 0, roundMs: Self.roundMs)
        var now: Int64 = 0
        while pace.width < 64 { now = pace.release(now: now, room: .max, roundMs: Self.roundMs).nextAt }
        for _ in 0..<5 {
            _ = pace.release(now: now, room: 1, roundMs: Self.roundMs)
            now += Self.roundMs
        }
        #expect(pace.width <= 128)
    }

    /// A lane of width one asks when what came back says that it is worth it; what joins it newly may say: sooner.
    @Test func aLaneOfOneWaitsForItsTime() {
        var pace = LanePace(now: 0, roundMs: Self.roundMs)
        #expect(pace.release(now: 0, room: 9, roundMs: Self.roundMs) == (1, 1_000))
        pace.returned(dueAt: 60_000, now: 10, roundMs: Self.roundMs)
        #expect(pace.nextAt == 60_000)
        #expect(pace.release(now: 5_000, room: 9, roundMs: Self.roundMs) == (0, 60_000))
        pace.joined(dueAt: 7_000)
        #expect(pace.nextAt == 7_000)
        pace.joined(dueAt: 20)
        #expect(pace.nextAt == 1_000)
    }
}
