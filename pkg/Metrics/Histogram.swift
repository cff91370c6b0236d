internal import Synchronization

/// A distribution, counted in buckets. Any thread, no lock: a search among a dozen bounds and two atomic additions.
///
/// `@unchecked Sendable` because the atomics lie behind a pointer; it is set once and what it points at lives as long as this object.
public final class Histogram: MetricKind, @unchecked Sendable {
    /// Upper bounds in seconds, from half a millisecond to a minute.
    public static let latencyBuckets: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    private let bounds: [Double]
    /// One per bound and one for what lies above them all, each counting its own bucket only; rendering adds them up.
    private let counts: UnsafeMutablePointer<Atomic<UInt64>>
    private let sumBits = Atomic<UInt64>(0)

    init(buckets: [Double]) {
        precondition(zip(buckets, buckets.dropFirst()).allSatisfy(<), "buckets ascend")
        precondition(buckets.allSatisfy(\.isFinite), "the last bucket, +Inf, is always there")
        bounds = buckets
        counts = .allocate(capacity: buckets.count + 1)
        for index in 0...buckets.count { (counts + index).initialize(to: Atomic(0)) }
    }

    deinit {
        counts.deinitialize(count: bounds.count + 1)
        counts.deallocate()
    }

    public func observe(_ value: Double) {
        var index = 0
        while index < bounds.count, !(value <= bounds[index]) { index += 1 }
        counts[index].wrappingAdd(1, ordering: .relaxed)
        sumBits.add(value)
    }

    /// Observes a duration in a histogram of seconds.
    public func observe(nanoseconds: UInt64) { observe(Double(nanoseconds) / 1e9) }

    /// How many values were observed.
    public var count: UInt64 { (0...bounds.count).reduce(0) { $0 + counts[$1].load(ordering: .relaxed) } }

    public var sum: Double { Double(bitPattern: sumBits.load(ordering: .relaxed)) }

    public static var typeName: String { "histogram" }

    public func render(name: String, labels: [(String, String)], to text: inout PrometheusText) {
        var total: UInt64 = 0
        for index in 0...bounds.count {
            total += counts[index].load(ordering: .relaxed)
            let bound = index < bounds.count ? bounds[index] : Double.infinity
            text.sample(name + "_bucket", labels + [("le", PrometheusText.number(bound))], total)
        }
        text.sample(name + "_sum", labels, sum)
        text.sample(name + "_count", labels, total)
    }
}
