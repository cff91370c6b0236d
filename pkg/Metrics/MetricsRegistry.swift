internal import Synchronization

/// The metrics of one process, rendered for Prometheus.
///
/// Registering takes a lock and belongs to start-up; updating what was registered takes none. Registering a name again with the
/// same kind and labels gives what is there already; with others it is a programming error and traps.
public final class MetricsRegistry: Sendable {
    private struct State {
        var families: [String: any RenderedFamily] = [:]
        var hooks: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    public init() {}

    /// A count that only grows; its name ends in `_total`.
    public func counter(_ name: String, help: String) -> Counter {
        counter(name, help: help, labels: []).labelled()
    }

    public func counter(_ name: String, help: String, labels: [String]) -> MetricFamily<Counter> {
        family(name, help: help, labels: labels) { Counter() }
    }

    /// A count of fractions, such as seconds.
    public func floatingPointCounter(_ name: String, help: String) -> FloatingPointCounter {
        floatingPointCounter(name, help: help, labels: []).labelled()
    }

    public func floatingPointCounter(
        _ name: String, help: String, labels: [String]
    ) -> MetricFamily<FloatingPointCounter> {
        family(name, help: help, labels: labels) { FloatingPointCounter() }
    }

    /// A value that goes up and down.
    public func gauge(_ name: String, help: String) -> Gauge {
        gauge(name, help: help, labels: []).labelled()
    }

    public func gauge(_ name: String, help: String, labels: [String]) -> MetricFamily<Gauge> {
        family(name, help: help, labels: labels) { Gauge() }
    }

    /// A distribution over `buckets`, the ascending upper bounds; seconds unless the name says otherwise.
    public func histogram(
        _ name: String, help: String, buckets: [Double] = Histogram.latencyBuckets
    ) -> Histogram {
        histogram(name, help: help, labels: [], buckets: buckets).labelled()
    }

    public func histogram(
        _ name: String, help: String, labels: [String], buckets: [Double] = Histogram.latencyBuckets
    ) -> MetricFamily<Histogram> {
        family(name, help: help, labels: labels) { Histogram(buckets: buckets) }
    }

    /// Calls `hook` before each rendering, from the thread that scrapes: the place to set gauges that are read, not counted.
    public func onScrape(_ hook: @escaping @Sendable () -> Void) {
        state.withLock { $0.hooks.append(hook) }
    }

    /// All metrics in Prometheus' text format 0.0.4, families in order of their names.
    public func prometheusText() -> [UInt8] {
        for hook in state.withLock({ $0.hooks }) { hook() }
        let families = state.withLock { $0.families }
        var text = PrometheusText()
        for (_, family) in families.sorted(by: { $0.key < $1.key }) { family.render(to: &text) }
        return text.bytes
    }

    /// The content type of `prometheusText`.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private func family<Metric: MetricKind>(
        _ name: String, help: String, labels: [String], make: @escaping @Sendable () -> Metric
    ) -> MetricFamily<Metric> {
        guard PrometheusText.isMetricName(name), labels.allSatisfy(PrometheusText.isLabelName) else {
            fatalError("not a metric's name or labels: \(name) \(labels)")
        }
        return state.withLock { state in
            guard let known = state.families[name] else {
                let made = MetricFamily(name: name, help: help, labels: labels, make: make)
                state.families[name] = made
                return made
            }
            guard let same = known as? MetricFamily<Metric>, same.labels == labels else {
                fatalError("metric \(name) is registered already with another kind or other labels")
            }
            return same
        }
    }
}
