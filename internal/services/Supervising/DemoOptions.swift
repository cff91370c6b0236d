/// What `martlet demo` was asked for.
public struct DemoOptions: Sendable {
    public var gatewayURL = "http://127.0.0.1:8080"
    public var ingestionURL = "http://127.0.0.1:8082"
    public var username = "admin"
    public var password = "password"
    /// For the demo as a whole.
    public var timeoutMilliseconds = 60_000
    public var json = false

    public init() {}
}

/// The step of the demo that failed, and why.
public struct DemoError: Error, Equatable, CustomStringConvertible {
    public var step: String
    public var reason: String
    public var description: String { "the demo failed: \(step): \(reason)" }
}

/// What the demo saw.
public struct DemoResult: Sendable, Equatable, Encodable {
    public var eventID: String
    public var webhookID: String
    public var deliveryID: String
    /// As the API tells them, oldest first.
    public var attempts: [Attempt]
    /// From the request that sent the event to the arrival at the receiver.
    public var arrivedAfterMilliseconds: Int

    public struct Attempt: Sendable, Equatable, Codable {
        public var outcome: String
        public var attempt: Int
        public var status: Int?
        public var startedAt: String?
        public var durationMilliseconds: Double?

        private enum CodingKeys: String, CodingKey {
            case outcome, attempt, status
            case startedAt = "started_at"
            case durationMilliseconds = "duration_ms"
        }
    }

    private enum CodingKeys: String, CodingKey {
        case attempts
        case eventID = "event_id"
        case webhookID = "webhook_id"
        case deliveryID = "delivery_id"
        case arrivedAfterMilliseconds = "arrived_after_ms"
    }
}
