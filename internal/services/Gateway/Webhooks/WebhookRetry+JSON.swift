internal import JSONScanning
internal import Records

/// A webhook's own retries, as the API has them.
extension WebhookRetry {
    /// Throws for the first field that is wrong, by its path from the webhook.
    init(json value: JSONValue) throws(JSONFieldError) {
        self.init()
        let path = "retry"
        var input = try JSONFields(value, path: path)
        let delays = Int(Self.delayMs.lowerBound)...Int(Self.delayMs.upperBound)
        if let schedule = try input.integers("schedule_ms", in: delays) {
            guard Self.scheduleCount.contains(schedule.count) else {
                let expected = "\(Self.scheduleCount.lowerBound) to \(Self.scheduleCount.upperBound) delays"
                throw JSONFieldError(path: path + ".schedule_ms", reason: .outOfRange(expected: expected))
            }
            scheduleMs = schedule.map { Int64($0) }
        }
        let firstDelays = Int(Self.firstDelayMs.lowerBound)...Int(Self.firstDelayMs.upperBound)
        initialDelayMs = try input.integer("initial_delay_ms", in: firstDelays).map { Int64($0) }
        backoffMultiplier = try input.number("backoff_multiplier", in: Self.multiplier)
        maxDelayMs = try input.integer("max_delay_ms", in: delays).map { Int64($0) }
        let retries = Int(Self.retries.lowerBound)...Int(Self.retries.upperBound)
        maxRetries = try input.integer("max_retries", in: retries).map { UInt32($0) }
        try input.refuseOthers()
    }

    /// Only what it says: the rest is the system's.
    func write(json writer: inout JSONWriter) {
        writer.object { writer in
            if !scheduleMs.isEmpty {
                writer.key("schedule_ms")
                writer.array { writer in for delay in scheduleMs { writer.integer(delay) } }
            }
            if let initialDelayMs { writer.member("initial_delay_ms", initialDelayMs) }
            if let backoffMultiplier {
                writer.key("backoff_multiplier")
                writer.double(backoffMultiplier)
            }
            if let maxDelayMs { writer.member("max_delay_ms", maxDelayMs) }
            if let maxRetries { writer.member("max_retries", maxRetries) }
        }
    }
}
