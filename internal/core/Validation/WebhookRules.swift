public import Records

/// What a webhook's fields must be. Every problem is found, not just the first.
public struct WebhookRules: Sendable {
    public static let maximumEventTypes = 100
    public static let maximumDescriptionLength = 1024
    public static let timeoutMs: ClosedRange<UInt32> = 100...30_000
    public static let maxInFlight: ClosedRange<UInt32> = 1...10_000
    public static let ratePerSecond: ClosedRange<UInt32> = 1...1_000_000

    /// Whether endpoints may be on this machine: the development profile.
    public var allowsLoopback: Bool

    /// Ports that URLs may have besides 80 and 443.
    public var allowedPorts: Set<UInt16>

    public init(allowsLoopback: Bool, allowedPorts: Set<UInt16> = []) {
        self.allowsLoopback = allowsLoopback
        self.allowedPorts = allowedPorts
    }

    /// For a new webhook, which needs a URL and event types.
    public func problems(inNew fields: WebhookFields) -> [RequestProblem] {
        var missing: [RequestProblem] = []
        if fields.url == nil { missing.append(RequestProblem(field: "url", .fieldRequired, "is required")) }
        if fields.eventTypes == nil {
            missing.append(RequestProblem(field: "event_types", .fieldRequired, "is required"))
        }
        return missing + problems(in: fields)
    }

    /// For a change: what is absent is not looked at.
    public func problems(in fields: WebhookFields) -> [RequestProblem] {
        var problems: [RequestProblem] = []
        let endpoint = EndpointURL(allowsLoopback: allowsLoopback, allowedPorts: allowedPorts)
        if let url = fields.url, let detail = endpoint.problem(with: url) {
            // Without the value: query parameters are often credentials.
            problems.append(invalid("url", detail))
        }
        if let patterns = fields.eventTypes { problems += Self.problems(inEventTypes: patterns) }
        if let headers = fields.headers { problems += HeaderRules.problems(in: headers) }
        if let value = fields.timeoutMs { problems += Self.problem("timeout_ms", value, Self.timeoutMs) }
        if let value = fields.maxInFlight { problems += Self.problem("max_in_flight", value, Self.maxInFlight) }
        if let value = fields.ratePerSecond {
            problems += Self.problem("rate_per_second", value, Self.ratePerSecond)
        }
        if let text = fields.description, let detail = Self.problem(withDescription: text) {
            problems.append(invalid("description", detail))
        }
        if let retry = fields.retry { problems += RetryRules.problems(in: retry) }
        return problems
    }

    private static func problems(inEventTypes patterns: [String]) -> [RequestProblem] {
        guard (1...maximumEventTypes).contains(patterns.count) else {
            return [invalid("event_types", "has \(patterns.count) entries, 1 to \(maximumEventTypes) are allowed")]
        }
        return patterns.enumerated().compactMap { index, pattern in
            EventTypes.problem(withPattern: pattern).map { invalid("event_types[\(index)]", $0) }
        }
    }

    private static func problem(_ field: String, _ value: UInt32, _ range: ClosedRange<UInt32>) -> [RequestProblem] {
        guard value != 0, !range.contains(value) else { return [] }
        let expected = "\(range.lowerBound) to \(range.upperBound), or 0 for the default"
        return [invalid(field, "is \(value), expected is \(expected)")]
    }

    private static func problem(withDescription text: String) -> String? {
        guard text.utf8.count <= maximumDescriptionLength else {
            return "has \(text.utf8.count) bytes, \(maximumDescriptionLength) are allowed"
        }
        let isText = text.unicodeScalars.allSatisfy { scalar in
            scalar == "\n" || scalar == "\t" || !(scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value))
        }
        return isText ? nil : "has control characters"
    }
}

private func invalid(_ field: String, _ detail: String) -> RequestProblem {
    RequestProblem(field: field, .fieldInvalid, detail)
}
