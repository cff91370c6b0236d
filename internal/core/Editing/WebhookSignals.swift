public import Records

/// What dispatchers learn of endpoints changes their webhooks.
extension Webhook {
    /// nil where the signal says nothing about this version, or nothing new. Signals may come again, late, and from several dispatchers.
    /// - Parameter disableAfterMs: how long every request must have failed for it to be switched off; 0: never.
    public func applying(_ signal: Signal, disableAfterMs: Int64) -> Webhook? {
        guard signal.webhookID == id, enabled else { return nil }
        var webhook = self
        switch signal.kind {
        case .unspecified: return nil
        case .gone:
            guard signal.webhookVersion >= version else { return nil }
            webhook.disable("the endpoint answered 410 Gone")
        case .failingSince:
            guard signal.webhookVersion >= version else { return nil }
            let since = failingSinceMs == 0 ? signal.sinceMs : failingSinceMs
            if disableAfterMs > 0, signal.atMs - since >= disableAfterMs {
                let hours = (signal.atMs - since) / 3_600_000
                webhook.disable(
                    hours > 0 ? "every request failed for \(hours) h" : "every request failed for too long")
            } else {
                guard failingSinceMs == 0 else { return nil }
                webhook.failingSinceMs = max(1, since)
            }
        case .recovered:
            // Of whatever version: it succeeded after the first failure was told.
            guard failingSinceMs != 0, signal.atMs > failingSinceMs else { return nil }
            webhook.failingSinceMs = 0
        }
        return webhook
    }

    private mutating func disable(_ reason: String) {
        enabled = false
        disabledReason = reason
        failingSinceMs = 0
    }
}

extension OperationalEvent {
    /// What a signal's change is told as; nil: nothing worth telling.
    public init?(from before: Webhook, to after: Webhook) {
        if before.enabled, !after.enabled {
            self = .disabled
        } else if before.failingSinceMs == 0, after.failingSinceMs != 0 {
            self = .failing
        } else if before.failingSinceMs != 0, after.failingSinceMs == 0 {
            self = .recovered
        } else {
            return nil
        }
    }
}
