internal import Delivering

/// One webhook's gate in one process, and the rules that it goes by now. `GateAccount` looks on.
final class Gate {
    private var gate = WebhookGate()
    private var rules: GateRules
    private var account: GateAccount
    private let world: World

    init(_ webhook: SimulatedWebhook, _ world: World) {
        self.world = world
        rules = Self.rules(webhook, world)
        account = GateAccount(webhook, world.figures.breaker)
    }

    /// What it is told differs from what the account holds it to where a rule is broken on purpose.
    private static func rules(_ webhook: SimulatedWebhook, _ world: World) -> GateRules {
        var rules = GateRules(
            maxInFlight: webhook.limit, ratePerSecond: webhook.ratePerSecond, isPaused: webhook.isPaused,
            breaker: world.figures.breaker)
        switch world.mutation {
        case .limitIgnored: rules.maxInFlight = 1_000
        case .rateIgnored: rules.ratePerSecond = 0
        case .probesIgnored: rules.breaker.probes += 1
        default: break
        }
        return rules
    }

    /// - Parameter resets: whether what the endpoint did before says nothing any more.
    func follow(_ webhook: SimulatedWebhook, resets: Bool) {
        rules = Self.rules(webhook, world)
        guard resets else { return }
        gate.reset()
        account.reset()
    }

    func admit(now: UInt64) -> WebhookGate.Answer {
        let wasClosed = gate.breakerState == .closed
        let answer = gate.admit(rules, now: now)
        if case .admitted = answer, let wrong = account.admitted(isProbe: !wasClosed, now: now) { world.fail(wrong) }
        return answer
    }

    func ended(_ permit: WebhookGate.Permit, _ report: GateReport, now: UInt64) {
        let before = gate.breakerState
        _ = gate.ended(permit, report, rules, now: now, nowMs: world.wallMs)
        account.ended(before, gate.breakerState, report, now: now)
    }
}

/// Counts for itself what a gate lets through.
struct GateAccount {
    private let webhook: SimulatedWebhook
    private let breaker: BreakerRules
    /// Since the breaker opened last.
    private var probes = 0
    private var openUntil: UInt64 = 0
    /// When requests began, as far back as a second.
    private var begun: [UInt64] = []

    init(_ webhook: SimulatedWebhook, _ breaker: BreakerRules) {
        self.webhook = webhook
        self.breaker = breaker
    }

    mutating func reset() { (probes, openUntil) = (0, 0) }

    /// A request begins. Returns what is wrong about that.
    mutating func admitted(isProbe: Bool, now: UInt64) -> String? {
        if now < openUntil { return "a request to \(webhook.id) begins while its breaker is open" }
        if isProbe {
            probes += 1
            if probes > breaker.probes { return "\(probes) probes to \(webhook.id), \(breaker.probes) allowed" }
        }
        guard webhook.ratePerSecond > 0 else { return nil }
        begun = begun.filter { now - $0 < 1_000_000_000 } + [now]
        // What a tenth of a second left over, and one that was put back.
        let most = Int(webhook.ratePerSecond) + max(1, Int(webhook.ratePerSecond) / 10) + 1
        guard begun.count > most else { return nil }
        return "\(begun.count) requests to \(webhook.id) in a second, \(webhook.ratePerSecond) allowed"
    }

    mutating func ended(
        _ before: CircuitBreaker.State, _ after: CircuitBreaker.State, _ report: GateReport, now: UInt64
    ) {
        if case .open = after, before != after {
            openUntil = now + breaker.openFor
            probes = 0
        } else if after == .closed {
            probes = 0
        } else if case .halfOpen(let running, _) = before, case .halfOpen(let left, _) = after, report == .nothing {
            // Withdrawn: another takes its place.
            probes -= running - left
        }
    }
}
