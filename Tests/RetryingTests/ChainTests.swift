import Glibc
import Kafka
import Records
import ServiceSupport
import TestSupport
import Testing

/// Dispatcher and retry-manager together, killed in the middle of deliveries that fail.
@Suite(.serialized) struct ChainTests {
    private static let batch = 64
    private static let inFlight = 64
    private static let settings = [
        "MARTLET_RETRY_INITIAL_DELAY": "500ms", "MARTLET_RETRY_MAX_DELAY": "1s", "MARTLET_RETRY_MAX_RETRIES": "20",
        "MARTLET_RETRY_MANAGER_BATCH": "\(batch)", "MARTLET_RETRY_MANAGER_LEASE": "5s",
        "MARTLET_DISPATCHER_MAX_IN_FLIGHT": "\(inFlight)",
        // Every endpoint fails here, and is to be asked again all the same.
        "MARTLET_BREAKER_ENABLED": "false",
    ]

    @Test(arguments: KafkaBroker.available) func failuresAreRetriedUntilTheyEnd(kind: KafkaBroker.Kind) async throws {
        let receiver = try await Receiver(
            paths: ["/twice", "/never", "/gone"],
            answer: { path, arrival in
                switch path {
                case "/twice": arrival <= 2 ? 500 : 204
                case "/never": 500
                default: 410
                }
            })
        let harness = try await Harness(kind, Self.settings.merging(["MARTLET_RETRY_MAX_RETRIES": "3"]) { $1 })
        for path in ["twice", "never", "gone"] {
            try await harness.putWebhook("wh_\(path)", url: receiver.url("/\(path)"))
        }
        try await harness.startManager()
        try await harness.startDispatcher()
        try await harness.putEvents(20)
        let ended = await eventually(within: .seconds(60)) {
            guard let outcomes = try? await harness.outcomes() else { return false }
            return outcomes.count == 60 && outcomes.values.allSatisfy { $0.last?.isFinal == true }
        }
        let outcomes = try await harness.outcomes()
        #expect(ended, "\(outcomes.values.map { $0.map(\.name) })")
        #expect(outcomes.values.count { $0 == [.failed, .failed, .delivered] } == 20)
        #expect(outcomes.values.count { $0 == [.failed, .failed, .failed, .dead] } == 20)
        #expect(outcomes.values.count { $0 == [.dead] } == 20)
        #expect(receiver.total == 20 * (3 + 4 + 1))
        #expect(try await harness.records(harness.topics.deadLetters).count == 40)
        #expect(await eventually(within: .seconds(10)) { (try? await harness.liveKeys()) == ["fence"] })
        await harness.close()
        await receiver.stop()
    }

    @Test(.requiresRealKafka, arguments: ["manager", "dispatcher", "both"], [1, 2])
    func killsInTheMiddleLoseNothing(who: String, times: Int) async throws {
        let receiver = try await Receiver(
            paths: ["/hook"], delayMs: 2, answer: { _, arrival in arrival <= 2 ? 500 : 204 })
        let harness = try await Harness(.real, Self.settings)
        let events = 3_000
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"))
        try await harness.putEvents(events)
        var manager = try await harness.startManager()
        var dispatcher = try await harness.startDispatcher()
        for kill in 1...times {
            let goal = events * kill
            #expect(await eventually(within: .seconds(60)) { receiver.total >= goal }, "\(receiver.total) arrived")
            if who != "dispatcher" { await manager.end(SIGKILL) }
            if who != "manager" { await dispatcher.end(SIGKILL) }
            if who != "dispatcher" { manager = try await harness.startManager() }
            if who != "manager" { dispatcher = try await harness.startDispatcher() }
        }
        let ended = await eventually(within: .seconds(90)) {
            guard receiver.total >= events * 3, let outcomes = try? await harness.outcomes() else { return false }
            return outcomes.count == events && outcomes.values.allSatisfy { $0.contains(where: \.isFinal) }
        }
        let settled = await eventually(within: .seconds(60)) { (try? await harness.liveKeys()) == ["fence"] }
        let left = try await harness.liveKeys().count - 1
        let again = try await Self.firedAgain(harness)
        let repeated = receiver.total - events * 3
        let managerKills = who == "dispatcher" ? 0 : times
        let dispatcherKills = who == "manager" ? 0 : times
        print(
            "\(who) killed \(times) times in \(events) failing deliveries: \(events - receiver.distinct) lost, \(left) left in retries, \(again) generations fired again, \(repeated) requests repeated"
        )
        #expect(ended && settled)
        #expect(receiver.distinct == events)
        // A request repeated is a second record of its next generation, and a chain of its own behind it.
        #expect(again <= Self.batch * managerKills + Self.inFlight * dispatcherKills * 3)
        #expect(repeated <= (Self.batch * managerKills + Self.inFlight * dispatcherKills) * 3)
        await harness.close()
        await receiver.stop()
    }

    /// Records of `deliveries` beyond the first of a delivery's generation.
    private static func firedAgain(_ harness: Harness) async throws -> Int {
        let records = try await harness.records(harness.topics.deliveries)
        let keys = records.map { record in
            String(
                decoding: (record.header("martlet-delivery") ?? []) + (record.header("martlet-generation") ?? []),
                as: UTF8.self)
        }
        return records.count - Set(keys).count
    }
}
