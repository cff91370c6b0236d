internal import JSONScanning
internal import Records

/// Webhooks as the API shows them.
enum WebhookAnswers {
    static func webhook(_ webhook: Webhook) -> [UInt8] {
        var writer = JSONWriter(reserving: 512)
        writer.object { write(webhook, to: &$0) }
        return writer.bytes
    }

    /// After a change. `pending`: it is stored, but dispatchers do not know yet.
    /// - Parameter secret: A new one: shown here and never again.
    static func change(_ webhook: Webhook, pending: Bool, secret: String? = nil) -> [UInt8] {
        var writer = JSONWriter(reserving: 640)
        writer.object { writer in
            write(webhook, to: &writer)
            if let secret { writer.member("secret", secret) }
            writer.member("pending", pending)
        }
        return writer.bytes
    }

    static func list(_ page: ListWebhooksReply) -> [UInt8] {
        var writer = JSONWriter(reserving: 512 * (page.webhooks.count + 1))
        writer.object { writer in
            writer.key("data")
            writer.array { writer in
                for webhook in page.webhooks { writer.object { write(webhook, to: &$0) } }
            }
            writer.key("next")
            if page.next.isEmpty { writer.null() } else { writer.string(page.next) }
        }
        return writer.bytes
    }

    private static func write(_ webhook: Webhook, to writer: inout JSONWriter) {
        writer.member("id", webhook.id)
        writer.member("url", webhook.url)
        writer.key("event_types")
        writer.array { writer in for pattern in webhook.eventTypes { writer.string(pattern) } }
        writer.key("headers")
        writer.object { writer in for header in webhook.headers { writer.member(header.name, header.value) } }
        writer.member("description", webhook.description)
        writer.member("enabled", webhook.enabled)
        writer.key("disabled_reason")
        if webhook.disabledReason.isEmpty { writer.null() } else { writer.string(webhook.disabledReason) }
        writer.member("paused", webhook.paused)
        writer.key("failing_since")
        if webhook.failingSinceMs == 0 { writer.null() } else { writer.time(webhook.failingSinceMs) }
        writer.key("timeout_ms")
        writer.numberOrNull(webhook.timeoutMs)
        writer.key("max_in_flight")
        writer.numberOrNull(webhook.maxInFlight)
        writer.key("rate_per_second")
        writer.numberOrNull(webhook.ratePerSecond)
        writer.member("hub_signature", webhook.hubSignature)
        writer.key("retry")
        if let retry = webhook.retry { retry.write(json: &writer) } else { writer.null() }
        writer.key("secrets")
        writer.array { writer in for secret in webhook.secrets { write(secret, to: &writer) } }
        writer.member("version", webhook.version)
        writer.key("created_at")
        writer.time(webhook.createdAtMs)
        writer.key("updated_at")
        writer.time(webhook.updatedAtMs)
    }

    /// When it stops signing; nothing of the secret itself.
    private static func write(_ secret: SealedSecret, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("kind", "\(secret.kind)")
            writer.key("expires_at")
            if secret.expiresAtMs == 0 { writer.null() } else { writer.time(secret.expiresAtMs) }
        }
    }
}

extension JSONWriter {
    /// `null` for 0, which stands for the system's default.
    fileprivate mutating func numberOrNull(_ number: UInt32) {
        if number == 0 { null() } else { integer(number) }
    }
}
