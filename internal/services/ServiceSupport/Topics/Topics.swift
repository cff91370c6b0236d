/// The names of Martlet's topics.
public struct Topics: Sendable, Equatable {
    public let events: String
    public let deliveries: String
    public let attempts: String
    public let retries: String
    public let deadLetters: String
    public let webhooks: String
    public let signals: String

    public init(prefix: String) {
        events = prefix + "events"
        deliveries = prefix + "deliveries"
        attempts = prefix + "attempts"
        retries = prefix + "retries"
        deadLetters = prefix + "dead-letters"
        webhooks = prefix + "webhooks"
        signals = prefix + "signals"
    }

    public var all: [String] { [events, deliveries, attempts, retries, deadLetters, webhooks, signals] }
}
