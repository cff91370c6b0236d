internal import HTTPSending
internal import Logs
internal import Records
internal import Routing
internal import ServiceSupport
internal import StandardWebhooks
internal import Synchronization

/// Everything a worker looks up while it routes. Immutable: replaced as a whole when a webhook changes, so workers read it without
/// locks.
final class DispatchTable: Sendable {
    struct Tenant: Sendable {
        let source: TenantWebhooks
        /// Positions are those that the index yields.
        let webhooks: [CompiledWebhook?]
    }

    let tenants: [String: Tenant]
    let byID: [String: CompiledWebhook]

    init(tenants: [String: Tenant] = [:], byID: [String: CompiledWebhook] = [:]) {
        self.tenants = tenants
        self.byID = byID
    }

    /// Calls `found` with each enabled webhook of the tenant that takes this type.
    func match(tenant: String, type: String, _ found: (CompiledWebhook) -> Void) {
        guard let part = tenants[tenant] else { return }
        var type = type
        type.withUTF8 { bytes in
            part.source.index.match(UnsafeRawBufferPointer(bytes)) { position in
                if let webhook = part.webhooks[position], webhook.isEnabled { found(webhook) }
            }
        }
    }
}

/// Makes tables out of snapshots: only tenants that changed are compiled anew, and of those only the webhooks that did.
/// Belongs to the thread that the snapshots come on.
final class DispatchTableCompiler {
    private let sealer: SecretSealer
    private let defaults: WebhookDefaults
    private let log: Logger
    private var table = DispatchTable()

    init(sealer: SecretSealer, defaults: WebhookDefaults, log: Logger) {
        self.sealer = sealer
        self.defaults = defaults
        self.log = log
    }

    func compile(_ snapshot: WebhookSnapshot) -> DispatchTable {
        var tenants: [String: DispatchTable.Tenant] = [:]
        var byID: [String: CompiledWebhook] = [:]
        for (name, source) in snapshot.tenants {
            let before = table.tenants[name]
            let tenant =
                if let before, before.source === source { before } else {
                    DispatchTable.Tenant(source: source, webhooks: source.webhooks.map(compile))
                }
            tenants[name] = tenant
            for case let webhook? in tenant.webhooks { byID[webhook.id] = webhook }
        }
        table = DispatchTable(tenants: tenants, byID: byID)
        return table
    }

    /// nil where the webhook cannot be sent to: its URL or its secret is beyond repair here. The registry let neither through, so
    /// this is a wrong sealing key or a foreign record.
    private func compile(_ webhook: Webhook) -> CompiledWebhook? {
        let known = table.byID[webhook.id]
        if let known, known.version == webhook.version { return known }
        let rules = defaults.gateRules(of: webhook)
        let gate = known?.gate ?? SharedGate(rules)
        let isAnother = known.map { $0.url != webhook.url || $0.isEnabled != webhook.enabled } ?? false
        gate.follow(rules, resets: isAnother)
        do {
            return CompiledWebhook(
                webhook, endpoint: try Endpoint(webhook.url), keys: try keys(of: webhook), defaults: defaults,
                gate: gate)
        } catch {
            log.error(
                "a webhook cannot be sent to",
                metadata: [LogKey.webhook: "\(webhook.id)", LogKey.error: "\(error)"])
            return nil
        }
    }

    private func keys(of webhook: Webhook) throws -> [(keys: WebhookSigningKeys, expiresAtMs: Int64)] {
        try webhook.secrets.map { secret in
            let bytes = try sealer.open(secret, of: webhook.id)
            let keys =
                switch secret.kind {
                case .hmac: WebhookSigningKeys(secrets: [try WebhookSecret(key: bytes)])
                case .ed25519: WebhookSigningKeys(privateKeys: [try WebhookPrivateKey(seed: bytes)])
                }
            return (keys, secret.expiresAtMs)
        }
    }
}

/// The present table, for all workers.
final class CurrentTable: Sendable {
    private let table = Mutex(DispatchTable())
    var value: DispatchTable {
        get { table.withLock { $0 } }
        set { table.withLock { $0 = newValue } }
    }
}
