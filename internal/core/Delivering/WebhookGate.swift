/// What a webhook's requests are held to.
public struct GateRules: Equatable, Sendable {
    /// Requests that may run at a time.
    public var maxInFlight: Int
    /// 0: any.
    public var ratePerSecond: UInt32
    public var isPaused: Bool
    public var breaker: BreakerRules
    /// Since when every request has failed, as the registry was told (milliseconds since 1970); 0: it was not.
    public var reportedFailing: Int64
    /// How long that may last before the registry is told again, so that it switches the webhook off (milliseconds); 0: for ever.
    public var disableAfterMs: Int64

    public init(
        maxInFlight: Int, ratePerSecond: UInt32 = 0, isPaused: Bool = false, breaker: BreakerRules,
        reportedFailing: Int64 = 0, disableAfterMs: Int64 = 0
    ) {
        self.maxInFlight = maxInFlight
        self.ratePerSecond = ratePerSecond
        self.isPaused = isPaused
        self.breaker = breaker
        self.reportedFailing = reportedFailing
        self.disableAfterMs = disableAfterMs
    }
}

/// How a request ended, as far as the gate needs to know.
public enum GateReport: Equatable, Sendable {
    case success
    case failure(overloaded: Bool)
    /// It was not made after all, or it ended through no doing of the endpoint.
    case nothing

    public init(_ verdict: Verdict, _ effects: Effects) {
        switch verdict {
        case .delivered: self = .success
        case .retryable, .unknown, .permanent: self = .failure(overloaded: effects.contains(.overloaded))
        case .parked: self = .nothing
        }
    }
}

/// What others are to be told.
public struct GateNews: Equatable, Sendable {
    /// The breaker opened or closed.
    public var isOpen: Bool?
    /// Every request has failed since (monotonic nanoseconds), and for long enough to say so.
    public var failingSince: UInt64?
    /// A request succeeded after that had been told.
    public var hasRecovered = false

    public init() {}
}

/// How a gate stands, for people to see.
public struct GateStanding: Equatable, Sendable {
    public var breaker: CircuitBreaker.State
    /// Those that count for the breaker while it is closed, and how many of them failed.
    public var requests: Int
    public var failures: Int
    public var running: Int
    /// How many may run at present.
    public var limit: Int
    /// Since when every request has failed (monotonic nanoseconds); nil: the last one succeeded, or there was none.
    public var failingSince: UInt64?
}

/// Decides which requests to one webhook start: pause, breaker, rate and the limit of those that run. One for all workers of a
/// process. Times are monotonic nanoseconds.
public struct WebhookGate: Sendable {
    public enum Answer: Sendable {
        /// Whatever becomes of the request must be told by `ended`.
        case admitted(Permit)
        /// - Parameter until: when asking again may be worth it; nil: unknown.
        case held(WebhookHold, until: UInt64?)
    }

    public struct Permit: Equatable, Sendable {
        fileprivate var pass: CircuitBreaker.Pass
        fileprivate var round: AdaptiveLimit.Round
    }

    public private(set) var running = 0
    private var breaker = CircuitBreaker()
    private var limit = AdaptiveLimit()
    private var bucket = TokenBucket()
    private var failingSince: UInt64?
    /// When that was told.
    private var toldAt: UInt64?
    /// The report of failing whose end was told.
    private var recoveredFrom: Int64 = 0

    public init() {}

    public var breakerState: CircuitBreaker.State { breaker.state }

    public func standing(_ rules: GateRules, now: UInt64) -> GateStanding {
        let counts = breaker.counts(rules.breaker, now: now)
        return GateStanding(
            breaker: breaker.state, requests: counts.requests, failures: counts.failures, running: running,
            limit: limit(rules), failingSince: failingSince)
    }

    public func limit(_ rules: GateRules) -> Int { limit.value(maximum: rules.maxInFlight) }

    public mutating func admit(_ rules: GateRules, now: UInt64) -> Answer {
        if rules.isPaused { return .held(.paused, until: nil) }
        if case .open(let until) = breaker.state, now < until { return .held(.breakerOpen, until: until) }
        guard running < limit(rules) else { return .held(.busy, until: nil) }
        guard bucket.take(perSecond: rules.ratePerSecond, now: now) else { return .held(.rateLimited, until: nil) }
        guard let pass = breaker.pass(rules.breaker, now: now) else {
            bucket.putBack()
            return .held(.breakerOpen, until: nil)
        }
        running += 1
        return .admitted(Permit(pass: pass, round: limit.round))
    }

    /// - Parameter nowMs: the same moment as `now`, in milliseconds since 1970.
    public mutating func ended(
        _ permit: Permit, _ report: GateReport, _ rules: GateRules, now: UInt64, nowMs: Int64
    ) -> GateNews {
        var news = GateNews()
        switch report {
        case .nothing: breaker.withdraw(permit.pass)
        case .success:
            limit.succeeded(permit.round, running: running, maximum: rules.maxInFlight)
            if breaker.ended(permit.pass, succeeded: true, rules.breaker, now: now) { news.isOpen = false }
            news.hasRecovered = toldAt != nil || (rules.reportedFailing != 0 && rules.reportedFailing != recoveredFrom)
            if news.hasRecovered { recoveredFrom = rules.reportedFailing }
            (failingSince, toldAt) = (nil, nil)
        case .failure(let overloaded):
            let isCurrent = breaker.isCurrent(permit.pass)
            if overloaded { limit.overloaded(permit.round, maximum: rules.maxInFlight) }
            if breaker.ended(permit.pass, succeeded: false, rules.breaker, now: now) { news.isOpen = true }
            if isCurrent { news.failingSince = failed(rules, hasOpened: news.isOpen == true, now, nowMs) }
        }
        running -= 1
        return news
    }

    /// Said when it has lasted as long as the breaker's window, or has opened the breaker, and again when it is time to switch the webhook
    /// off. Said anew each window until the registry has heeded it: it ignores what is said about another version than the present one.
    private mutating func failed(_ rules: GateRules, hasOpened: Bool, _ now: UInt64, _ nowMs: Int64) -> UInt64? {
        let since = failingSince ?? now
        failingSince = since
        let window = rules.breaker.window
        if rules.reportedFailing == 0 {
            guard hasOpened || toldAt != nil || now - min(now, since) >= window else { return nil }
        } else {
            guard rules.disableAfterMs > 0, nowMs - rules.reportedFailing >= rules.disableAfterMs else { return nil }
        }
        if let toldAt, now - min(now, toldAt) < min(window, Self.patience) { return nil }
        toldAt = now
        return since
    }

    /// How long the registry may take to heed what it was told.
    private static let patience: UInt64 = 60_000_000_000

    /// The webhook was changed, so that what its endpoint did before says nothing any more. Requests that run still count; how they
    /// end does not.
    public mutating func reset() {
        breaker.reset()
        limit.reset()
        (failingSince, toldAt, recoveredFrom) = (nil, nil, 0)
    }
}
