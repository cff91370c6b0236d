public import Records

/// When a failed delivery is tried again, and when it is given up. Times in milliseconds.
///
///     exponential 5 s, ×2, at most 1 h:   5 s  10 s  20 s  40 s  80 s  160 s  320 s  640 s  1280 s  2560 s  1 h  1 h
///     explicit 10s,30s,1m,5m,15m:        10 s  30 s  1 min  5 min  15 min
///     parked from 1 s to 1 min:           1 s   2 s   4 s   8 s  16 s   32 s  1 min  1 min   (a disabled webhook: 1 min at once)
public struct RetryPolicy: Equatable, Sendable {
    /// Exponential delays: the first one, what each further one is multiplied by, and how many there are.
    public var initialDelayMs: Int64
    public var multiplier: Double
    public var maxRetries: Int
    /// No exponential delay is longer, and none that an endpoint asks for.
    public var maxDelayMs: Int64
    /// Explicit delays, which hold as they are written; empty: exponential ones.
    public var scheduleMs: [Int64]
    /// Each delay is multiplied by a number in 1 − jitter … 1 + jitter, so that what failed together is not tried together.
    public var jitter: Double
    /// Retries for what is perhaps permanent.
    public var maxRetriesWhenUnknown: Int
    /// When a parked delivery is looked at again: after the first of these, then after twice as long each time, up to the other.
    public var parkedDelayMs: Int64
    public var maxParkedDelayMs: Int64

    public init(
        initialDelayMs: Int64, multiplier: Double, maxDelayMs: Int64, maxRetries: Int, scheduleMs: [Int64] = [],
        jitter: Double, maxRetriesWhenUnknown: Int = 4, parkedDelayMs: Int64 = 1_000, maxParkedDelayMs: Int64 = 60_000
    ) {
        self.initialDelayMs = initialDelayMs
        self.multiplier = multiplier
        self.maxDelayMs = maxDelayMs
        self.maxRetries = maxRetries
        self.scheduleMs = scheduleMs
        self.jitter = jitter
        self.maxRetriesWhenUnknown = maxRetriesWhenUnknown
        self.parkedDelayMs = parkedDelayMs
        self.maxParkedDelayMs = maxParkedDelayMs
    }

    /// With what a webhook has of its own. What is out of bounds, which no registry lets through, counts as the nearest bound.
    public func overridden(by retry: WebhookRetry?) -> RetryPolicy {
        guard let retry, !retry.isEmpty else { return self }
        var policy = self
        policy.scheduleMs = retry.scheduleMs.prefix(WebhookRetry.scheduleCount.upperBound)
            .map { $0.clamped(to: WebhookRetry.delayMs) }
        policy.multiplier = retry.backoffMultiplier?.clamped(to: WebhookRetry.multiplier) ?? multiplier
        policy.maxRetries = retry.maxRetries.map { Int($0.clamped(to: WebhookRetry.retries)) } ?? maxRetries
        let longest = retry.maxDelayMs?.clamped(to: WebhookRetry.delayMs)
        if let first = retry.initialDelayMs?.clamped(to: WebhookRetry.firstDelayMs) {
            policy.initialDelayMs = first
            // A webhook that wants to wait longer than the system's longest delay is not held to that.
            policy.maxDelayMs = longest ?? max(maxDelayMs, first)
        } else {
            policy.maxDelayMs = longest ?? maxDelayMs
        }
        return policy
    }

    /// How many times what certainly failed for now is tried again.
    public var retries: Int { scheduleMs.isEmpty ? maxRetries : scheduleMs.count }

    /// What follows a request.
    public enum Next: Equatable, Sendable {
        case delivered
        /// Waits in `retries`; `spent` tells whether an attempt was.
        case again(delayMs: Int64, spent: Bool)
        case giveUp(reason: String)
    }

    /// - Parameters:
    ///   - attempt: requests made for the delivery, this one included.
    ///   - parkedBefore: how often the delivery has been parked.
    ///   - retryAfterMs: what the endpoint asked for; of a parked one, when its webhook's gate is worth asking again.
    ///   - random: a number in 0 ..< 1, for the jitter.
    public func next(
        after verdict: Verdict, attempt: Int, parkedBefore: Int, retryAfterMs: Int64?, random: Double
    ) -> Next {
        switch verdict {
        case .delivered: .delivered
        case .permanent(let reason): .giveUp(reason: reason)
        case WebhookHold.disabled.verdict, WebhookHold.paused.verdict:
            .again(delayMs: jittered(maxParkedDelayMs, random), spent: false)
        case .parked:
            .again(delayMs: max(jittered(parkedDelay(parkedBefore), random), retryAfterMs ?? 0), spent: false)
        case .retryable: again(attempt, retries, retryAfterMs, random)
        case .unknown: again(attempt, min(retries, maxRetriesWhenUnknown), retryAfterMs, random)
        }
    }

    private func again(_ attempt: Int, _ limit: Int, _ retryAfterMs: Int64?, _ random: Double) -> Next {
        guard attempt <= limit else { return .giveUp(reason: "attempts_exhausted") }
        let wish = min(retryAfterMs ?? 0, maxDelayMs)
        return .again(delayMs: max(ownDelay(attempt, random), wish), spent: true)
    }

    private func ownDelay(_ attempt: Int, _ random: Double) -> Int64 {
        let delay = jittered(baseDelay(attempt), random)
        return scheduleMs.isEmpty ? min(delay, maxDelayMs) : delay
    }

    /// After the `attempt`-th request (from 1), before jitter.
    func baseDelay(_ attempt: Int) -> Int64 {
        guard scheduleMs.isEmpty else { return scheduleMs[min(max(attempt, 1), scheduleMs.count) - 1] }
        var delay = Double(initialDelayMs)
        for _ in 1..<max(attempt, 1) {
            delay *= multiplier
            if delay >= Double(maxDelayMs) { return maxDelayMs }
        }
        return min(Int64(delay), maxDelayMs)
    }

    /// Before jitter.
    func parkedDelay(_ parkedBefore: Int) -> Int64 {
        var delay = parkedDelayMs
        for _ in 0..<max(parkedBefore, 0) {
            delay *= 2
            if delay >= maxParkedDelayMs { return maxParkedDelayMs }
        }
        return min(delay, maxParkedDelayMs)
    }

    private func jittered(_ delay: Int64, _ random: Double) -> Int64 {
        Int64(Double(delay) * (1 - jitter + 2 * jitter * random))
    }
}

extension Comparable {
    fileprivate func clamped(to range: ClosedRange<Self>) -> Self { max(range.lowerBound, min(self, range.upperBound)) }
}
