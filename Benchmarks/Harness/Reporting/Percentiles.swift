import Glibc
import JSONScanning
import Metrics

extension HdrHistogram {
    /// What is told of a distribution: milliseconds of recorded nanoseconds.
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("count", count)
            for (name, percent) in Percentiles.named {
                writer.key(name)
                writer.double(Double(percentile(percent)) / 1e6)
            }
            writer.key("max")
            writer.double(Double(maximum) / 1e6)
            writer.key("mean")
            writer.double(mean / 1e6)
            writer.key("curve")
            writer.array { writer in
                for percent in Percentiles.curve {
                    writer.array { writer in
                        writer.double(percent)
                        writer.double(Double(percentile(percent)) / 1e6)
                    }
                }
            }
        }
    }
}

/// A distribution as a process told it. Milliseconds.
struct Percentiles: Equatable, Sendable {
    static let named = [("p50", 50.0), ("p90", 90), ("p99", 99), ("p99.9", 99.9)]
    static let curve = [0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 99.999, 100]

    var count = 0
    var p50 = 0.0
    var p90 = 0.0
    var p99 = 0.0
    var p999 = 0.0
    var max = 0.0
    var curve: [(percent: Double, milliseconds: Double)] = []

    init() {}

    init(_ json: JSONValue?) {
        count = json?["count"]?.integer ?? 0
        p50 = json?["p50"]?.number ?? 0
        p90 = json?["p90"]?.number ?? 0
        p99 = json?["p99"]?.number ?? 0
        p999 = json?["p99.9"]?.number ?? 0
        max = json?["max"]?.number ?? 0
        curve = (json?["curve"]?.elements ?? []).compactMap { point in
            guard let pair = point.elements, pair.count == 2, let percent = pair[0].number, let value = pair[1].number
            else { return nil }
            return (percent, value)
        }
    }

    static func == (left: Percentiles, right: Percentiles) -> Bool {
        left.count == right.count && left.p50 == right.p50 && left.p99 == right.p99 && left.max == right.max
    }
}

/// To the base of 10.
func logarithm(_ value: Double) -> Double { log10(value) }
