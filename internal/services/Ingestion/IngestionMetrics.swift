internal import Metrics

/// Everything that ingestion counts.
final class IngestionMetrics: Sendable {
    /// Bad requests.
    let refused: Counter
    let unremembered: Counter
    let produced: Counter
    let acknowledgement: Histogram
    let window: Gauge
    private let accepted: Counter
    private let endings: [String: Counter]

    init(_ registry: MetricsRegistry, topic: String) {
        let events = registry.counter(
            "webhook_events_received_total", help: "Events received, by what became of them.", labels: ["result"])
        var endings: [String: Counter] = [:]
        for ending in Ending.allCases { endings[ending.label] = events.labelled(ending.label) }
        self.endings = endings
        accepted = events.labelled(Ending.accepted.label)
        refused = events.labelled("refused")
        unremembered = registry.counter(
            "webhook_events_unremembered_total", help: "Events whose id was not looked up, for Redis was away or slow.")
        produced = registry.counter(
            "webhook_kafka_messages_produced_total", help: "Records acknowledged by Kafka.", labels: ["topic"]
        ).labelled(topic)
        acknowledgement = registry.histogram(
            "webhook_kafka_acknowledgement_seconds", help: "From producing an event to Kafka's acknowledgement.",
            buckets: Histogram.latencyBuckets)
        window = registry.gauge(
            "webhook_events_dedup_window_seconds", help: "How long an id is remembered at the present rate.")
    }

    func count(_ ending: Ending) {
        (ending == .accepted ? accepted : endings[ending.label])?.increment()
    }
}
