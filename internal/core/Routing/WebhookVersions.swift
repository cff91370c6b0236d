public import Records

/// The newest state of each webhook, from topic `webhooks`, by tenant. What is older than what is known is ignored, so records
/// may repeat or arrive out of order.
public struct WebhookVersions: Sendable {
    private var byID: [String: Webhook] = [:]
    private var idsByTenant: [String: Set<String>] = [:]

    public init() {}

    public var count: Int { byID.count }

    public subscript(id: String) -> Webhook? { byID[id] }

    /// The tenant's webhooks in a stable order.
    public func webhooks(of tenant: String) -> [Webhook] {
        (idsByTenant[tenant] ?? []).sorted().compactMap { byID[$0] }
    }

    public var tenants: some Collection<String> { idsByTenant.keys }

    /// Takes a record; returns the tenants whose webhooks it changed (two where a webhook changed hands, none where it is old).
    public mutating func apply(_ webhook: Webhook) -> [String] {
        if let known = byID[webhook.id], known.version >= webhook.version { return [] }
        let before = byID.updateValue(webhook, forKey: webhook.id)?.tenant
        if let before, before != webhook.tenant { forget(webhook.id, of: before) }
        idsByTenant[webhook.tenant, default: []].insert(webhook.id)
        return before == nil || before == webhook.tenant ? [webhook.tenant] : [before!, webhook.tenant]
    }

    /// Takes a tombstone; returns the tenants it changed.
    public mutating func remove(_ id: String) -> [String] {
        guard let webhook = byID.removeValue(forKey: id) else { return [] }
        forget(id, of: webhook.tenant)
        return [webhook.tenant]
    }

    private mutating func forget(_ id: String, of tenant: String) {
        idsByTenant[tenant]?.remove(id)
        if idsByTenant[tenant]?.isEmpty == true { idsByTenant[tenant] = nil }
    }
}
