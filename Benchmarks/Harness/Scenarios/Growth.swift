import HTTPSending

// Whether an event costs the same however much there is already.

extension Scenario {
    static let history = Scenario(name: "history", shows: "outcomes stored in PostgreSQL a second") { bench in
        try await bench.prepare()
        let rate = bench.isMemory ? 5_000.0 : 10_000
        bench.system.freeze("observability", true)
        defer { bench.system.freeze("observability", false) }
        let filled = try await bench.run(
            "filling attempts", "", .steady(rate, seconds: bench.scaled(bench.isMemory ? 6 : 30)))
        var stored = try await bench.count(
            "history", "\(filled.delivered) outcomes that wait in attempts are stored in PostgreSQL",
            "webhook_history_outcomes_stored_total", of: "observability", more: filled.delivered)
        stored.budgets.append(
            Budget(
                what: "attempt rows stored", sense: .atLeast, must: 10_000, aim: 50_000, unit: "/s",
                measured: stored.rate))
        return [stored]
    }

    static let fullHistory = Scenario(
        name: "full-history", shows: "the same load beside millions of stored outcomes"
    ) { bench in
        try await bench.prepare()
        let plan = LoadPlan.steady(5_000, seconds: bench.scaled(20))
        let before = try await bench.run(
            "little history", "\(Int(plan.steps[0].rate)) events a second over 100 webhooks", plan)
        let (hours, rows) = (4, Int(2_000_000 * min(1, bench.scale)))
        let bytes = try await Filling(bench.system).history(hours: hours, rowsEach: rows)
        // Observability builds those hours' final indexes by itself, once.
        try await bench.await("\(hours) sealed hours") {
            try await bench.system.metric("webhook_history_partitions_sealed", of: "observability") ?? 0
                >= Double(hours)
        }
        try await bench.settle("postgresql")
        var after = try await bench.run("full history", "the same, beside \(hours) hours of \(rows) rows each", plan)
        after.budgets.append(growth("\(hours * rows) rows of history", before, after))
        after.notes.append(
            "they take \(bytes >> 20) MiB with the indexes of hours that are not sealed yet, \(bytes / max(1, hours * rows)) B a row"
        )
        return [before, after]
    }

    static let webhooks = Scenario(name: "webhooks", shows: "100,000 webhooks instead of 10") { bench in
        try await bench.prepare(types: 10)
        let rate = 10_000.0
        let seconds = bench.scaled(20)
        let few = try await bench.run(
            "10 webhooks", "\(Int(rate)) events a second", .steady(rate, seconds: seconds, types: 10))
        let count = Int(100_000 * min(1, bench.scale))
        let start = ContinuousClock.now
        try await bench.system.makeWebhooks(10..<count, fanOut: 1, receiver: bench.receiverPort)
        let took = Int((ContinuousClock.now - start) / .seconds(1))
        bench.prepared = nil
        try await bench.settle()
        var many = try await bench.run(
            "\(count) webhooks", "the same events for the same ten webhooks, beside \(count - 10) others",
            .steady(rate, seconds: seconds, types: 10))
        many.notes.append("making them over the API took \(took) s")
        var spread = try await bench.run(
            "events for \(count / 10) of \(count) webhooks", "the same rate over a tenth of the webhooks",
            .steady(rate, seconds: seconds, types: count / 10))
        many.budgets = [
            growth("\(count) webhooks", few, many),
            Budget(
                what: "dispatcher's memory with \(count) webhooks", sense: .atMost, must: 512, aim: 256, unit: "MiB",
                measured: spread.mebibytes("webhook-dispatcher")),
        ]
        spread.budgets = [growth("events for \(count / 10) webhooks instead of ten", few, spread)]
        return [few, many, spread]
    }

