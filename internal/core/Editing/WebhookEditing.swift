public import Records

/// How a webhook changes. Versions and times are whose transaction it is.
extension Webhook {
    /// Signing secrets at the same time.
    public static let maximumSecrets = 5

    /// With what `fields` say, which must have been checked.
    public func applying(_ fields: WebhookFields) -> Webhook {
        var webhook = self
        if let url = fields.url { webhook.url = url }
        // What another endpoint did, or the same one long ago, says nothing any more.
        if webhook.url != self.url || fields.enabled.map({ $0 != self.enabled }) == true { webhook.failingSinceMs = 0 }
        if let eventTypes = fields.eventTypes { webhook.eventTypes = eventTypes }
        if let headers = fields.headers { webhook.headers = headers }
        if let enabled = fields.enabled {
            webhook.enabled = enabled
            if enabled { webhook.disabledReason = "" }
        }
        if let timeoutMs = fields.timeoutMs { webhook.timeoutMs = timeoutMs }
        if let maxInFlight = fields.maxInFlight { webhook.maxInFlight = maxInFlight }
        if let description = fields.description { webhook.description = description }
        if let hubSignature = fields.hubSignature { webhook.hubSignature = hubSignature }
        if let ratePerSecond = fields.ratePerSecond { webhook.ratePerSecond = ratePerSecond }
        if let paused = fields.paused { webhook.paused = paused }
        if let retry = fields.retry { webhook.retry = retry.isEmpty ? nil : retry }
        return webhook
    }

    /// With `secret` as the newest one. The present ones go on signing for `overlapMs`, or until they expire anyway; what has expired is
    /// dropped. Throws where more than `maximumSecrets` would sign.
    public func rotating(
        to secret: SealedSecret, now: Int64, overlapMs: Int64
    ) throws(RequestProblem) -> Webhook {
        let end = now + overlapMs
        let kept = secrets.filter { $0.isActive(at: now) && overlapMs > 0 }.map { secret in
            var secret = secret
            if secret.expiresAtMs == 0 || secret.expiresAtMs > end { secret.expiresAtMs = end }
            return secret
        }
        guard kept.count < Self.maximumSecrets else {
            let detail = "\(kept.count) secrets sign already; wait until some expire, or rotate without an overlap"
            throw RequestProblem(.tooManySecrets, detail)
        }
        var webhook = self
        webhook.secrets = [secret] + kept
        return webhook
    }

    /// As it is shown: of the secrets only what kind they are and when they expire.
    public var withoutSealedSecrets: Webhook {
        var webhook = self
        for index in webhook.secrets.indices { webhook.secrets[index].sealed = [] }
        return webhook
    }
}
