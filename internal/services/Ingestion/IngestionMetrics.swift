internal import Metrics

/// Everything that ingestion counts.
final class IngestionMetrics: Sendable {
    let accepted: Counter
    let duplicates: Counter
    let refused: Counter
    let unavailable: Counter
    let unremembered: Counter
    let produced: Counter
    let acknowledgement: Histogram
    let window: Gauge

    init(_ registry: MetricsRegistry, topic: String) {
        let events = registry.counter(
            "webhook_events_received_total", help: "Events received, by what became of them.", labels: ["result"])
        accepted = events.labelled("accepted")
        duplicates = events.labelled("duplicate")
        refused = events.labelled("refused")
        unavailable = events.labelled("unavailable")
        unremembered = registry.counter(
            "webhook_events_unremembered_total", help: "Events accepted without a look at their id, for Redis was away."
        )
        produced = registry.counter(
            "webhook_kafka_messages_produced_total", help: "Records acknowledged by Kafka.", labels: ["topic"]
        ).labelled(topic)
        acknowledgement = registry.histogram(
            "webhook_kafka_acknowledgement_seconds", help: "From producing an event to Kafka's acknowledgement.",
            buckets: Histogram.latencyBuckets)
        window = registry.gauge(
            "webhook_events_dedup_window_seconds", help: "How long an id is remembered at the present rate.")
    }
}