    static let retries = Scenario(name: "retries", shows: "1,000,000 pending retries", needsRealKafka: true) { bench in
        try await bench.prepare()
        let plan = LoadPlan.steady(5_000, seconds: bench.scaled(20))
        let before = try await bench.run(
            "nothing pending", "5,000 events a second over 100 webhooks, ids not given", plan.withoutIDs)
        let count = Int(1_000_000 * min(1, bench.scale))
        let filling = try Filling(bench.system)
        let empty = try await filling.redisBytes()
        try await filling.retries(count)
        try await bench.await("the index of \(count) retries") {
            try await bench.system.metric("webhook_retries_pending", of: "retry-manager") ?? 0 >= Double(count)
        }
        let full = try await filling.redisBytes()
        var pending = try await bench.run("\(count) retries pending", "the same beside them", plan.withoutIDs)
        let late = try await bench.lateness()
        pending.budgets = [
            Budget(
                what: "Redis for a pending retry", sense: .atMost, must: 260, aim: 220, unit: "B",
                measured: Double(full - empty) / Double(count)),
            growth("\(count) retries pending", before, pending),
            Budget(
                what: "lateness of a due retry, p99, \(count) pending (upper bound of a bucket)", sense: .atMost,
                must: 250,
                aim: 20, unit: "ms", measured: late.p99),
        ]
        pending.notes.append(
            "\(late.count) retries fired while they were pending; p50 of their lateness at most \(late.p50) ms")
        return [before, pending]
    }

    static let dispatchers = Scenario(
        name: "dispatchers", shows: "one, two and four dispatchers share a filled topic", needsRealKafka: true
    ) { bench in
        try await bench.prepare()
        var results: [ScenarioResult] = []
        let events = Int(200_000 * bench.scale)
        for count in [1, 2, 4] {
            try await bench.startDispatchers(count - 1)
            let before = bench.cpuOfDispatchers()
            var result = try await bench.drain(
                count == 1 ? "1 dispatcher" : "\(count) dispatchers",
                "\(events) events lie in Kafka; \(count == 1 ? "one has all" : "\(count) share the") partitions",
                events: events)
            let shares = zip(bench.cpuOfDispatchers(), before).map { "\(number($0 - $1))" }
            result.notes = ["CPU seconds of each: " + shares.joined(separator: ", ")]
            results.append(result)
        }
        await bench.stopDispatchers()
        // The one that is left takes all partitions over: that is not the next scenario's.
        try await Task.sleep(for: .seconds(8))
        try await bench.settle()
        return results
    }

    private static func growth(_ what: String, _ before: ScenarioResult, _ after: ScenarioResult) -> Budget {
        Budget(
            what: "CPU an event with \(what), beside without", sense: .atMost, must: 1.1, aim: 1.02, unit: "×",
            measured: after.cpuPerEvent / max(before.cpuPerEvent, 0.001))
    }
}

extension ScenarioResult {
    func mebibytes(_ process: String) -> Double {
        Double(processes.first { $0.name == process }?.memoryBytes ?? 0) / Double(1 << 20)
    }
}

extension LoadPlan {
    /// Without ids nothing of an event stays in Redis.
    var withoutIDs: LoadPlan {
        var plan = self
        plan.hasIDs = false
        return plan
    }
}

extension Bench {
    /// Waits for something that a service does by itself.
    func await(_ what: String, _ condition: () async throws -> Bool) async throws {
        for _ in 0..<3_000 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw BenchError("waited five minutes for \(what)")
    }

    /// How late retries are fired, from the buckets of retry-manager's histogram: 1,000 deliveries fail once.
    func lateness() async throws -> (count: Int, p50: Double, p99: Double) {
        let before = try await buckets()
        let plan = LoadPlan.steady(500, seconds: 2)
        _ = try await run("retries that come due", "", plan, patience: 60) { [self] in
            try await misbehave("fail:503", permille: 1_000)
            try await Task.sleep(for: .seconds(3))
            try await misbehave("answer", permille: 1_000)
        }
        let after = try await buckets()
        let fired = after.map {
            (bound: $0.bound, count: $0.count - (before.first { [bound = $0.bound] in $0.bound == bound }?.count ?? 0))
        }
        let total = fired.last?.count ?? 0
        func percentile(_ share: Double) -> Double {
            (fired.first { Double($0.count) >= share * Double(total) }?.bound ?? .infinity) * 1_000
        }
        return (total, percentile(0.5), percentile(0.99))
    }

    /// Cumulative, as Prometheus has them, ascending.
    private func buckets() async throws -> [(bound: Double, count: Int)] {
        try await system.metrics(of: "retry-manager").compactMap { line in
            let prefix = #"webhook_retry_lateness_seconds_bucket{le=""#
            guard line.hasPrefix(prefix), let end = line.dropFirst(prefix.count).firstIndex(of: "\"") else {
                return nil
            }
            let bound = line.dropFirst(prefix.count)[..<end]
            return (
                bound == "+Inf" ? .infinity : Double(bound) ?? 0,
                line.split(separator: " ").last.flatMap { Int($0) } ?? 0
            )
        }
    }
}
