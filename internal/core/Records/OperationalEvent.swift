/// What Martlet tells a tenant's own webhooks about one of them, as events like any other. The one it is about is never told: what it
/// does not take would be news about it again.
public enum OperationalEvent: String, Sendable, CaseIterable {
    /// Every request has failed for a while.
    case failing = "martlet.webhook.failing"
    /// It was failing, and a request succeeded.
    case recovered = "martlet.webhook.recovered"
    /// It was switched off: its endpoint answered 410, or failed for too long.
    case disabled = "martlet.webhook.disabled"

    /// As `ce_source`.
    public static let source = "martlet/webhooks"

    /// Whether an event of this type and subject (`ce_subject`) must not be sent to the webhook.
    public static func isAbout(_ webhookID: String, type: String, subject: String) -> Bool {
        subject == webhookID && type.hasPrefix("martlet.webhook.")
    }
}
