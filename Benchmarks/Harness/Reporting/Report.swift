import Glibc
import JSONScanning

/// What a session measured, and on what.
struct Report: Sendable {
    /// Where it ran: each a name and a value.
    var machine: [(name: String, value: String)] = []
    var references: [ReferenceResult] = []
    var scenarios: [(name: String, shows: String, results: [ScenarioResult])] = []
    var skipped: [String] = []
    /// Scenarios that could not be run to their end, and why.
    var failures: [String] = []

    var results: [ScenarioResult] { scenarios.flatMap(\.results) }
    var hasLost: Bool { results.contains { $0.lost > 0 } }

    /// Writes `report.md`, `report.json` and the plots into a folder, which is made where it is not there.
    func write(to folder: String) throws {
        var path = ""
        for part in folder.split(separator: "/", omittingEmptySubsequences: false) {
            path += part + "/"
            mkdir(path, 0o755)
        }
        try Self.write(markdown, to: "\(folder)/report.md")
        try Self.write(json, to: "\(folder)/report.json")
        for (index, plot) in plots.enumerated() { try Self.write(plot.svg, to: "\(folder)/plot-\(index + 1).svg") }
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw BenchError("\(path): \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        let bytes = Array(text.utf8)
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw BenchError("\(path): cannot be written") }
    }

    /// For the terminal: the budgets.
    var summary: String {
        let budgets = results.flatMap(\.budgets)
        let lines = budgets.map { budget in
            "\(budget.verdict.padded(20))\(number(budget.measured).padded(12))\(budget.unit.padded(5))must \(budget.sense.rawValue) \(number(budget.must)), aim \(number(budget.aim)): \(budget.what)"
        }
        let lost = results.reduce(0) { $0 + $1.lost }
        let duplicates = results.reduce(0) { $0 + $1.duplicates }
        return
            (failures.map { "failed: \($0)" } + lines + [
                "\(lost) lost, \(duplicates) delivered twice, of \(results.reduce(0) { $0 + $1.delivered })"
            ])
            .joined(separator: "\n")
    }

    var json: String {
        jsonText { writer in
            writer.key("machine")
            writer.object { writer in for (name, value) in machine { writer.member(name, value) } }
            writer.key("references")
            writer.array { writer in
                for reference in references {
                    writer.object { writer in
                        writer.member("name", reference.name)
                        writer.member("what", reference.what)
                        writer.reference(
                            perSecond: reference.perSecond, cpuMicroseconds: reference.cpuMicroseconds)
                    }
                }
            }
            writer.key("scenarios")
            writer.array { writer in for result in results { result.write(to: &writer) } }
            writer.key("failures")
            writer.array { writer in for failure in failures { writer.string(failure) } }
            writer.key("skipped")
            writer.array { writer in for name in skipped { writer.string(name) } }
        }
    }
}

extension JSONWriter {
    /// What a reference took, as members of the object at hand: `ReferenceCommand` says it so, and the report does.
    mutating func reference(perSecond: Double, cpuMicroseconds: Double) {
        key("per_second")
        double(perSecond)
        key("cpu_us")
        double(cpuMicroseconds)
    }
}

/// With as many digits as mean something: 12345, 123, 12.3, 1.23.
func number(_ value: Double) -> String {
    guard value.isFinite else { return "∞" }
    let scale = value >= 100 ? 1.0 : value >= 10 ? 10 : 100
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
}
