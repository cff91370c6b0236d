/// How many requests of one worker may be young at a time: as many as its loop can serve within a few milliseconds.
///
/// More would only wait for the loop, and each costs the others: libcurl looks through the connections to a host for a free one, and
/// more of everything is in flight than caches hold. A request is young for its first 48 ms; one that takes longer waits for its endpoint,
/// not for this loop, and counts no more, so slow and hanging endpoints leave the window to the others.
///
/// Additive increase where the window was what kept requests from starting, multiplicative decrease after a turn that took too long, as in
/// TCP's congestion avoidance (RFC 5681, 3.1). Times are monotonic nanoseconds.
public struct StartWindow: Sendable {
    public static let minimum = 64
    static let initial = 256
    static let increase = 16
    static let longTurn: UInt64 = 8_000_000
    private static let slice: UInt64 = 6_000_000
    private static let slices = 8
    static let youth = slice * UInt64(slices)

    /// At most so many young ones.
    public private(set) var limit: Int
    private let maximum: Int
    /// Those still running, by the slice of time in which they started, of the last eight slices.
    private var running = [Int](repeating: 0, count: slices)
    private var newest: UInt64 = 0
    private var young = 0
    private var hasHeldBack = false

    /// - Parameter maximum: beyond which it does not grow.
    public init(maximum: Int) {
        self.maximum = max(maximum, 1)
        limit = min(Self.initial, self.maximum)
    }

    /// Whether one more may start.
    public mutating func allowsStart(now: UInt64) -> Bool {
        advance(to: now)
        if young < limit { return true }
        hasHeldBack = true
        return false
    }

    public mutating func started(now: UInt64) {
        advance(to: now)
        running[place(newest)] += 1
        young += 1
    }

    /// - Parameter start: the time that `started` was given.
    public mutating func ended(startedAt start: UInt64, now: UInt64) {
        advance(to: now)
        let number = start / Self.slice
        guard number + UInt64(Self.slices) > newest else { return }
        running[place(number)] -= 1
        young -= 1
    }

    /// A turn of the loop, with all its requests begun and ended, took so long.
    public mutating func turned(nanoseconds: UInt64) {
        if nanoseconds > Self.longTurn {
            limit = max(min(Self.minimum, maximum), limit - limit / 8)
        } else if hasHeldBack {
            limit = min(limit + Self.increase, maximum)
        }
        hasHeldBack = false
    }

    private func place(_ number: UInt64) -> Int { Int(number % UInt64(Self.slices)) }

    /// Forgets what is young no more.
    private mutating func advance(to now: UInt64) {
        let number = now / Self.slice
        guard number > newest else { return }
        for passed in 1...min(number - newest, UInt64(Self.slices)) {
            young -= running[place(newest + passed)]
            running[place(newest + passed)] = 0
        }
        newest = number
    }
}
