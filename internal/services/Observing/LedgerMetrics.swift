internal import Metrics

/// Every metric of the ledger, in one place. What is labelled with a partition of `attempts` is told by the instance that reads it.
struct LedgerMetrics: Sendable {
    let covered: MetricFamily<Gauge>
    let committed: MetricFamily<Gauge>
    let uncovered: MetricFamily<Counter>
    let looks: Counter
    let open: Gauge
    let openByPartition: MetricFamily<Gauge>
    let overdue: Gauge

    init(_ registry: MetricsRegistry) {
        covered = registry.gauge(
            "webhook_ledger_covered_offset", help: "Every source offset below it is accounted for in attempts.",
            labels: ["topic", "partition"])
        committed = registry.gauge(
            "webhook_ledger_committed_offset", help: "What the dispatcher had committed when it was last looked at.",
            labels: ["topic", "partition"])
        uncovered = registry.counter(
            "webhook_ledger_uncovered_offsets_total",
            help: "Source offsets below the dispatcher's commit that nothing in attempts accounts for: losses.",
            labels: ["topic"])
        looks = registry.counter(
            "webhook_ledger_looks_total", help: "How often the dispatcher's commits were compared with attempts.")
        open = registry.gauge(
            "webhook_ledger_open_deliveries", help: "Deliveries not delivered, dead or cancelled yet.")
        openByPartition = registry.gauge(
            "webhook_ledger_open_deliveries_by_partition", help: "The same, by the partition of attempts.",
            labels: ["partition"])
        overdue = registry.gauge(
            "webhook_ledger_overdue_deliveries",
            help: "Deliveries open for longer than retry.max_age, and ten minutes past their due time.")
    }
}
