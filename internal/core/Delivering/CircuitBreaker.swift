/// When a breaker opens, and how it closes again. Times are nanoseconds.
public struct BreakerRules: Equatable, Sendable {
    /// Opens where this part of the requests failed, 0 … 1; above 1: never.
    public var failureRatio: Double
    /// How long a request counts.
    public var window: UInt64
    /// It needs so many requests to open.
    public var minimumRequests: Int
    /// How long it is open before it lets probes through.
    public var openFor: UInt64
    /// Requests that it lets through then, and that must all succeed for it to close.
    public var probes: Int

    public init(failureRatio: Double, window: UInt64, minimumRequests: Int, openFor: UInt64, probes: Int) {
        self.failureRatio = failureRatio
        self.window = window
        self.minimumRequests = minimumRequests
        self.openFor = openFor
        self.probes = probes
    }
}

/// Keeps requests from an endpoint that fails anyway. Times are monotonic nanoseconds.
///
///     closed     everything passes    ─► open        where most of the window's requests failed
///     open       nothing passes       ─► half-open   when it is asked after `openFor`
///     half-open  a few probes pass    ─► closed      when all of them succeeded
///                                     ─► open        when one failed
public struct CircuitBreaker: Sendable {
    public enum State: Equatable, Sendable {
        case closed
        case open(until: UInt64)
        /// - Parameters:
        ///   - running: probes without a result yet.
        ///   - passed: probes that succeeded.
        case halfOpen(running: Int, passed: Int)
    }

    /// What a request that passed brings back. Results of another stretch say nothing: the breaker has decided since.
    public struct Pass: Equatable, Sendable {
        fileprivate var stretch: UInt32
    }

    /// Requests that ended in one part of the window.
    private struct Tally: Sendable {
        /// Which part, counted from the clock's start.
        var part: UInt64 = 0
        var successes: UInt32 = 0
        var failures: UInt32 = 0
    }

    /// The window slides in this many steps.
    private static let parts: UInt64 = 10

    public private(set) var state = State.closed
    /// Grows with each change of state, so that late results are told apart.
    private var stretch: UInt32 = 0
    private var tallies: [Tally] = []

    public init() {}

    /// nil where the request must not be made.
    public mutating func pass(_ rules: BreakerRules, now: UInt64) -> Pass? {
        switch state {
        case .closed: return Pass(stretch: stretch)
        case .open(let until):
            guard now >= until else { return nil }
            change(to: .halfOpen(running: 1, passed: 0))
            return Pass(stretch: stretch)
        case .halfOpen(let running, let passed):
            guard running + passed < max(1, rules.probes) else { return nil }
            state = .halfOpen(running: running + 1, passed: passed)
            return Pass(stretch: stretch)
        }
    }

    /// False where the breaker has changed since.
    func isCurrent(_ pass: Pass) -> Bool { pass.stretch == stretch }

    /// The request was not made, or its end says nothing about the endpoint.
    public mutating func withdraw(_ pass: Pass) {
        guard isCurrent(pass), case .halfOpen(let running, let passed) = state else { return }
        state = .halfOpen(running: running - 1, passed: passed)
    }

    /// Returns whether it opened or closed because of this.
    public mutating func ended(_ pass: Pass, succeeded: Bool, _ rules: BreakerRules, now: UInt64) -> Bool {
        guard isCurrent(pass) else { return false }
        switch state {
        case .open: return false
        case .closed:
            count(succeeded, rules, now)
            guard !succeeded, isFailing(rules, now) else { return false }
            change(to: .open(until: now + rules.openFor))
            return true
        case .halfOpen(let running, let passed):
            guard succeeded else {
                change(to: .open(until: now + rules.openFor))
                return false
            }
            guard passed + 1 >= max(1, rules.probes) else {
                state = .halfOpen(running: running - 1, passed: passed + 1)
                return false
            }
            change(to: .closed)
            return true
        }
    }

    /// Closes it; requests under way say nothing.
    public mutating func reset() { change(to: .closed) }

    private mutating func change(to new: State) {
        state = new
        stretch &+= 1
        tallies.removeAll(keepingCapacity: true)
    }

    private static func part(_ rules: BreakerRules, _ now: UInt64) -> UInt64 { now / max(1, rules.window / parts) }

    private mutating func count(_ succeeded: Bool, _ rules: BreakerRules, _ now: UInt64) {
        if tallies.isEmpty { tallies = Array(repeating: Tally(), count: Int(Self.parts)) }
        let part = Self.part(rules, now)
        let index = Int(part % Self.parts)
        if tallies[index].part != part { tallies[index] = Tally(part: part) }
        if succeeded { tallies[index].successes += 1 } else { tallies[index].failures += 1 }
    }

    private func isFailing(_ rules: BreakerRules, _ now: UInt64) -> Bool {
        let (all, failures) = counts(rules, now: now)
        return all >= rules.minimumRequests && Double(failures) >= rules.failureRatio * Double(all)
    }

    /// Requests that ended within the window while it was closed, and how many of them failed.
    public func counts(_ rules: BreakerRules, now: UInt64) -> (requests: Int, failures: Int) {
        let part = Self.part(rules, now)
        let counted = tallies.filter { $0.part + Self.parts > part }
        let failures = counted.reduce(0) { $0 + Int($1.failures) }
        return (failures + counted.reduce(0) { $0 + Int($1.successes) }, failures)
    }
}
