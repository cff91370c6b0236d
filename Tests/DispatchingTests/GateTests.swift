import HTTPSending
import Kafka
import Records
import ServiceSupport
import Synchronization
import TestSupport
import Testing
import WireFormat

/// Breaker, rate and pause of a webhook, as a dispatcher's outcomes show them.
@Suite(.serialized, .timeLimit(.minutes(3))) struct GateTests {
    private func outcomes(_ harness: Harness, count: Int) async throws -> [Outcome] {
        #expect(await eventually(within: .seconds(40)) { (try? await harness.outcomes().count) ?? 0 >= count })
        return try await harness.outcomes()
    }

    private final class Endpoint: Sendable {
        private let state = Mutex(false)
        var isMended: Bool { state.withLock { $0 } }
        func mend() { state.withLock { $0 = true } }
    }

    /// One event after the other, until it is so.
    private func put(from first: Int, into harness: Harness, until isSo: () -> Bool) async throws {
        for number in first..<(first + 2_000) where !isSo() {
            try await harness.putEvents(1, from: number)
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(isSo())
    }

    @Test func aBreakerOpensLetsProbesThroughAndClosesAgain() async throws {
        let endpoint = Endpoint()
        let receiver = try await Receiver(
            paths: ["/hook"], answer: { _, _ in endpoint.isMended ? 204 : 500 })
        let settings = ["MARTLET_BREAKER_OPEN_FOR": "1s", "MARTLET_RETRY_INITIAL_DELAY": "1h"]
        let harness = try await Harness(.inMemory, settings)
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"]) { $0.maxInFlight = 2 }
        let dispatcher = try await harness.startDispatcher()
        try await harness.putEvents(40)
        let first = try await outcomes(harness, count: 40)
        let parked = first.filter { $0.kind == .parked }
        // Those that ran when it opened went on.
        #expect((10...11).contains(first.count { $0.kind == .failed }) && receiver.total < 12)
        #expect(parked.count >= 29 && parked.allSatisfy { $0.reason == "breaker_open" && $0.attempt == 0 })
        #expect(parked.allSatisfy { $0.dueAtMs > $0.startedAtMs })
        let lanes = try await harness.records(harness.topics.retries).filter { $0.texts["martlet-lane"] != nil }
        #expect(lanes.count == parked.count)

        let shown = try await breaker(harness, dispatcher)
        #expect(shown.contains(#""failing_since":"2"#) && shown.contains(#""limit":2"#), "\(shown)")
        #expect(shown.hasPrefix(#"{"state":"open","open_until":"2"#) || shown.hasPrefix(#"{"state":"half_open","#))

        let failing = try await signals(harness)
        #expect(failing.map(\.kind) == [.failingSince] && failing[0].webhookVersion == 1)
        #expect(failing.allSatisfy { $0.sinceMs <= $0.atMs && $0.sinceMs >= (first.map(\.startedAtMs).min() ?? 0) })

        endpoint.mend()
        let before = receiver.total
        // What comes while it is open is parked.
        try await put(from: 40, into: harness) { receiver.total >= before + 6 }
        let changes = "webhook_dispatcher_breaker_changes_total"
        #expect(try await harness.metric(changes + #"{to="open"}"#, of: dispatcher) == 1)
        #expect(try await harness.metric(changes + #"{to="closed"}"#, of: dispatcher) == 1)
        #expect(await eventually { (try? await signals(harness).last?.kind) == .recovered })
        #expect(try await breaker(harness, dispatcher).hasPrefix(#"{"state":"closed","open_until":null,"#))
        await harness.close()
        await receiver.stop()
    }

    private func signals(_ harness: Harness) async throws -> [Signal] {
        try await harness.records(harness.topics.signals).map { try Signal(decoding: $0.value ?? []) }
    }

    /// All others that subscribed are told.
    @Test func aWebhookIsNotToldAboutItself() async throws {
        let receiver = try await Receiver(paths: ["/1", "/2"])
        let harness = try await Harness(.inMemory)
        try await harness.putWebhook("wh_1", url: receiver.url("/1"), types: ["martlet.webhook.*"])
        try await harness.putWebhook("wh_2", url: receiver.url("/2"), types: ["*"])
        for (number, subject) in ["wh_1", "wh_2", "wh_3"].enumerated() {
            var headers = Harness.headers(id: "event-\(number)", type: "martlet.webhook.recovered")
            headers.append(RecordHeader.subject, subject)
            try await harness.producer.send(to: harness.topics.events, key: nil, value: [], headers: headers)
        }
        try await harness.startDispatcher()
        _ = try await outcomes(harness, count: 4)
        #expect(receiver.ids(at: "/1") == ["event-1", "event-2"] && receiver.ids(at: "/2") == ["event-0", "event-2"])
        await harness.close()
        await receiver.stop()
    }

    private func breaker(_ harness: Harness, _ dispatcher: ServerProcess) async throws -> String {
        let path = "/internal/v1/breakers/wh_1?tenant="
        #expect(try await harness.ask(path + "default", of: dispatcher, token: "guess").status == 401)
        #expect(try await harness.ask(path + "another", of: dispatcher).status == 404)
        let answer = try await harness.ask(path + "default", of: dispatcher)
        #expect(answer.status == 200)
        return String(decoding: answer.body, as: UTF8.self)
    }

    @Test func aSwitchedOffBreakerStaysShut() async throws {
        let receiver = try await Receiver(paths: ["/hook"], status: { _ in 500 })
        let settings = ["MARTLET_BREAKER_ENABLED": "false", "MARTLET_RETRY_INITIAL_DELAY": "1h"]
        let harness = try await Harness(.inMemory, settings)
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"]) { $0.maxInFlight = 2 }
        try await harness.startDispatcher()
        try await harness.putEvents(40)
        #expect(try await outcomes(harness, count: 40).allSatisfy { $0.kind == .failed && $0.attempt == 1 })
        await harness.close()
        await receiver.stop()
    }

    @Test func aRateHoldsAndWhatIsAboveItIsParked() async throws {
        let receiver = try await Receiver(paths: ["/hook"])
        let harness = try await Harness(.inMemory)
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"]) { $0.ratePerSecond = 20 }
        try await harness.startDispatcher()
        try await harness.putEvents(200)
        let all = try await outcomes(harness, count: 200)
        let delivered = all.filter { $0.kind == .delivered }
        let times = delivered.map(\.startedAtMs)
        let elapsedMs = (times.max() ?? 0) - (times.min() ?? 0)
        // Two at once, then one each 50 ms; the clock of outcomes counts milliseconds.
        #expect(Int64(delivered.count) <= 3 + elapsedMs / 50, "\(delivered.count) in \(elapsedMs) ms")
        #expect(delivered.count == receiver.total && delivered.count >= 2)
        #expect(all.filter { $0.kind != .delivered }.allSatisfy { $0.reason == "rate_limited" && $0.kind == .parked })
        await harness.close()
        await receiver.stop()
    }

    @Test func aPausedWebhookGetsNothingUntilItIsResumed() async throws {
        let receiver = try await Receiver(paths: ["/hook", "/other"])
        let harness = try await Harness(.inMemory)
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"]) { $0.paused = true }
        try await harness.putWebhook("wh_2", url: receiver.url("/other"), types: ["*"])
        try await harness.startDispatcher()
        try await harness.putEvents(20)
        let all = try await outcomes(harness, count: 40).filter { $0.webhookID == "wh_1" }
        #expect(all.count == 20 && all.allSatisfy { $0.kind == .parked && $0.reason == "webhook_paused" })
        #expect(all.allSatisfy { $0.dueAtMs - $0.startedAtMs >= 40_000 })
        #expect(receiver.ids(at: "/hook").isEmpty && receiver.ids(at: "/other").count == 20)
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"]) { $0.version = 2 }
        try await put(from: 100, into: harness) { !receiver.ids(at: "/hook").isEmpty }
        await harness.close()
        await receiver.stop()
    }
}
