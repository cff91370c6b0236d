/// What a token allows. The API's routes name one each.
public enum Scope: String, CaseIterable, Sendable {
    case readWebhooks = "webhooks:read"
    case writeWebhooks = "webhooks:write"
    /// `POST /api/v1/events`, and event-ingestion.
    case writeEvents = "events:write"
    /// Events' states, deliveries, attempts, statistics.
    case readDeliveries = "deliveries:read"
    /// Retrying, cancelling and resending deliveries, tests, requeuing and discarding dead letters.
    case writeDeliveries = "deliveries:write"
}
