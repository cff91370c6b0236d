internal import JSONScanning

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
public struct DemoResult: Sendable, Equatable {
    public var eventID: String
    public var webhookID: String
    public var deliveryID: String
    /// As the API tells them, oldest first.
    public var attempts: [Attempt]
    /// From the request that sent the event to the arrival at the receiver.
    public var arrivedAfterMilliseconds: Int

    public struct Attempt: Sendable, Equatable {
        public var outcome: String
        /// From 1.
        public var number: Int
        /// nil where the endpoint did not answer.
        public var status: Int?
        public var durationMilliseconds: Double?
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("event_id", eventID)
            writer.member("webhook_id", webhookID)
            writer.member("delivery_id", deliveryID)
            writer.member("arrived_after_ms", arrivedAfterMilliseconds)
            writer.key("attempts")
            writer.array { writer in
                for attempt in attempts { attempt.write(to: &writer) }
            }
        }
    }
}

extension DemoResult.Attempt {
    /// As the API tells it; nil for something else.
    init?(_ answer: JSONValue) {
        guard let outcome = answer["outcome"]?.text, let number = answer["attempt"]?.integer else { return nil }
        self.init(
            outcome: outcome, number: number, status: answer["status"]?.integer,
            durationMilliseconds: answer["duration_ms"]?.double)
    }

    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("outcome", outcome)
            writer.member("attempt", number)
            writer.key("status")
            if let status { writer.integer(status) } else { writer.null() }
            writer.key("duration_ms")
            if let durationMilliseconds { writer.double(durationMilliseconds) } else { writer.null() }
        }
    }

    /// For a person.
    var text: String {
        let answer = status.map { "status \($0)" } ?? "no answer"
        return "\(number): \(printable(outcome)), \(answer)" + (durationMilliseconds.map { " in \($0) ms" } ?? "")
    }
}
