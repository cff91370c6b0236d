public import Metrics

/// Every metric of history, in one place.
public struct HistoryMetrics: Sendable {
    let stored: Counter
    let repeated: Counter
    let expired: Counter
    let rejected: Counter
    let lost: Counter
    let abandoned: Counter
    let covered: Counter
    let conflicts: Counter
    let failures: Counter
    let batchRows: Histogram
    let batchSeconds: Histogram
    let lag: MetricFamily<Gauge>
    let buffered: Gauge
    let partitions: Gauge
    let sealed: Gauge
    let size: Gauge
    let open: MetricFamily<Gauge>
    let ledger: LedgerMetrics

    public init(_ registry: MetricsRegistry) {
        stored = registry.counter("webhook_history_outcomes_stored_total", help: "Outcomes stored in PostgreSQL.")
        repeated = registry.counter(
            "webhook_history_outcomes_repeated_total", help: "Outcomes that had been appended twice, dropped.")
        expired = registry.counter(
            "webhook_history_outcomes_expired_total", help: "Outcomes older than what is kept, not stored.")
        rejected = registry.counter(
            "webhook_history_rejected_total", help: "Records that could not be stored, in table rejected.")
        lost = registry.counter(
            "webhook_history_lost_total", help: "Records that Kafka's retention took before they were stored.")
        abandoned = registry.counter(
            "webhook_history_abandoned_total", help: "Open deliveries forgotten because their log is gone.")
        covered = registry.counter(
            "webhook_history_covered_offsets_total", help: "Source offsets reported as owing nothing.")
        conflicts = registry.counter(
            "webhook_history_position_conflicts_total",
            help: "Batches dropped because another instance had stored them.")
        failures = registry.counter(
            "webhook_history_store_failures_total", help: "Transactions that failed and were tried again.")
        batchRows = registry.histogram(
            "webhook_history_batch_rows", help: "Entries of a transaction.",
            buckets: [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000])
        batchSeconds = registry.histogram(
            "webhook_history_batch_duration_seconds", help: "How long a transaction took.")
        lag = registry.gauge(
            "webhook_history_lag_records", help: "Records in attempts that are not stored yet.", labels: ["partition"])
        buffered = registry.gauge("webhook_history_buffered_entries", help: "Outcomes read and not stored yet.")
        partitions = registry.gauge("webhook_history_partitions", help: "Hours that are kept.")
        sealed = registry.gauge("webhook_history_partitions_sealed", help: "Hours whose indexes are final.")
        size = registry.gauge("webhook_history_size_bytes", help: "What they take on disk, indexes included.")
        open = registry.gauge(
            "webhook_deliveries_open", help: "Deliveries not delivered, dead or cancelled yet.", labels: ["state"])
        ledger = LedgerMetrics(registry)
    }
}
