// What misbehaving endpoints cost the others.

extension Scenario {
    static let hanging = Scenario(name: "hanging", shows: "1 % of the endpoints hang") { bench in
        // Hanging endpoints are given up on after a second; otherwise the scenario would last ten times as long to show the same.
        try await bench.prepare(types: 1_000, settings: #","timeout_ms":1000"#)
        let plan = LoadPlan.steady(5_000, seconds: bench.scaled(30), types: 1_000)
        let before = try await bench.run("nobody hangs", "5,000 events a second over 1,000 webhooks", plan)
        var hanging = try await bench.run(
            "1 % hang", "the same while 10 of the 1,000 endpoints never answer; latencies are the other 990's", plan,
            patience: 240
        ) {
            try await bench.misbehave("hang", permille: 10)
            try await Task.sleep(for: .seconds(plan.seconds + 1))
            // What they did not take must come all the same.
            try await bench.misbehave("answer", permille: 10)
        }
        hanging.budgets.append(
            Budget(
                what: "healthy endpoints' p99 while 1 % hang, beside nobody hanging", sense: .atMost, must: 2, aim: 1.1,
                unit: "×", measured: hanging.delivery.p99 / max(before.delivery.p99, 0.001)))
        return [before, hanging]
    }

    static let outage = Scenario(name: "outage", shows: "30 % of the endpoints fail and come back; nothing is lost") {
        bench in
        try await bench.prepare(types: 100)
        let seconds = bench.scaled(20)
        let result = try await bench.run(
            "30 % fail and come back",
            "1,000 events a second over 100 webhooks, 30 of which answer 503 for \(Int(seconds)) s; the run ends when all have everything",
            .steady(1_000, seconds: seconds * 1.5), patience: 240
        ) {
            try await bench.misbehave("fail:503", permille: 300)
            try await Task.sleep(for: .seconds(seconds))
            try await bench.misbehave("answer", permille: 300)
        }
        return [result]
    }
}
