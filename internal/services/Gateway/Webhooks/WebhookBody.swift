internal import JSONScanning
internal import Records
internal import Validation

/// What a request wants a webhook to be.
enum WebhookBody {
    enum Purpose {
        /// A new webhook: what is absent or `null` has its default.
        case creation
        /// What is absent stays as it is; `null` brings the default back.
        case change
        /// Everything that can be set: what is absent or `null` has its default again.
        case replacement
    }

    /// The fields, checked for presence and type; the registry looks at their values. Throws for the first that is wrong.
    static func fields(_ body: JSONValue, for purpose: Purpose) throws(JSONFieldError) -> WebhookFields {
        var input = try JSONFields(body)
        var fields = WebhookFields()
        fields.url = try input.string("url")
        fields.eventTypes = try input.strings("event_types")
        fields.headers = try input.stringMap("headers")?.map { Webhook.Header(name: $0.key, value: $0.value) }
        fields.enabled = try input.boolean("enabled")
        fields.timeoutMs = try input.number("timeout_ms", WebhookRules.timeoutMs)
        fields.maxInFlight = try input.number("max_in_flight", WebhookRules.maxInFlight)
        fields.ratePerSecond = try input.number("rate_per_second", WebhookRules.ratePerSecond)
        fields.description = try input.string("description")
        fields.hubSignature = try input.boolean("hub_signature")
        fields.retry = try input.value("retry").map { value throws(JSONFieldError) in try WebhookRetry(json: value) }
        try input.refuseOthers()
        for (name, isSet) in [("url", fields.url != nil), ("event_types", fields.eventTypes != nil)] where !isSet {
            // These have no default to go back to.
            guard purpose == .change, !input.contains(name) else { throw JSONFieldError(path: name, reason: .missing) }
        }
        if purpose != .creation {
            fields.setDefaults { purpose == .replacement || input.contains($0) }
        }
        return fields
    }
}

extension WebhookFields {
    /// Gives those that are nil their default, where they are to have it.
    fileprivate mutating func setDefaults(where hasDefault: (String) -> Bool) {
        if headers == nil, hasDefault("headers") { headers = [] }
        if enabled == nil, hasDefault("enabled") { enabled = true }
        if timeoutMs == nil, hasDefault("timeout_ms") { timeoutMs = 0 }
        if maxInFlight == nil, hasDefault("max_in_flight") { maxInFlight = 0 }
        if ratePerSecond == nil, hasDefault("rate_per_second") { ratePerSecond = 0 }
        if description == nil, hasDefault("description") { description = "" }
        if hubSignature == nil, hasDefault("hub_signature") { hubSignature = false }
        if retry == nil, hasDefault("retry") { retry = WebhookRetry() }
    }
}

extension JSONFields {
    /// 0 stands for the system's default.
    fileprivate mutating func number(_ key: String, _ range: ClosedRange<UInt32>) throws(JSONFieldError) -> UInt32? {
        try integer(key, in: 0...Int(range.upperBound)).map { UInt32($0) }
    }
}
