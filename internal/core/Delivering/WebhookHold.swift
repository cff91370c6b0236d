/// Why a delivery is parked for its webhook's sake. Such deliveries queue in the webhook's lane, so that a backlog drains in order
/// and no faster than the endpoint takes it.
public enum WebhookHold: Sendable, CaseIterable {
    /// As many requests run to it as may, or more than the short queue holds waits for it.
    case busy
    /// Its rate is used up.
    case rateLimited
    /// Its endpoint fails, and nothing is sent to it for a while.
    case breakerOpen
    /// A user paused it.
    case paused
    /// It is switched off.
    case disabled

    /// As it stands in outcomes, records and metrics.
    public var reason: String {
        switch self {
        case .busy: "webhook_busy"
        case .rateLimited: "rate_limited"
        case .breakerOpen: "breaker_open"
        case .paused: "webhook_paused"
        case .disabled: "webhook_disabled"
        }
    }

    /// Whether it may be over within a moment, so that it is worth waiting before the delivery is parked.
    public var isBrief: Bool { self == .busy || self == .rateLimited }

    public var verdict: Verdict { .parked(reason: reason) }

    /// nil where the reason is none of these.
    public init?(reason: String) {
        guard let hold = Self.allCases.first(where: { $0.reason == reason }) else { return nil }
        self = hold
    }
}
