import TestSupport
import Testing

@testable import Delivering

@Suite struct StartWindowTests {
    private static let millisecond: UInt64 = 1_000_000

    /// `#expect` takes no mutating call.
    private func allows(_ window: inout StartWindow, _ now: UInt64) -> Bool { window.allowsStart(now: now) }

    private func filled(_ count: Int, now: UInt64 = 0, maximum: Int = 10_000) -> StartWindow {
        var window = StartWindow(maximum: maximum)
        for _ in 0..<count { window.started(now: now) }
        return window
    }

    @Test func soManyMayBeYoung() {
        var window = filled(StartWindow.initial - 1)
        #expect(allows(&window, 0))
        window.started(now: 0)
        #expect(!allows(&window, 0))
        window.ended(startedAt: 0, now: 1)
        #expect(allows(&window, 1))
    }

    @Test func whatTakesLongCountsNoMore() {
        var window = filled(StartWindow.initial)
        #expect(!allows(&window, StartWindow.youth - 1))
        #expect(allows(&window, StartWindow.youth))
        // Its end changes nothing then.
        window.ended(startedAt: 0, now: StartWindow.youth)
        for _ in 0..<StartWindow.initial { window.started(now: StartWindow.youth) }
        #expect(!allows(&window, StartWindow.youth))
    }

    @Test func itGrowsOnlyWhereItHeldSomethingBack() {
        var window = filled(StartWindow.initial)
        window.turned(nanoseconds: 1)
        #expect(window.limit == StartWindow.initial)
        _ = window.allowsStart(now: 0)
        window.turned(nanoseconds: 1)
        #expect(window.limit == StartWindow.initial + StartWindow.increase)
        window.turned(nanoseconds: 1)
        #expect(window.limit == StartWindow.initial + StartWindow.increase)
    }

    @Test func longTurnsMakeItSmaller() {
        var window = filled(0)
        window.turned(nanoseconds: StartWindow.longTurn)
        #expect(window.limit == StartWindow.initial)
        for _ in 0..<100 { window.turned(nanoseconds: StartWindow.longTurn + 1) }
        #expect(window.limit == StartWindow.minimum)
    }

    @Test(arguments: [1, 10, 64, 300]) func itStaysWithinItsBounds(maximum: Int) {
        var window = filled(0, maximum: maximum)
        for turn in 0..<1_000 {
            while window.allowsStart(now: UInt64(turn) * Self.millisecond) {
                window.started(now: UInt64(turn) * Self.millisecond)
            }
            window.turned(nanoseconds: turn.isMultiple(of: 3) ? StartWindow.longTurn + 1 : 1)
            #expect((1...maximum).contains(window.limit))
        }
    }

    /// Against one that remembers every start.
    @Test(arguments: 0..<20) func itCountsLikeAModel(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var window = StartWindow(maximum: 10_000)
        var starts: [UInt64] = []
        var now: UInt64 = 0
        for _ in 0..<2_000 {
            now +=
                UInt64.random(in: 0...(random.next().isMultiple(of: 50) ? 100 : 3), using: &random) * Self.millisecond
            let slice = now / 6_000_000
            let young = starts.count { $0 / 6_000_000 + 8 > slice }
            #expect(allows(&window, now) == (young < window.limit), "seed \(seed)")
            if random.next().isMultiple(of: 3), let index = starts.indices.randomElement(using: &random) {
                window.ended(startedAt: starts.remove(at: index), now: now)
            } else {
                window.started(now: now)
                starts.append(now)
            }
            window.turned(nanoseconds: 1)
        }
    }

    /// A loop that serves fifty requests a millisecond, and endpoints that answer at once or never: both kinds go on.
    @Test func hangingEndpointsLeaveTheWindowToTheOthers() {
        var window = StartWindow(maximum: 10_000)
        var now: UInt64 = 0
        var served = 0
        for turn in 0..<1_000 {
            var young = 0
            while young < 400, window.allowsStart(now: now) {
                window.started(now: now)
                young += 1
            }
            // Every tenth hangs.
            for index in 0..<young where index % 10 != 0 {
                window.ended(startedAt: now, now: now)
                served += 1
            }
            let took = UInt64(max(1, young)) * Self.millisecond / 50
            window.turned(nanoseconds: took)
            now += took
            #expect(turn < 10 || window.limit >= StartWindow.minimum)
        }
        let share = Double(served) / (Double(now) / Double(Self.millisecond) * 50)
        print("start window: \(served) requests served beside hanging ones, \(Int(share * 100)) % of what the loop can")
        #expect(share > 0.8)
    }
}
