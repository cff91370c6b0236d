/// How long ids are remembered: the configured window, or what the configured memory holds at the present rate, whichever is less.
/// Times are monotonic nanoseconds.
///
///     256 MiB at 150 B an id:   1,789,569 ids   at   10/s: 24 h (the window)   at 1,000/s: 29 min   at 10,000/s: 2 min 58 s
struct DuplicateWindow: Sendable {
    /// What Redis takes for an id: a key of 18 bytes, a value of one, an expiry (measured with Redis 7: 136 B).
    static let bytesPerID = 150
    /// The rate follows the last minute or so.
    private static let period: UInt64 = 10_000_000_000

    private let windowSeconds: Int
    private let capacity: Double
    private var periodStart: UInt64
    private var count = 0
    private var ratePerSecond = 0.0

    init(windowSeconds: Int, memoryBytes: Int, now: UInt64) {
        self.windowSeconds = windowSeconds
        capacity = Double(memoryBytes / Self.bytesPerID)
        periodStart = now
    }

    /// One id was remembered. Returns for how many seconds it should be.
    mutating func remember(now: UInt64) -> Int {
        count += 1
        if now >= periodStart + Self.period {
            let measured = Double(count) * 1e9 / Double(now - periodStart)
            // A rate that grows counts at once, so that memory holds; one that falls, slowly.
            ratePerSecond = max(measured, ratePerSecond * 0.8 + measured * 0.2)
            periodStart = now
            count = 0
        }
        return seconds
    }

    /// The present window.
    var seconds: Int {
        guard ratePerSecond > 0 else { return windowSeconds }
        return max(60, min(windowSeconds, Int(capacity / ratePerSecond)))
    }
}
