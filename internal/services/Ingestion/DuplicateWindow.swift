/// How long ids are remembered: the configured window, or what nine tenths of the configured memory hold at the present rate,
/// whichever is less. Times are monotonic nanoseconds.
///
///     256 MiB at 130 B an id:   1,858,399 ids   at   10/s: 24 h (the window)   at 1,000/s: 31 min   at 10,000/s: 3 min 6 s
///
/// Ids that were remembered at a lower rate, for longer, are still there when the rate grows. So the window is the longest time `w`
/// for which, at every moment `t` of it, what is left of them and what has come since fit the whole memory:
///
///     ids │▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔ capacity
///         │                  ╱·        left(t) + rate·t
///         │──────╲       ╱   ·
///         │        ╲──╱      ·         left(t): known, from the counts of ids by their expiry
///         └──────────────────w────► t
struct DuplicateWindow: Sendable {
    /// What Redis takes for an id: a key of 18 bytes, a shared number, an expiry (measured with Redis 7: 113 B, and up to 16 more
    /// while its tables grow).
    static let bytesPerID = 130
    /// Less would not even catch a producer that tries again at once. Memory is exceeded only by what comes in that time.
    static let minimumSeconds = Int(DuplicateFilter.pendingSeconds)
    private static let second: UInt64 = 1_000_000_000

    /// Ids that expire at a time, in whole seconds.
    private struct Group {
        var expiry: UInt64
        var count: Int
    }

    private let windowSeconds: Int
    private let capacity: Double
    /// By expiry. Expiries are rounded up to 1/256 of the window, so that there are a few hundred groups for each scale of windows.
    private var groups: [Group] = []
    /// The group of this second's ids.
    private var current = Group(expiry: 0, count: 0)
    private var secondStart: UInt64
    private var ratePerSecond = 0.0
    /// The present window.
    private(set) var seconds: Int

    init(windowSeconds: Int, memoryBytes: Int, now: UInt64) {
        self.windowSeconds = windowSeconds
        capacity = Double(memoryBytes / Self.bytesPerID)
        secondStart = now
        seconds = windowSeconds
        current.expiry = roundedExpiry(now)
    }

    /// One id is remembered. Returns for how many seconds it should be.
    mutating func remember(now: UInt64) -> Int {
        if now >= secondStart + Self.second { endSecond(now) }
        current.count += 1
        return seconds
    }

    /// When an id that is remembered in the second after `now` has certainly expired.
    private func roundedExpiry(_ now: UInt64) -> UInt64 {
        let step = UInt64(max(1, seconds / 256))
        return (now / Self.second + UInt64(seconds) + 2 + step) / step * step
    }

    private mutating func endSecond(_ now: UInt64) {
        let measured = Double(current.count) * Double(Self.second) / Double(now - secondStart)
        // A rate that grows counts at once, so that memory holds; one that falls, over some ten seconds.
        ratePerSecond = max(measured, ratePerSecond * 0.9 + measured * 0.1)
        insert(current)
        groups.removeAll { $0.expiry * Self.second <= now }
        secondStart = now
        seconds = max(Self.minimumSeconds, min(windowSeconds, Int(longestFit(now))))
        current = Group(expiry: roundedExpiry(now), count: 0)
    }

    private mutating func insert(_ group: Group) {
        // Nearly always the window has hardly changed, and the place is near the end.
        let place = groups.lastIndex { $0.expiry <= group.expiry }
        if let place, groups[place].expiry == group.expiry {
            groups[place].count += group.count
        } else if group.count > 0 {
            groups.insert(group, at: place.map { $0 + 1 } ?? 0)
        }
    }

    /// In seconds.
    private func longestFit(_ now: UInt64) -> Double {
        guard ratePerSecond > 0 else { return Double(windowSeconds) }
        // The last tenth is for what the rounding of expiries adds.
        let usual = 0.9 * capacity / ratePerSecond
        var left = Double(groups.reduce(0) { $0 + $1.count })
        var from = 0.0
        for group in groups {
            let fits = (capacity - left) / ratePerSecond
            let until = Double(group.expiry * Self.second - now) / Double(Self.second)
            guard fits >= until else { return min(usual, max(from, fits)) }
            left -= Double(group.count)
            from = until
        }
        return min(usual, Double(windowSeconds))
    }
}
