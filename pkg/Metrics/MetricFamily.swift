internal import Synchronization

/// A metric for each combination of label values. The number of combinations is bounded: what would be one too many is
/// counted under `other`, so that no input can fill the memory.
public final class MetricFamily<Metric: MetricKind>: Sendable {
    /// Combinations per family, `other` aside.
    public static var maximumCombinations: Int { 512 }

    let name: String
    let help: String
    let labels: [String]
    private let make: @Sendable () -> Metric
    private let children = Mutex<[[String]: Metric]>([:])

    init(name: String, help: String, labels: [String], make: @escaping @Sendable () -> Metric) {
        self.name = name
        self.help = help
        self.labels = labels
        self.make = make
    }

    /// The metric with these label values, in the order in which the labels were registered. Takes a lock: on a hot path keep what
    /// it returns.
    public func labelled(_ values: String...) -> Metric { labelled(values) }

    public func labelled(_ values: [String]) -> Metric {
        precondition(values.count == labels.count, "one value for each label")
        return children.withLock { children in
            if let known = children[values] { return known }
            let isFull = children.count >= Self.maximumCombinations
            let key = isFull ? labels.map { _ in "other" } : values
            if let known = children[key] { return known }
            let made = make()
            children[key] = made
            return made
        }
    }

    /// Every combination used so far.
    public var all: [(labels: [String], metric: Metric)] {
        children.withLock { $0.map { ($0.key, $0.value) } }
    }

    /// Forgets every combination, so that those no longer set vanish: for gauges that a scrape sets anew.
    public func removeAll() { children.withLock { $0.removeAll() } }
}

/// `Counter`, `Gauge` or `Histogram`.
public protocol MetricKind: Sendable {
    /// The word after `# TYPE name`.
    static var typeName: String { get }
    /// Appends the metric's samples.
    func render(name: String, labels: [(String, String)], to text: inout PrometheusText)
}

/// A family whose kind of metric the registry need not know.
protocol RenderedFamily: Sendable {
    func render(to text: inout PrometheusText)
}

extension MetricFamily: RenderedFamily {
    func render(to text: inout PrometheusText) {
        let ordered = all.sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
        guard !ordered.isEmpty else { return }
        text.header(name: name, help: help, type: Metric.typeName)
        for (values, metric) in ordered {
            metric.render(name: name, labels: Array(zip(labels, values)), to: &text)
        }
    }
}
