internal import Synchronization

/// A count that only grows. Any thread; one atomic addition.
public final class Counter: MetricKind {
    private let count = Atomic<UInt64>(0)

    init() {}

    public func increment(by amount: Int = 1) {
        precondition(amount >= 0, "a counter only grows")
        count.wrappingAdd(UInt64(amount), ordering: .relaxed)
    }

    /// Raises the counter to a total that is counted elsewhere (the kernel, a C library); a lower one is ignored.
    public func raise(to total: UInt64) { count.max(total, ordering: .relaxed) }

    public var value: UInt64 { count.load(ordering: .relaxed) }

    public static var typeName: String { "counter" }

    public func render(name: String, labels: [(String, String)], to text: inout PrometheusText) {
        text.sample(name, labels, value)
    }
}

/// A count of fractions, such as seconds, that only grows. Any thread, no lock.
public final class FloatingPointCounter: MetricKind {
    private let bits = Atomic<UInt64>(0)

    init() {}

    public func increment(by amount: Double) {
        precondition(amount >= 0, "a counter only grows")
        bits.add(amount)
    }

    /// Raises the counter to a total that is counted elsewhere; a lower one is ignored.
    public func raise(to total: Double) {
        // The bits of positive Doubles are in the order of their values.
        if total > 0 { bits.max(total.bitPattern, ordering: .relaxed) }
    }

    public var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    public static var typeName: String { "counter" }

    public func render(name: String, labels: [(String, String)], to text: inout PrometheusText) {
        text.sample(name, labels, value)
    }
}

/// A value that goes up and down. Any thread, no lock.
public final class Gauge: MetricKind {
    private let bits = Atomic<UInt64>(0)

    init() {}

    public func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    public func set(_ value: Int) { set(Double(value)) }

    public func increment(by amount: Double = 1) { bits.add(amount) }
    public func decrement(by amount: Double = 1) { bits.add(-amount) }

    public var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    public static var typeName: String { "gauge" }

    public func render(name: String, labels: [(String, String)], to text: inout PrometheusText) {
        text.sample(name, labels, value)
    }
}

extension Atomic where Value == UInt64 {
    /// Adds to a Double kept as its bits.
    func add(_ amount: Double) {
        var old = load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (exchanged, found) = weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if exchanged { return }
            old = found
        }
    }
}
