internal import Metrics
internal import Synchronization

/// Counts and times a server's answers, by method, route and status.
final class HTTPMetrics: Sendable {
    private struct Key: Hashable {
        let method: String
        let route: String
        let status: Int
    }

    private struct Series: Sendable {
        let requests: Counter
        let duration: Histogram
    }

    private static let methods: Set<String> = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    private let requests: MetricFamily<Counter>
    private let durations: MetricFamily<Histogram>
    /// Found by one look-up; the families' own is by arrays of strings. The last one is nearly always the next one too.
    private let series = Mutex<(all: [Key: Series], last: (key: Key, series: Series)?)>(([:], nil))

    init(_ registry: MetricsRegistry) {
        requests = registry.counter(
            "webhook_http_requests_total", help: "Requests answered, by route and status.",
            labels: ["method", "route", "status"])
        durations = registry.histogram(
            "webhook_http_request_duration_seconds", help: "From a request's arrival to its answer.",
            labels: ["method", "route"])
    }

    /// - Parameter route: A route's pattern, never a path: labels are bounded.
    func answered(method: String, route: String, status: Int, nanoseconds: UInt64) {
        let key = Key(method: method, route: route, status: status)
        let found = find(key) ?? add(key)
        found.requests.increment()
        found.duration.observe(nanoseconds: nanoseconds)
    }

    private func find(_ key: Key) -> Series? {
        series.withLock { series in
            if let last = series.last, last.key == key { return last.series }
            guard let found = series.all[key] else { return nil }
            series.last = (key, found)
            return found
        }
    }

    /// A client may send any method: those that no route has are one, and make no entry.
    private func add(_ key: Key) -> Series {
        let isKnown = Self.methods.contains(key.method)
        let method = isKnown ? key.method : "other"
        let made = Series(
            requests: requests.labelled(method, key.route, "\(key.status)"),
            duration: durations.labelled(method, key.route))
        if isKnown { series.withLock { $0.all[key] = made } }
        return made
    }
}
