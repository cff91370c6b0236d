extension Report {
    var markdown: String {
        var text = "# What Martlet does on this machine\n\n"
        for (name, value) in machine { text += "- \(name): \(value)\n" }
        text += "\n" + budgetTable + referenceTable + ratioTable
        for (index, plot) in plots.enumerated() { text += "![\(plot.title)](plot-\(index + 1).svg)\n\n" }
        for scenario in scenarios where !scenario.results.isEmpty {
            text +=
                "## \(scenario.name): \(scenario.shows)\n\n" + resultTable(scenario.results)
                + shareTable(scenario.results)
            text +=
                scenario.results.flatMap { result in
                    ["- **\(result.name)**: \(result.what)"] + result.notes.map { "  - \($0)" }
                }.joined(separator: "\n") + "\n\n"
        }
        for failure in failures { text += "**Failed:** \(failure)\n\n" }
        if !skipped.isEmpty { text += "Not run on the in-memory broker: \(skipped.joined(separator: ", ")).\n\n" }
        return text + Self.legend
    }

    private static let legend = """
        Latencies are in milliseconds, from when an event was due to be sent (so a late generator or server is not hidden) until its 202, or \
        until the receiver has it. CPU is user and system time of whole processes, in µs for each delivered event (each accepted one \
        where nothing is delivered). Memory is the high-water mark, for PostgreSQL's processes together what they have at the end, shared pages \
        divided among them. "other" is what the machine did besides. All was warm: half a minute of load came first, in which a new broker compiles its
        code.

        """

    private func table(_ head: [String], _ rows: [[String]]) -> String {
        guard !rows.isEmpty else { return "" }
        let lines = [head, head.map { _ in "---" }] + rows
        return lines.map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n") + "\n\n"
    }

    private var budgetTable: String {
        let rows = results.flatMap { result in
            result.budgets.map { budget in
                [
                    budget.what, "\(budget.sense.rawValue) \(number(budget.must)) \(budget.unit)",
                    "\(budget.sense.rawValue) \(number(budget.aim)) \(budget.unit)",
                    "\(number(budget.measured)) \(budget.unit)", budget.isMet ? budget.verdict : "**missed**",
                ]
            }
        }
        return table(["budget", "must", "aims at", "measured", ""], rows)
    }

    private var referenceTable: String {
        table(
            ["bare library", "what", "a second", "CPU each"],
            references.map { [$0.name, $0.what, number($0.perSecond), "\(number($0.cpuMicroseconds)) µs"] })
    }

    /// What Martlet's own processes take beside the libraries that they cannot do without.
    private var ratioTable: String {
        func bare(_ names: [String]) -> Double {
            names.compactMap { name in references.first { $0.name == name }?.cpuMicroseconds }.reduce(0, +)
        }
        let parts = [
            ("ingest", "event-ingestion", ["h2o with librdkafka behind it"]),
            ("ingest, ids given", "event-ingestion", ["h2o with librdkafka behind it"]),
            ("dispatch", "webhook-dispatcher", ["libcurl", "librdkafka, producing", "librdkafka, consuming"]),
            ("end to end", "webhook-dispatcher", ["libcurl", "librdkafka, producing", "librdkafka, consuming"]),
        ]
        let rows = parts.compactMap { scenario, process, libraries -> [String]? in
            guard let result = results.first(where: { $0.name == scenario }), bare(libraries) > 0 else { return nil }
            let own = result.perEvent(process)
            return [
                "\(process), \(scenario)", "\(number(own)) µs", libraries.joined(separator: " + "),
                "\(number(bare(libraries))) µs", "\(number(own / bare(libraries))) ×",
            ]
        }
        return table(["process", "CPU an event", "stands on", "bare", ""], rows)
    }

    private func resultTable(_ results: [ScenarioResult]) -> String {
        let head = [
            "", "offered/s", "events/s", "accepted", "refused", "delivered", "lost", "twice", "202 p50", "p99",
            "delivered p50", "p90", "p99",
            "p99.9", "max",
        ]
        let rows = results.map { result in
            let refused = result.refused.values.reduce(0, +)
            return [
                result.name, number(result.offered), number(result.rate), "\(result.accepted)", "\(refused)",
                "\(result.delivered)", "\(result.lost)", "\(result.duplicates)",
            ] + milliseconds(result.acknowledgement, [\.p50, \.p99])
                // What lay in Kafka before has waited for the scenario, not for Martlet.
                + milliseconds(
                    result.offered > 0 ? result.delivery : Percentiles(), [\.p50, \.p90, \.p99, \.p999, \.max])
        }
        return table(head, rows)
    }

    private func milliseconds(_ percentiles: Percentiles, _ paths: [KeyPath<Percentiles, Double>]) -> [String] {
        paths.map { percentiles.count == 0 ? "" : number(percentiles[keyPath: $0]) }
    }

    /// CPU an event and memory, a column for each process.
    private func shareTable(_ results: [ScenarioResult]) -> String {
        var names: [String] = []
        for share in results.flatMap(\.processes) where !names.contains(share.name) { names.append(share.name) }
        let rows = results.map { result in
            let shares = names.map { name in
                guard let share = result.processes.first(where: { $0.name == name }) else { return "" }
                let memory = share.memoryBytes >> 20
                return number(result.perEvent(share)) + (memory > 0 ? " (\(memory) MiB)" : "")
            }
            let ours = result.processes.reduce(0) { $0 + $1.cpuSeconds }
            let other = result.events == 0 ? 0 : max(0, result.machineSeconds - ours) * 1e6 / Double(result.events)
            return [result.name, "**\(number(result.cpuPerEvent))**"] + shares + [number(other)]
        }
        return table(["CPU µs an event", "all"] + names + ["other"], rows)
    }
}
