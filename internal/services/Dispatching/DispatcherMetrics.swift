internal import Delivering
internal import Metrics
internal import Records
internal import Synchronization

/// Everything the dispatcher counts, in one place.
final class DispatcherMetrics: Sendable {
    let attempts: Counter
    let parked: MetricFamily<Counter>
    let breakers: MetricFamily<Counter>
    let skipped: Counter
    let rewrites: Counter
    let commits: Counter
    let commitFailures: Counter
    let lost: Counter
    let assigned: Gauge
    let memoryPauses: Counter
    private let records: Counter
    private let successes: Counter
    private let failures: MetricFamily<Counter>
    /// By the kind's number.
    private let outcomes: [Counter]
    private let duration: Histogram
    private let latency: Histogram
    private let inFlight: MetricFamily<Gauge>
    private let heldBytes: MetricFamily<Gauge>
    private let paused: MetricFamily<Gauge>

    init(_ registry: MetricsRegistry) {
        attempts = registry.counter("webhook_delivery_attempts_total", help: "Requests started.")
        successes = registry.counter(
            "webhook_delivery_success_total", help: "Requests that an endpoint answered with 2xx.")
        failures = registry.counter(
            "webhook_delivery_failures_total", help: "Requests that failed, by what they mean.", labels: ["verdict"])
        duration = registry.histogram(
            "webhook_delivery_duration_seconds", help: "From the request's start to its answer.",
            buckets: Histogram.latencyBuckets)
        latency = registry.histogram(
            "webhook_delivery_latency_seconds", help: "From the event's timestamp in Kafka to its first delivery.",
            buckets: Histogram.latencyBuckets)
        let settled = registry.counter(
            "webhook_delivery_outcomes_total", help: "Outcomes acknowledged in attempts, by kind.", labels: ["kind"])
        outcomes = Outcome.Kind.allCases.map { settled.labelled($0.name) }
        parked = registry.counter(
            "webhook_delivery_parked_total", help: "Deliveries put aside without a request, by reason.",
            labels: ["reason"])
        breakers = registry.counter(
            "webhook_dispatcher_breaker_changes_total", help: "Breakers of webhooks that opened or closed.",
            labels: ["to"])
        skipped = registry.counter(
            "webhook_delivery_skipped_total",
            help: "Deliveries found settled in attempts when a partition was taken over.")
        rewrites = registry.counter(
            "webhook_kafka_rewrites_total", help: "Records that Kafka did not take and that were written again.")
        records = registry.counter("webhook_kafka_messages_consumed_total", help: "Records taken from source topics.")
        commits = registry.counter("webhook_kafka_commits_total", help: "Offset commits answered.")
        commitFailures = registry.counter("webhook_kafka_commit_failures_total", help: "Offset commits refused.")
        lost = registry.counter(
            "webhook_events_lost_total", help: "Source records that retention took before they were read.")
        assigned = registry.gauge("webhook_dispatcher_partitions", help: "Source partitions owned.")
        inFlight = registry.gauge(
            "webhook_dispatcher_in_flight", help: "Requests under way.", labels: ["worker"])
        heldBytes = registry.gauge(
            "webhook_dispatcher_held_bytes", help: "Bytes of payload held.", labels: ["worker"])
        paused = registry.gauge(
            "webhook_dispatcher_paused_partitions",
            help: "Source partitions of which nothing is taken, because the worker holds as much as it may.",
            labels: ["worker"])
        memoryPauses = registry.counter(
            "webhook_dispatcher_memory_pauses_total", help: "Times that a worker came to hold as much as it may.")
    }

    func consumed(_ count: Int) { records.increment(by: count) }

    func finished(_ verdict: Verdict, microseconds: Int64) {
        duration.observe(Double(microseconds) / 1e6)
        switch verdict {
        case .delivered: successes.increment()
        case .retryable: failures.labelled("retryable").increment()
        case .unknown: failures.labelled("unknown").increment()
        case .permanent: failures.labelled("permanent").increment()
        case .parked: failures.labelled("parked").increment()
        }
    }

    func settled(_ delivery: Delivery) {
        let kind = delivery.outcome.kind
        outcomes[Int(kind.rawValue)].increment()
        if kind == .delivered, delivery.generation == 0 {
            let ended = delivery.outcome.startedAtMs + Int64(delivery.outcome.durationUs / 1_000)
            latency.observe(Double(max(0, ended - delivery.source.timestamp)) / 1_000)
        }
    }

    /// What one worker sets at the end of each turn: looked up once.
    struct WorkerGauges: Sendable {
        let inFlight: Gauge
        let heldBytes: Gauge
        let paused: Gauge
    }

    func gauges(ofWorker number: Int) -> WorkerGauges {
        let worker = String(number)
        return WorkerGauges(
            inFlight: inFlight.labelled(worker), heldBytes: heldBytes.labelled(worker), paused: paused.labelled(worker))
    }
}
