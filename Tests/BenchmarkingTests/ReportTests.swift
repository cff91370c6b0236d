import JSONScanning
import Metrics
import Testing

@testable import martlet_bench

@Suite struct ReportTests {
    private var result: ScenarioResult {
        var result = ScenarioResult(name: "end to end", what: "everything")
        result.offered = 100
        result.seconds = 10
        result.events = 1_000
        result.delivered = 1_000
        result.accepted = 1_000
        result.processes = [
            ProcessShare(name: "kafka", cpuSeconds: 0.02, memoryBytes: 64 << 20),
            ProcessShare(name: "webhook-dispatcher", cpuSeconds: 0.04, memoryBytes: 32 << 20),
        ]
        result.machineSeconds = 0.1
        result.course = (0..<4).map {
            Moment(seconds: Double($0), sent: $0 * 100, accepted: $0 * 90, delivered: $0 * 80)
        }
        result.budgets = [
            Budget(what: "rate", sense: .atLeast, must: 50, aim: 90, unit: "/s", measured: result.rate),
            Budget(what: "CPU", sense: .atMost, must: 50, aim: 20, unit: "µs", measured: result.cpuPerEvent),
        ]
        return result
    }

    @Test func costsAreSharedOutByEvent() {
        #expect(result.rate == 100 && result.perEvent("kafka") == 20 && result.cpuPerEvent == 60)
    }

    @Test func budgetsAreJudged() {
        #expect(result.budgets.map(\.verdict) == ["met, as aimed at", "missed"])
        let budget = Budget(what: "", sense: .atMost, must: 50, aim: 20, unit: "", measured: 30)
        #expect(budget.verdict == "met" && budget.isMet)
    }

    @Test func lossIsNeverHidden() {
        var lossy = result
        lossy.lost = 3
        var report = Report()
        report.scenarios = [("end-to-end", "shows", [lossy])]
        #expect(report.hasLost && report.summary.contains("3 lost"))
        #expect(report.markdown.contains("**missed**"))
    }

    @Test func theReportIsWrittenInBothForms() throws {
        var report = Report()
        report.machine = [("machine", "two cores")]
        report.scenarios = [("end-to-end", "shows", [result])]
        let json = try JSONValue(parsing: Array(report.json.utf8))
        let scenario = json["scenarios"]?.elements?.first
        #expect(scenario?["cpu_us_per_event"]?.number == 60 && scenario?["lost"]?.integer == 0)
        #expect(scenario?["processes"]?.elements?.first?["cpu_us_per_event"]?.number == 20)
        let text = report.markdown
        #expect(text.contains("| end to end | **60** | 20 (64 MiB) | 40 (32 MiB) | 40 |"))
        #expect(report.plots.count == 1)
        #expect(report.plots[0].svg.contains("<polyline") && report.plots[0].svg.hasSuffix("</svg>\n"))
    }

    @Test func percentilesSurviveTheirJSON() throws {
        var histogram = HdrHistogram()
        for value in 1...1_000 { histogram.record(value * 1_000_000) }
        let json = jsonText { writer in
            writer.key("latency")
            histogram.write(to: &writer)
        }
        let percentiles = Percentiles(try JSONValue(parsing: Array(json.utf8))["latency"])
        #expect(percentiles.count == 1_000 && abs(percentiles.p50 - 500) < 1 && abs(percentiles.p999 - 999) < 1)
        #expect(percentiles.max == 1_000 && percentiles.curve.count == Percentiles.curve.count)
    }

    @Test(arguments: [
        (0.0, "0"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12346"), (.infinity, "∞"),
    ])
    func numbersHaveAsManyDigitsAsMeanSomething(value: Double, text: String) { #expect(number(value) == text) }
}
