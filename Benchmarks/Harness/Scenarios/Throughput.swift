// How much goes through, and what it costs.

extension Scenario {
    static let ingest = Scenario(
        name: "ingest", shows: "accepting alone: REST to Kafka's acknowledgement, with ids and without"
    ) { bench in
        try await bench.prepare()
        // Nobody takes the events meanwhile, so that what is measured has the machine for itself.
        bench.system.freeze("webhook-dispatcher", true)
        bench.system.freeze("observability", true)
        defer {
            bench.system.freeze("webhook-dispatcher", false)
            bench.system.freeze("observability", false)
        }
        var results: [ScenarioResult] = []
        for hasIDs in [false, true] {
            var plan = LoadPlan.steady(bench.isMemory ? 8_000 : 20_000, seconds: bench.scaled(bench.isMemory ? 6 : 15))
            plan.hasIDs = hasIDs
            let name = hasIDs ? "ingest, ids given" : "ingest"
            let what =
                "POST /events, 500 B, answered when Kafka has it (acks=all); "
                + (hasIDs ? "each id looked up in Redis and remembered" : "no ids given")
            var result = try await bench.run(name, what, plan, fanOut: 0)
            result.budgets.append(
                perCore("ingestion on one core", result.perEvent("event-ingestion"), must: 30_000, aim: 60_000))
            results.append(result)
        }
        bench.system.freeze("webhook-dispatcher", false)
        bench.system.freeze("observability", false)
        try await bench.settle()
        return results
    }

    static let dispatch = Scenario(name: "dispatch", shows: "delivering alone, from a filled topic") { bench in
        try await bench.prepare()
        let events = bench.isMemory ? 40_000 : Int(300_000 * bench.scale)
        var result = try await bench.drain(
            "dispatch",
            "\(events) events lie in Kafka; the dispatcher delivers them, signed, and writes their outcomes",
            events: events)
        result.budgets.append(
            perCore("dispatcher on one core", result.perEvent("webhook-dispatcher"), must: 15_000, aim: 30_000))
        return [result]
    }

    static let endToEnd = Scenario(name: "end-to-end", shows: "15,000 events a second accepted and delivered") {
        bench in
        try await bench.prepare()
        // A little more than the budget: the last delivery's latency counts as time of the run.
        let rate = 15_200.0
        var result = try await bench.run(
            "end to end", "\(Int(rate)) events a second over REST to 100 webhooks, ids given",
            .steady(rate, seconds: bench.scaled(60)))
        result.budgets = [
            Budget(
                what: "accepted and delivered, nothing lost", sense: .atLeast, must: 15_000, aim: 25_000, unit: "/s",
                measured: result.lost == 0 ? result.rate : 0),
            Budget(
                what: "CPU an event, every process together", sense: .atMost, must: 110, aim: 75, unit: "µs",
                measured: result.cpuPerEvent),
        ]
        return [result]
    }

    static let steps = Scenario(name: "steps", shows: "rising rates, until one is not sustained") { bench in
        try await bench.prepare()
        var results: [ScenarioResult] = []
        for rate in [5_000.0, 10_000, 15_000, 20_000, 25_000, 30_000] {
            let result = try await bench.run(
                "\(Int(rate))/s", "a constant rate over 100 webhooks, ids given",
                .steady(rate, seconds: bench.scaled(15)))
            results.append(result)
            if !result.isSustained { break }
        }
        return results
    }

    static let latency = Scenario(
        name: "latency", shows: "how soon an event is delivered, at 10,000 and at 1,000 a second"
    ) { bench in
        try await bench.prepare()
        var results: [ScenarioResult] = []
        for rate in [1_000.0, 10_000] {
            var result = try await bench.run(
                "latency at \(Int(rate))/s", "from when an event was due to be sent until its delivery is there",
                .steady(rate, seconds: bench.scaled(20)))
            if rate == 10_000 {
                result.budgets.append(
                    Budget(
                        what: "sent to delivered, p99, at 10,000/s", sense: .atMost, must: 100, aim: 25, unit: "ms",
                        measured: result.delivery.p99))
            }
            results.append(result)
        }
        return results
    }

