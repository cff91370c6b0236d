internal import Metrics

/// Everything the retry-manager counts, in one place.
final class RetryMetrics: Sendable {
    let pending: Gauge
    let due: Gauge
    let parked: Gauge
    let lanes: Gauge
    let inFlight: Gauge
    let partitions: Gauge
    let heldBytes: Gauge
    let fired: Counter
    let firedAgain: Counter
    let released: Counter
    let returned: Counter
    let cancelled: Counter
    let lost: Counter
    let rewrites: Counter
    let rebuilt: Counter
    let refused: Counter
    let cacheHits: Counter
    let cacheMisses: Counter
    let sweeps: Counter
    let sweptRecords: Counter
    let indexed: Counter
    private let lateness: Histogram
    private let position: MetricFamily<Gauge>
    private let lag: MetricFamily<Gauge>

    init(_ registry: MetricsRegistry) {
        pending = registry.gauge(
            "webhook_retries_pending", help: "Deliveries in the index of this process' partitions.")
        due = registry.gauge("webhook_retries_due", help: "Those of them, and lanes, that are due.")
        parked = registry.gauge(
            "webhook_retries_parked", help: "Those of the pending ones that wait in their webhooks' lanes.")
        lanes = registry.gauge(
            "webhook_retry_lanes", help: "Lanes that drain, of all this process' partitions: a webhook has one in each."
        )
        inFlight = registry.gauge("webhook_retries_in_flight", help: "Claimed, and not yet removed from the index.")
        partitions = registry.gauge("webhook_retry_manager_partitions", help: "Partitions of retries owned.")
        heldBytes = registry.gauge("webhook_retry_payload_bytes", help: "Bytes of payloads held for firing.")
        fired = registry.counter("webhook_retries_fired_total", help: "Deliveries written to deliveries.")
        firedAgain = registry.counter(
            "webhook_retries_fired_again_total",
            help: "Claims of deliveries that an owner had claimed before and not removed: fired perhaps twice.")
        released = registry.counter(
            "webhook_retry_lanes_released_total", help: "Deliveries that lanes let go of.")
        returned = registry.counter(
            "webhook_retry_lanes_returned_total", help: "Deliveries that came back to lanes that let go of them.")
        cancelled = registry.counter("webhook_retries_cancelled_total", help: "Deliveries fired to be cancelled.")
        lost = registry.counter(
            "webhook_retries_lost_total", help: "Records that were gone from retries when they were due.")
        rewrites = registry.counter(
            "webhook_retry_rewrites_total", help: "Records that Kafka did not take and that were written again.")
        rebuilt = registry.counter(
            "webhook_retry_index_rebuilds_total", help: "Times that a partition's index was read anew from its log.")
        refused = registry.counter(
            "webhook_retry_index_reopened_total",
            help: "Times that a partition's index was opened again after Redis failed or held something else.")
        cacheHits = registry.counter("webhook_retry_cache_hits_total", help: "Payloads at hand when they were due.")
        cacheMisses = registry.counter(
            "webhook_retry_cache_misses_total", help: "Payloads that had to be read when they were due.")
        sweeps = registry.counter("webhook_retry_sweeps_total", help: "Readings of retries for payloads.")
        sweptRecords = registry.counter("webhook_retry_swept_records_total", help: "Records read for that.")
        indexed = registry.counter("webhook_retry_records_indexed_total", help: "Records of retries indexed.")
        lateness = registry.histogram(
            "webhook_retry_lateness_seconds", help: "From when a delivery was due to when Kafka had it.",
            buckets: Histogram.latencyBuckets)
        position = registry.gauge(
            "webhook_retry_index_position", help: "The next offset to be indexed.", labels: ["partition"])
        lag = registry.gauge(
            "webhook_retry_index_lag", help: "Records between that and the end at the last opening.",
            labels: ["partition"])
    }

    func set(_ counts: IndexCommands.Counts) {
        pending.set(counts.pending)
        due.set(counts.due)
        parked.set(counts.parked)
    }

    func late(milliseconds: Int64) { lateness.observe(Double(max(0, milliseconds)) / 1_000) }

    func at(_ partition: Int32, position: Int64, lag: Int64) {
        let label = String(partition)
        self.position.labelled(label).set(Int(position))
        self.lag.labelled(label).set(Int(lag))
    }
}
