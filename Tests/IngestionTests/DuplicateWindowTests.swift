import TestSupport
import Testing

@testable import Ingestion

@Suite struct DuplicateWindowTests {
    private static let second: UInt64 = 1_000_000_000

    /// Ids at `rate` a second for some seconds; returns the window at the end.
    private func feed(_ window: inout DuplicateWindow, _ now: inout UInt64, rate: Int, seconds: Int) -> Int {
        for _ in 0..<(rate * seconds) {
            now += Self.second / UInt64(rate)
            _ = window.remember(now: now)
        }
        return window.seconds
    }

    @Test func aLowRateHasTheConfiguredWindow() {
        var now: UInt64 = 5_000_000_000_000
        var window = DuplicateWindow(windowSeconds: 86_400, memoryBytes: 256 << 20, now: now)
        #expect(window.seconds == 86_400)
        #expect(feed(&window, &now, rate: 10, seconds: 100) == 86_400)
    }

    @Test func aHighRateShrinksItAndALowerOneLetsItGrow() {
        var now: UInt64 = 5_000_000_000_000
        var window = DuplicateWindow(windowSeconds: 86_400, memoryBytes: 130 * 200_000, now: now)
        let fast = feed(&window, &now, rate: 1_000, seconds: 400)
        // Nine tenths of 200,000 ids last for 180 s at 1,000 a second.
        #expect((170...181).contains(fast), "\(fast)")
        let slow = feed(&window, &now, rate: 100, seconds: 400)
        #expect((1_500...1_801).contains(slow), "\(slow)")
    }

    /// Whatever the rate does, the ids that are alive fit the memory; but for what the minimum lets in, and the two seconds until a
    /// new rate is known.
    @Test(arguments: 1...12 as ClosedRange<UInt64>) func whatIsRememberedFits(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let capacity = 20_000
        var now: UInt64 = UInt64.random(in: 0...1 << 50, using: &random)
        var window = DuplicateWindow(windowSeconds: 7_200, memoryBytes: 130 * capacity, now: now)
        // By the second in which they expire, as Redis does it.
        var expiring: [UInt64: Int] = [:]
        var alive = 0
        var arrivals: [UInt64] = []
        var oldest = 0
        var expired = now / Self.second
        for _ in 0..<40 {
            let rate = [1, 3, 10, 30, 100, 300].randomElement(using: &random) ?? 1
            let before = window.seconds
            for step in 0..<(rate * Int.random(in: 5...200, using: &random)) {
                now += Self.second / UInt64(rate)
                while expired < now / Self.second {
                    alive -= expiring.removeValue(forKey: expired) ?? 0
                    expired += 1
                }
                let seconds = window.remember(now: now)
                expiring[now / Self.second + UInt64(seconds), default: 0] += 1
                alive += 1
                arrivals.append(now)
                while arrivals[oldest] + 33 * Self.second < now { oldest += 1 }
                let excess = alive - capacity
                #expect(excess <= arrivals.count - oldest, "seed \(seed), rate \(rate), step \(step), before \(before)")
                if excess > arrivals.count - oldest { return }
            }
        }
    }

    @Test func aPauseForgetsTheOldRate() {
        var now: UInt64 = 5_000_000_000_000
        var window = DuplicateWindow(windowSeconds: 3_600, memoryBytes: 130 * 1_000, now: now)
        _ = feed(&window, &now, rate: 100, seconds: 20)
        #expect(window.seconds == 30)
        now += 7_200 * Self.second
        _ = feed(&window, &now, rate: 1, seconds: 120)
        // At one a second, the thousand last for a thousand seconds at least.
        #expect(window.seconds >= 800, "\(window.seconds)")
    }
}
