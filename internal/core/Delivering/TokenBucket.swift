/// So many requests a second, spread evenly: what was not used is kept for a tenth of a second at most. Times are monotonic
/// nanoseconds.
public struct TokenBucket: Sendable {
    private var tokens = 0.0
    private var filledAt: UInt64?

    public init() {}

    /// Takes a token, where there is one.
    /// - Parameter perSecond: 0: there always is.
    public mutating func take(perSecond: UInt32, now: UInt64) -> Bool {
        guard perSecond > 0 else { return true }
        let room = max(1, Double(perSecond) / 10)
        if let filledAt {
            let seconds = Double(now - min(now, filledAt)) / 1e9
            tokens = min(room, tokens + seconds * Double(perSecond))
        } else {
            tokens = room
        }
        filledAt = max(now, filledAt ?? 0)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }

    /// The request was not made after all.
    public mutating func putBack() { tokens += 1 }
}
