/// When a failed delivery is tried again, and when it is given up. Times in milliseconds.
///
///     exponential 5 s, ×2, at most 1 h:   5 s  10 s  20 s  40 s  80 s  160 s  320 s  640 s  1280 s  2560 s  1 h  1 h
///     explicit 10s,30s,1m,5m,15m:        10 s  30 s  1 min  5 min  15 min
public struct RetryPolicy: Equatable, Sendable {
    public enum Schedule: Equatable, Sendable {
        case exponential(initialDelayMs: Int64, multiplier: Double, maxRetries: Int)
        case explicit(delaysMs: [Int64])
    }

    public var schedule: Schedule
    /// No delay is longer, not one that an endpoint asks for either.
    public var maxDelayMs: Int64
    /// Each delay is multiplied by a number in 1 − jitter … 1 + jitter, so that what failed together is not tried together.
    public var jitter: Double
    /// Retries for what is perhaps permanent.
    public var maxRetriesWhenUnknown: Int
    /// How long after a parked delivery it is looked at again.
    public var parkedDelayMs: Int64

    public init(
        schedule: Schedule, maxDelayMs: Int64, jitter: Double, maxRetriesWhenUnknown: Int, parkedDelayMs: Int64
    ) {
        self.schedule = schedule
        self.maxDelayMs = maxDelayMs
        self.jitter = jitter
        self.maxRetriesWhenUnknown = maxRetriesWhenUnknown
        self.parkedDelayMs = parkedDelayMs
    }

    public var maxRetries: Int {
        switch schedule {
        case .exponential(_, _, let maxRetries): maxRetries
        case .explicit(let delays): delays.count
        }
    }

    /// What follows a request.
    public enum Next: Equatable, Sendable {
        case delivered
        /// Waits in `retries`; `spent` tells whether an attempt was.
        case again(delayMs: Int64, spent: Bool)
        case giveUp(reason: String)
    }

    /// - Parameters:
    ///   - attempt: requests made for the delivery, this one included.
    ///   - retryAfterMs: what the endpoint asked for.
    ///   - random: a number in 0 ..< 1, for the jitter.
    public func next(after verdict: Verdict, attempt: Int, retryAfterMs: Int64?, random: Double) -> Next {
        switch verdict {
        case .delivered: .delivered
        case .permanent(let reason): .giveUp(reason: reason)
        case .parked: .again(delayMs: jittered(parkedDelayMs, random), spent: false)
        case .retryable: again(attempt, maxRetries, retryAfterMs, random)
        case .unknown: again(attempt, min(maxRetries, maxRetriesWhenUnknown), retryAfterMs, random)
        }
    }

    private func again(_ attempt: Int, _ limit: Int, _ retryAfterMs: Int64?, _ random: Double) -> Next {
        guard attempt <= limit else { return .giveUp(reason: "attempts_exhausted") }
        let own = jittered(baseDelay(attempt), random)
        return .again(delayMs: min(max(own, retryAfterMs ?? 0), maxDelayMs), spent: true)
    }

    /// After the `attempt`-th request (from 1), before jitter.
    func baseDelay(_ attempt: Int) -> Int64 {
        switch schedule {
        case .explicit(let delays): return min(delays[min(attempt, delays.count) - 1], maxDelayMs)
        case .exponential(let initial, let multiplier, _):
            var delay = Double(initial)
            for _ in 1..<max(attempt, 1) {
                delay *= multiplier
                if delay >= Double(maxDelayMs) { return maxDelayMs }
            }
            return min(Int64(delay), maxDelayMs)
        }
    }

    private func jittered(_ delay: Int64, _ random: Double) -> Int64 {
        Int64(Double(delay) * (1 - jitter + 2 * jitter * random))
    }
}
