public import Records
public import Routing

/// One tenant's webhooks and which events they take. Never changes: a change makes another one, so that whoever keeps something
/// per webhook can see by identity (`===`) that nothing has to be done for a tenant.
public final class TenantWebhooks: Sendable {
    /// In the order of their ids; what `index` yields are positions here.
    public let webhooks: [Webhook]
    /// Of all of them, disabled ones too: what to do with those is decided where an event is routed.
    public let index: RoutingIndex

    init(_ webhooks: [Webhook]) {
        self.webhooks = webhooks
        index = RoutingIndex(patterns: webhooks.map(\.eventTypes))
    }
}

/// All webhooks as they were at one time.
public struct WebhookSnapshot: Sendable {
    /// Grows with each change.
    public internal(set) var revision: UInt64 = 0
    /// Whether the topic has been read to the end that it had at the start. Before that, webhooks may be missing.
    public internal(set) var isComplete = false
    public internal(set) var tenants: [String: TenantWebhooks] = [:]

    public init() {}

    /// As it is once these are all that the topic holds.
    package init(_ webhooks: [Webhook]) {
        revision = 1
        isComplete = true
        tenants = Dictionary(grouping: webhooks, by: \.tenant)
            .mapValues { TenantWebhooks($0.sorted { $0.id < $1.id }) }
    }

    /// nil where the tenant has none.
    public func webhooks(of tenant: String) -> TenantWebhooks? { tenants[tenant] }
}
