internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import Routing
internal import WireFormat

/// What is exported about the table.
struct WebhookTableMetrics: Sendable {
    let webhooks: Gauge
    let records: Counter
    let malformed: Counter

    init(_ registry: MetricsRegistry) {
        webhooks = registry.gauge("webhook_table_webhooks", help: "Webhooks in memory, of all tenants.")
        records = registry.counter("webhook_table_records_total", help: "Records read from the topic of webhooks.")
        malformed = registry.counter(
            "webhook_table_malformed_total", help: "Records of the topic of webhooks that could not be understood.")
    }
}

/// Makes snapshots out of the topic's records. Belongs to the follower's thread.
final class WebhookTableBuilder {
    private let logger: Logger
    private let metrics: WebhookTableMetrics
    private var versions = WebhookVersions()
    private var published: [String: TenantWebhooks] = [:]
    private var changedTenants: Set<String> = []
    private var isComplete = false
    /// Something is to be published that `changedTenants` does not tell.
    private var isStale = false

    init(logger: Logger, metrics: WebhookTableMetrics) {
        self.logger = logger
        self.metrics = metrics
    }

    func take(_ record: borrowing Record) {
        let place: Logger.Metadata = [
            LogKey.partition: .stringConvertible(record.partition), LogKey.offset: .stringConvertible(record.offset),
        ]
        take(key: record.key, value: record.value, place: place)
    }

    /// - Parameter place: Where the record is, for the log.
    func take(key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?, place: Logger.Metadata = [:]) {
        metrics.records.increment()
        let id = key.map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard let value else { return changedTenants.formUnion(versions.remove(id)) }
        do throws(WireError) {
            let webhook = try Webhook(decoding: value)
            guard webhook.id == id else { return refuse("the key is not the webhook's id", place) }
            changedTenants.formUnion(versions.apply(webhook))
        } catch {
            refuse("\(error)", place)
        }
    }

    private func refuse(_ reason: String, _ place: Logger.Metadata) {
        metrics.malformed.increment()
        logger.error(
            "malformed webhook record left out",
            metadata: place.merging([LogKey.reason: "\(reason)"]) { _, reason in reason })
    }

    func caughtUp() {
        isComplete = true
        isStale = true
    }

    /// The topic begins again. What is published stays until it has been read.
    func restart() {
        versions = WebhookVersions()
        changedTenants = []
        published = [:]
        isComplete = false
        isStale = false
    }

    /// The table is complete, and not as it was when the last snapshot was taken.
    var hasNews: Bool { isComplete && (isStale || !changedTenants.isEmpty) }

    /// The table as it is now; nil without news. Only the tenants that changed are indexed anew.
    func takeSnapshot() -> WebhookSnapshot? {
        guard hasNews else { return nil }
        for tenant in changedTenants {
            let webhooks = versions.webhooks(of: tenant)
            published[tenant] = webhooks.isEmpty ? nil : TenantWebhooks(webhooks)
        }
        changedTenants = []
        isStale = false
        metrics.webhooks.set(versions.count)
        var snapshot = WebhookSnapshot()
        snapshot.isComplete = true
        snapshot.tenants = published
        return snapshot
    }
}
