import Glibc
import Synchronization
import Testing

@testable import Metrics

@Suite struct MetricsTests {
    private let registry = MetricsRegistry()

    private func page() throws -> ParsedPage { try ParsedPage(registry.prometheusText()) }

    @Test func countersGaugesAndHistogramsAreRendered() throws {
        registry.counter("test_events_total", help: "Events.").increment(by: 41)
        registry.counter("test_events_total", help: "Events.").increment()
        let gauge = registry.gauge("test_depth", help: "Depth.")
        gauge.set(2.5)
        gauge.increment()
        gauge.decrement(by: 4)
        let latency = registry.histogram("test_seconds", help: "Latency.", buckets: [0.1, 1])
        for value in [0.05, 0.1, 0.5, 7] { latency.observe(value) }
        latency.observe(nanoseconds: 50_000_000)
        let page = try page()
        #expect(page.types == ["test_depth": "gauge", "test_events_total": "counter", "test_seconds": "histogram"])
        #expect(page.value("test_events_total") == 42)
        #expect(page.value("test_depth") == -0.5)
        #expect(page.value("test_seconds_bucket", ["le": "0.1"]) == 3)
        #expect(page.value("test_seconds_bucket", ["le": "1"]) == 4)
        #expect(page.value("test_seconds_bucket", ["le": "+Inf"]) == 5)
        #expect(page.value("test_seconds_count") == 5)
        #expect(abs(try #require(page.value("test_seconds_sum")) - 7.7) < 1e-9)
    }

    @Test func labelValuesAndHelpAreEscaped() throws {
        let values = ["plain", "quote\"", "back\\slash", "line\nfeed", "é\\n\"\n", ""]
        let family = registry.counter("test_total", help: "A \\ and\na \"line\".", labels: ["topic", "kind"])
        for value in values { family.labelled(value, "k").increment() }
        let page = try page()
        for value in values { #expect(page.value("test_total", ["topic": value, "kind": "k"]) == 1) }
        #expect(page.helps["test_total"] == "A \\ and\na \"line\".")
    }

    @Test func labelCombinationsAreBounded() throws {
        let family = registry.counter("test_total", help: "h", labels: ["id"])
        let limit = MetricFamily<Counter>.maximumCombinations
        for number in 0..<limit + 100 { family.labelled("\(number)").increment() }
        #expect(family.all.count == limit + 1)
        #expect(try page().value("test_total", ["id": "other"]) == 100)
        family.labelled("0").increment()
        #expect(try page().value("test_total", ["id": "0"]) == 2)
    }

    @Test func numbersAreSpeltAsPrometheusSpellsThem() {
        #expect(PrometheusText.number(.infinity) == "+Inf")
        #expect(PrometheusText.number(-.infinity) == "-Inf")
        #expect(PrometheusText.number(.nan) == "NaN")
        #expect(PrometheusText.number(5) == "5")
        #expect(PrometheusText.number(0.0005) == "0.0005")
        #expect(Double(PrometheusText.number(1e300)) == 1e300)
    }

    @Test func updatesFromManyThreadsAddUp() async throws {
        let counter = registry.counter("test_total", help: "h")
        let gauge = registry.gauge("test_gauge", help: "h")
        let histogram = registry.histogram("test_seconds", help: "h")
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<10_000 {
                        counter.increment()
                        gauge.increment(by: 0.5)
                        histogram.observe(0.25)
                    }
                }
            }
        }
        #expect(counter.value == 80_000)
        #expect(gauge.value == 40_000)
        #expect(histogram.count == 80_000)
        #expect(histogram.sum == 20_000)
    }

    @Test func scrapeHooksRunBeforeRendering() throws {
        let gauge = registry.gauge("test_gauge", help: "h")
        registry.onScrape { gauge.increment() }
        _ = registry.prometheusText()
        #expect(try page().value("test_gauge") == 2)
    }

    @Test func aTotalCountedElsewhereNeverFalls() {
        let counter = registry.counter("test_total", help: "h")
        counter.raise(to: 10)
        counter.raise(to: 7)
        #expect(counter.value == 10)
        let seconds = registry.floatingPointCounter("test_seconds_total", help: "h")
        seconds.raise(to: 1.5)
        seconds.raise(to: 0.5)
        seconds.increment(by: 0.25)
        #expect(seconds.value == 1.75)
    }

    @Test func aNameBelongsToOneKindAndSetOfLabels() async {
        await #expect(processExitsWith: .failure) {
            let registry = MetricsRegistry()
            _ = registry.counter("test_total", help: "h")
            _ = registry.gauge("test_total", help: "h")
        }
        await #expect(processExitsWith: .failure) { _ = MetricsRegistry().counter("no-dashes", help: "h") }
        await #expect(processExitsWith: .failure) { _ = MetricsRegistry().counter("a", help: "h", labels: ["le"]) }
    }

    @Test func theProcessIsMeasured() throws {
        registry.registerProcessMetrics()
        let before = try page()
        let descriptors = (0..<7).map { _ in open("/dev/null", O_RDONLY) }
        defer { descriptors.forEach { close($0) } }
        let after = try page()
        let now = Double(time(nil))
        let start = try #require(after.value("process_start_time_seconds"))
        #expect(start > now - 86_400 && start <= now + 2)
        #expect(try #require(after.value("process_resident_memory_bytes")) > 1_000_000)
        #expect(try #require(after.value("process_virtual_memory_bytes")) > 1_000_000)
        #expect(try #require(after.value("process_threads")) >= 1)
        #expect(try #require(after.value("process_cpu_seconds_total")) > 0)
        #expect(try #require(after.value("process_max_fds")) > 10)
        // Other tests open descriptors meanwhile: seven more, give or take.
        #expect(try #require(after.value("process_open_fds")) >= 7)
        #expect(before.types["process_cpu_seconds_total"] == "counter")
    }
}
