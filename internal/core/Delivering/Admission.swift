/// What is known about a delivery when its record has been taken, before any request.
public struct AdmissionFacts: Equatable, Sendable {
    public enum Webhook: Sendable {
        case enabled, disabled
        /// Not in the table: it was deleted, or has not arrived there yet.
        case absent
    }

    /// A user asked for it to be cancelled.
    public var isCancelled = false
    /// The payload was gone when the delivery was due.
    public var isPayloadLost = false
    /// Why no endpoint can be sent the record.
    public var defect: String?
    /// Since the delivery began, in milliseconds; 0 for an event's first turn, however long it lay in Kafka.
    public var ageMs: Int64 = 0
    public var webhook = Webhook.enabled
    /// How often it has been written to `retries`.
    public var generation: UInt32 = 0

    public init() {}
}

/// What becomes of a delivery that was taken.
public enum Admission: Equatable, Sendable {
    case send
    case park(Verdict)
    case giveUp(reason: String)
    case cancel

    /// The first of these that holds: what a user asked for, what cannot be sent, what is too old, what has nowhere to go.
    /// - Parameter maxAgeMs: how long a delivery is tried or waits altogether.
    public init(_ facts: AdmissionFacts, maxAgeMs: Int64) {
        if facts.isCancelled {
            self = .cancel
        } else if facts.isPayloadLost {
            self = .giveUp(reason: "payload_lost")
        } else if let defect = facts.defect {
            self = .giveUp(reason: defect)
        } else if facts.ageMs > maxAgeMs {
            self = .giveUp(reason: "expired")
        } else {
            self = Self.toWebhook(facts)
        }
    }

    private static func toWebhook(_ facts: AdmissionFacts) -> Admission {
        switch facts.webhook {
        case .enabled: .send
        case .disabled: .park(WebhookHold.disabled.verdict)
        // The table may not have it yet.
        case .absent where facts.generation <= 1: .park(.parked(reason: "webhook_unknown"))
        case .absent: .giveUp(reason: "webhook_deleted")
        }
    }
}
