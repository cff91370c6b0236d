internal import JSONScanning

/// What `martlet demo` was asked for.
public struct DemoOptions: Sendable {
    public var gatewayURL = "http://127.0.0.1:8080"
    public var ingestionURL = "http://127.0.0.1:8082"
    public var username = "admin"
    public var password = "password"
    /// For each of the demo's three parts.
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
public struct DemoResult: Sendable, Equatable {
    public var delivered: Delivered
    public var retried: Retried
    public var requeued: Requeued

    /// An event that arrived at once.
    public struct Delivered: Sendable, Equatable {
        public var eventID: String
        public var webhookID: String
        public var deliveryID: String
        /// As the API tells them, oldest first.
        public var attempts: [Attempt]
        /// From the request that sent the event to the arrival at the receiver.
        public var arrivedAfterMilliseconds: Int
    }

    /// An event that arrived after failures.
    public struct Retried: Sendable, Equatable {
        public var eventID: String
        public var webhookID: String
        public var deliveryID: String
        public var attempts: [Attempt]
        /// For each retry, how long after its due time it arrived.
        public var lateMilliseconds: [Int]
    }

    /// An event that was given up, and arrived when it was requeued.
    public struct Requeued: Sendable, Equatable {
        public var eventID: String
        public var webhookID: String
        /// The delivery that was given up, and why.
        public var deadID: String
        public var reason: String
        /// The one that its requeuing made.
        public var deliveryID: String
    }

    public struct Attempt: Sendable, Equatable {
        public var outcome: String
        /// From 1.
        public var number: Int
        /// nil where the endpoint did not answer.
        public var status: Int?
        public var durationMilliseconds: Double?
        /// When the next one is due, in milliseconds since 1970; nil where none follows.
        public var dueAtMs: Int64?
    }

    /// The first event's members are the object's own, those of the others in objects of theirs.
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("event_id", delivered.eventID)
            writer.member("webhook_id", delivered.webhookID)
            writer.member("delivery_id", delivered.deliveryID)
            writer.member("arrived_after_ms", delivered.arrivedAfterMilliseconds)
            write(delivered.attempts, to: &writer)
            writer.key("retried")
            writer.object { writer in
                writer.member("event_id", retried.eventID)
                writer.member("webhook_id", retried.webhookID)
                writer.member("delivery_id", retried.deliveryID)
                writer.key("late_ms")
                writer.array { writer in for late in retried.lateMilliseconds { writer.integer(late) } }
                write(retried.attempts, to: &writer)
            }
            writer.key("requeued")
            writer.object { writer in
                writer.member("event_id", requeued.eventID)
                writer.member("webhook_id", requeued.webhookID)
                writer.member("dead_delivery_id", requeued.deadID)
                writer.member("reason", requeued.reason)
                writer.member("delivery_id", requeued.deliveryID)
            }
        }
    }

    private func write(_ attempts: [Attempt], to writer: inout JSONWriter) {
        writer.key("attempts")
        writer.array { writer in for attempt in attempts { attempt.write(to: &writer) } }
    }
}

extension DemoResult.Attempt {
    /// As the API tells it; nil for something else.
    init?(_ answer: JSONValue) {
        guard let outcome = answer["outcome"]?.text, let number = answer["attempt"]?.integer else { return nil }
        self.init(
            outcome: outcome, number: number, status: answer["status"]?.integer,
            durationMilliseconds: answer["duration_ms"]?.number,
            dueAtMs: answer["due_at"]?.text.flatMap { milliseconds(rfc3339: $0) })
    }

    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("outcome", outcome)
            writer.member("attempt", number)
            writer.key("status")
            if let status { writer.integer(status) } else { writer.null() }
            writer.key("duration_ms")
            if let durationMilliseconds { writer.double(durationMilliseconds) } else { writer.null() }
            writer.member("due_at", time: dueAtMs ?? 0)
        }
    }

    /// For a person.
    var text: String {
        let answer = status.map { "status \($0)" } ?? "no answer"
        return "\(number): \(printable(outcome)), \(answer)" + (durationMilliseconds.map { " in \($0) ms" } ?? "")
    }
}
