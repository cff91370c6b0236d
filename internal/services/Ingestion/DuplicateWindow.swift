/// How long ids are remembered: the configured window, or what the configured memory holds at the present rate, whichever is less.
/// Times are monotonic nanoseconds.
///
///     256 MiB at 130 B an id:   2,064,888 ids   at   10/s: 24 h (the window)   at 1,000/s: 34 min   at 10,000/s: 3 min 26 s
///
/// Ids that were remembered at a lower rate, for longer, are still there when the rate grows. So the window is the longest time `w`
/// for which, at every moment `t` of it, what is left of them and what has come since fit:
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
    /// Less would not even catch a producer that tries again at once. Only a rate of `capacity` in that time exceeds the memory.
    static let minimumSeconds = DuplicateFilter.pendingSeconds
    private static let second: UInt64 = 1_000_000_000
    private static let bucketCount = 1_024

    private let windowSeconds: Int
    private let capacity: Double
    private let bucketNanoseconds: UInt64
    /// Ids by their expiry: the bucket of a time is its number modulo their count. `head` is the number of the first one that is still to expire.
    private var buckets = [Int](repeating: 0, count: bucketCount)
    private var head: UInt64
    private var remembered = 0
    private var secondStart: UInt64
    private var countOfSecond = 0
    private var ratePerSecond = 0.0
    /// The present window.
    private(set) var seconds: Int

    init(windowSeconds: Int, memoryBytes: Int, now: UInt64) {
        self.windowSeconds = windowSeconds
        capacity = Double(memoryBytes / Self.bytesPerID)
        // The longest expiry has to lie within the buckets.
        bucketNanoseconds = UInt64(windowSeconds / (Self.bucketCount - 2) + 1) * Self.second
        head = now / bucketNanoseconds
        secondStart = now
        seconds = windowSeconds
    }

    /// One id is remembered. Returns for how many seconds it should be.
    mutating func remember(now: UInt64) -> Int {
        if now >= secondStart + Self.second { endSecond(now) }
        countOfSecond += 1
        remembered += 1
        buckets[slot((now + UInt64(seconds) * Self.second) / bucketNanoseconds)] += 1
        return seconds
    }

    private func slot(_ number: UInt64) -> Int { Int(number % UInt64(Self.bucketCount)) }

    private mutating func endSecond(_ now: UInt64) {
        let measured = Double(countOfSecond) * Double(Self.second) / Double(now - secondStart)
        // A rate that grows counts at once, so that memory holds; one that falls, over some ten seconds.
        ratePerSecond = max(measured, ratePerSecond * 0.9 + measured * 0.1)
        secondStart = now
        countOfSecond = 0
        expire(now)
        seconds = max(Int(Self.minimumSeconds), min(windowSeconds, Int(longestFit(now))))
    }

    private mutating func expire(_ now: UInt64) {
        let current = now / bucketNanoseconds
        for number in head..<min(max(head, current), head + UInt64(Self.bucketCount)) {
            remembered -= buckets[slot(number)]
            buckets[slot(number)] = 0
        }
        head = current
    }

    /// In seconds.
    private func longestFit(_ now: UInt64) -> Double {
        guard ratePerSecond > 0 else { return Double(windowSeconds) }
        var left = Double(remembered)
        var from = 0.0
        for number in head..<(head + UInt64(Self.bucketCount)) {
            let fits = (capacity - left) / ratePerSecond
            let until = Double((number + 1) * bucketNanoseconds - now) / Double(Self.second)
            guard fits >= until else { return max(from, fits) }
            left -= Double(buckets[slot(number)])
            from = until
        }
        return from
    }
}
