import ChildProcesses
import JSONScanning

extension Scenario {
    static let matching = Scenario(
        name: "matching", shows: "one event against 100,000 webhooks in the dispatcher's table, in a process of its own"
    ) { bench in
        var results: [ScenarioResult] = []
        for (path, webhooks) in [("route.table/100", "100"), ("route.table/100k", "100,000")] {
            results.append(
                try await bench.micro(path, "\(webhooks) webhooks of one tenant; each event is for two of them"))
        }
        let matching = results[1].cpuPerEvent
        results[1].budgets = [
            Budget(
                what: "matching one event against 100,000 webhooks", sense: .atMost, must: 2, aim: 0.5, unit: "µs",
                measured: matching)
        ]
        return results
    }
}

extension Bench {
    /// What one path of `bench-micro` takes.
    fileprivate func micro(_ path: String, _ what: String) async throws -> ScenarioResult {
        let (file, log) = ("\(directory)/micro.json", "\(directory)/micro.txt")
        let reason = try await Child.run(
            ChildProgram(
                name: "bench-micro", executable: "\(programs)/bench-micro",
                arguments: ["--only", path, "--json", file], log: log))
        // There are others whose names begin so.
        guard reason == "exit code 0", let text = contents(file),
            let figures = try? JSONValue(parsing: Array(text.utf8))[path],
            let nanoseconds = figures["nanoseconds"]?.number, let operations = figures["operations"]?.integer
        else { throw BenchError("bench-micro failed (\(reason)): \(contents(log) ?? "")") }
        var result = ScenarioResult(name: path, what: what)
        result.events = operations
        result.seconds = nanoseconds * Double(operations) / 1e9
        result.processes = [
            ProcessShare(
                name: "bench-micro", cpuSeconds: result.seconds, memoryBytes: figures["memory_bytes"]?.integer ?? 0)
        ]
        return result
    }
}