    static let payloads = Scenario(name: "payloads", shows: "events of 0.5, 2 and 50 KB") { bench in
        try await bench.prepare()
        var results: [ScenarioResult] = []
        for (bytes, rate) in [(500, 5_000.0), (2_000, 5_000), (50_000, 800)] {
            var plan = LoadPlan.steady(rate, seconds: bench.scaled(10))
            plan.eventBytes = bytes
            results.append(
                try await bench.run("events of \(bytes) B", "a constant rate over 100 webhooks, ids given", plan))
        }
        return results
    }

    static let fanOut = Scenario(name: "fan-out", shows: "one event for 1, 10 and 100 webhooks") { bench in
        var results: [ScenarioResult] = []
        for (fanOut, rate) in [(1, 5_000.0), (10, 800), (100, 80)] {
            try await bench.prepare(types: 10, fanOut: fanOut)
            results.append(
                try await bench.run(
                    "fan-out \(fanOut)",
                    "\(Int(rate)) events a second, each for \(fanOut) webhooks; figures are per delivery",
                    .steady(rate, seconds: bench.scaled(10), types: 10), fanOut: fanOut))
        }
        return results
    }

    static let batches = Scenario(name: "batches", shows: "events that come in batches of 1, 10 and 100") { bench in
        try await bench.prepare()
        var results: [ScenarioResult] = []
        for batch in [1, 10, 100] {
            var plan = LoadPlan.steady(10_000, seconds: bench.scaled(10))
            plan.batch = batch
            results.append(try await bench.run("batches of \(batch)", "10,000 events a second, ids given", plan))
        }
        let single = results[0].cpuPerEvent
        results[2].budgets.append(
            Budget(
                what: "CPU an event in batches of 100, beside single ones", sense: .atMost, must: 1, aim: 0.7,
                unit: "×",
                measured: results[2].cpuPerEvent / single))
        return results
    }

    static let backlog = Scenario(
        name: "backlog", shows: "1,000,000 events that wait in Kafka are drained", needsRealKafka: true
    ) { bench in
        try await bench.prepare()
        let events = Int(1_000_000 * bench.scale)
        return [
            try await bench.drain(
                "backlog of \(events)", "the dispatcher was away while \(events) events came", events: events)
        ]
    }

    static let soak = Scenario(name: "soak", shows: "5,000 a second for --minutes", isOptional: true) { bench in
        try await bench.prepare()
        return [
            try await bench.run(
                "soak", "5,000 events a second for \(bench.soakMinutes) minutes",
                .steady(5_000, seconds: bench.soakMinutes * 60))
        ]
    }

    /// What CPU time an event leaves of one core.
    private static func perCore(_ what: String, _ microseconds: Double, must: Double, aim: Double) -> Budget {
        Budget(
            what: what + " (1 s ÷ its CPU an event)", sense: .atLeast, must: must, aim: aim, unit: "/s",
            measured: microseconds > 0 ? (1e6 / microseconds).rounded() : 0)
    }
}

extension ScenarioResult {
    /// Everything came, at the rate that was asked for, without a queue that grows.
    var isSustained: Bool { lost == 0 && refused.isEmpty && rate >= offered * 0.97 && delivery.p99 < 2_000 }
}

extension Bench {
    /// Fills the topic while the dispatcher stands still, then lets it go on.
    func drain(_ name: String, _ what: String, events: Int) async throws -> ScenarioResult {
        freezeDispatchers(true)
        defer { freezeDispatchers(false) }
        let rate = isMemory ? 10_000.0 : 20_000
        var plan = LoadPlan.steady(rate, seconds: Double(events) / rate)
        plan.hasIDs = false
        return try await run(name, what, plan, drains: true)
    }
}
