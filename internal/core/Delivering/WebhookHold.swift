/// Why a delivery is parked for its webhook's sake. Such deliveries queue in the webhook's lane, so that a backlog drains in order
/// and no faster than the endpoint takes it.
public enum WebhookHold: Sendable, CaseIterable {
    /// As many requests run to it as may, or more than the short queue holds waits for it.
    case busy
    /// It is switched off.
    case disabled

    /// As it stands in outcomes, records and metrics.
    public var reason: String {
        switch self {
        case .busy: "webhook_busy"
        case .disabled: "webhook_disabled"
        }
    }

    public var verdict: Verdict { .parked(reason: reason) }

    /// nil where the reason is none of these.
    public init?(reason: String) {
        guard let hold = Self.allCases.first(where: { $0.reason == reason }) else { return nil }
        self = hold
    }
}
