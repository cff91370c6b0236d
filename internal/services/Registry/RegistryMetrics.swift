internal import Metrics

/// Every metric of the registry.
struct RegistryMetrics: Sendable {
    let calls: MetricFamily<Counter>
    let callDuration: MetricFamily<Histogram>
    let changes: MetricFamily<Counter>
    let pendingAnswers: Counter
    let isLeader: Gauge
    let outboxRecords: Gauge
    let published: Counter
    let publishFailures: Counter
    let reconciliations: MetricFamily<Counter>
    let reconciled: MetricFamily<Counter>
    let signals: MetricFamily<Counter>

    init(_ registry: MetricsRegistry) {
        calls = registry.counter(
            "webhook_registry_calls_total", help: "gRPC calls by method and status.", labels: ["method", "code"])
        callDuration = registry.histogram(
            "webhook_registry_call_duration_seconds", help: "How long gRPC calls took.", labels: ["method"])
        changes = registry.counter(
            "webhook_registry_changes_total", help: "Changes of webhooks that were stored, by kind.", labels: ["change"]
        )
        pendingAnswers = registry.counter(
            "webhook_registry_pending_answers_total",
            help: "Changes that were answered before Kafka had acknowledged them.")
        isLeader = registry.gauge(
            "webhook_registry_relay_leader", help: "1 while this process publishes the outbox, else 0.")
        outboxRecords = registry.gauge(
            "webhook_registry_outbox_records", help: "Records that wait to be published, as the leader last saw it.")
        published = registry.counter(
            "webhook_registry_published_total", help: "Records that topic webhooks acknowledged.")
        publishFailures = registry.counter(
            "webhook_registry_publish_failures_total",
            help: "Attempts to publish that failed; they are repeated.")
        reconciliations = registry.counter(
            "webhook_registry_reconciliations_total", help: "Comparisons of the topic with the table, by result.",
            labels: ["result"])
        reconciled = registry.counter(
            "webhook_registry_reconciled_total", help: "Webhooks that a comparison had to put right, by remedy.",
            labels: ["remedy"])
        signals = registry.counter(
            "webhook_registry_signals_total", help: "Signals of the dispatcher, by what was done.", labels: ["result"])
    }
}
