import Metrics

/// What is counted along the way.
let metricBenchmarks: [Benchmark] = [
    Benchmark("metrics.counter", operations: 200_000) {
        Benchmark.Work(
            run: { count in
                let counter = MetricsRegistry().counter("bench_total", help: "Operations.")
                for _ in 0..<count { counter.increment() }
                return counter.value
            }, expected: { UInt64($0) })
    },
    Benchmark("metrics.labelled", operations: 20_000) {
        Benchmark.Work(
            run: { count in
                let family = MetricsRegistry().counter("bench_total", help: "Operations.", labels: ["kind"])
                for _ in 0..<count { family.labelled("delivered").increment() }
                return family.labelled("delivered").value
            }, expected: { UInt64($0) })
    },
    Benchmark("metrics.histogram", operations: 100_000) {
        Benchmark.Work(
            run: { count in
                let histogram = MetricsRegistry().histogram("bench_seconds", help: "Latency.")
                for number in 0..<count { histogram.observe(nanoseconds: UInt64(number % 100) * 1_000_000) }
                return histogram.count
            }, expected: { UInt64($0) })
    },
    Benchmark("metrics.hdr", operations: 100_000) {
        Benchmark.Work(
            run: { count in
                var histogram = HdrHistogram()
                for number in 0..<count { histogram.record(number % 1_000 * 100_000) }
                return histogram.count + UInt64(histogram.maximum)
            }, expected: { UInt64($0) + 99_900_000 })
    },
]
