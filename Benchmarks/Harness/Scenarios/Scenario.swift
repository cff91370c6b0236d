/// One thing that is measured, by its name on the command line.
struct Scenario: Sendable {
    var name: String
    /// What it shows, in one line of the list.
    var shows: String
    /// More than the in-memory broker holds (5 MiB a partition).
    var needsRealKafka = false
    /// Not part of a whole run: asked for by name.
    var isOptional = false
    var body: @Sendable (Bench) async throws -> [ScenarioResult]

    static let all: [Scenario] = [
        ingest, dispatch, endToEnd, steps, latency, payloads, fanOut, batches, hanging, outage, history,
        backlog, dispatchers, fullHistory, retries, webhooks, matching, soak,
    ]
}

extension LoadPlan {
    /// A constant rate over a hundred webhooks, one for each event type: what most scenarios send.
    static func steady(_ rate: Double, seconds: Double, types: Int = 100) -> LoadPlan {
        var plan = LoadPlan()
        plan.steps = [Step(rate: rate, seconds: seconds)]
        plan.types = types
        return plan
    }
}

extension Bench {
    /// Seconds, as long as the session's scale makes them.
    func scaled(_ seconds: Double) -> Double { max(3, (seconds * scale).rounded()) }

    /// A broker that has just been started spends as much on compiling its code as on running it, for half a minute.
    func warmUp() async throws {
        try await prepare()
        var plan = LoadPlan.steady(isMemory ? 4_000 : 10_000, seconds: scaled(isMemory ? 5 : 30))
        plan.hasIDs = false
        _ = try await run("warm-up", "", plan)
    }

    /// Webhooks as a scenario needs them: `types` event types, each with `fanOut` webhooks. Those of an earlier one are removed where
    /// they would get the same events.
    func prepare(types: Int = 100, fanOut: Int = 1, settings: String = "") async throws {
        guard prepared != Prepared(types: types, fanOut: fanOut, settings: settings) else { return }
        try await system.deleteWebhooks()
        try await system.makeWebhooks(
            0..<types * fanOut, fanOut: fanOut, receiver: receiverPort, settings: settings)
        prepared = Prepared(types: types, fanOut: fanOut, settings: settings)
        // Connections, caches and the broker's batches are warm afterwards.
        var plan = LoadPlan.steady(2_000, seconds: 3, types: types)
        plan.hasIDs = false
        _ = try await run("warm-up", "", plan, fanOut: fanOut)
    }

    struct Prepared: Equatable {
        var types: Int
        var fanOut: Int
        var settings: String
    }
}
