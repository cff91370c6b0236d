internal import Delivering
internal import Synchronization

/// A webhook's gate and the rules that it goes by now: the only thing about deliveries that workers share. The rules are those of
/// the newest table, whatever version of the webhook a delivery was routed with: so a pause holds for what waits already.
final class SharedGate: Sendable {
    private struct State {
        var gate = WebhookGate()
        var rules: GateRules
    }

    private let state: Mutex<State>

    init(_ rules: GateRules) { state = Mutex(State(rules: rules)) }

    /// - Parameter resets: whether what the endpoint did before says nothing any more.
    func follow(_ rules: GateRules, resets: Bool) {
        state.withLock { state in
            state.rules = rules
            if resets { state.gate.reset() }
        }
    }

    func admit(now: UInt64) -> WebhookGate.Answer { state.withLock { $0.gate.admit($0.rules, now: now) } }

    func standing(now: UInt64) -> GateStanding { state.withLock { $0.gate.standing($0.rules, now: now) } }

    func ended(_ permit: WebhookGate.Permit, _ report: GateReport, now: UInt64, nowMs: Int64) -> GateNews {
        state.withLock { $0.gate.ended(permit, report, $0.rules, now: now, nowMs: nowMs) }
    }
}
