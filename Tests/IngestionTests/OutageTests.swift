import HTTPSending
import JSONScanning
import Kafka
import Synchronization
import TestSupport
import Testing

@testable import Ingestion

/// Kafka goes, and comes back.
@Suite(.serialized) struct OutageTests {
    private func event(_ id: String) -> String { #"{"id":"\#(id)","type":"a","source":"b"}"# }

    /// Answers that come at once, while Kafka is known to be away.
    private func expectRefusals(_ service: IngestionFixture) async {
        for number in 0..<3 {
            let began = ContinuousClock.now
            let answer = await service.post(event("away-\(number)"))
            #expect(answer.problem == "503 unavailable -" && answer.header("retry-after") != nil)
            #expect(ContinuousClock.now - began < .milliseconds(800))
        }
        #expect(await service.send(.get, "/health").status == 200)
    }

    @Test func withoutKafkaEventsAreRefusedAtOnce() async throws {
        let redis = try await RedisServer.shared()
        let kafka = try KafkaBroker.ownInMemory()
        try await withIngestion(kafka, redis: redis) { service in
            #expect(await service.post(event("before")).status == 202)
            kafka.mock?.setDown()
            // What was under way when it went is told within the message timeout; then everything at once.
            #expect(await eventually(within: .seconds(20)) { await service.send(.get, "/ready").status == 503 })
            await expectRefusals(service)
            kafka.mock?.setUp()
            #expect(await service.isReady())
            // They were refused, so they are no duplicates.
            for number in 0..<3 {
                #expect(await service.post(event("away-\(number)"))["duplicate"] == .boolean(false))
            }
            let ids = try await service.events().compactMap { $0.text("ce_id") }
            #expect(Set(ids) == ["before", "away-0", "away-1", "away-2"] && ids.count == 4)
            #expect(await service.metric("webhook_events_received_total{result=\"unavailable\"}") >= 3)
        }
    }

    @Test func aStartWithoutKafkaRefusesUntilItIsThere() async throws {
        let kafka = try KafkaBroker.ownInMemory()
        let service = try IngestionFixture(kafka)
        kafka.mock?.setDown()
        try service.start()
        #expect(await eventually { await service.send(.get, "/health").status == 200 })
        #expect(await service.send(.get, "/ready").status == 503)
        await expectRefusals(service)
        kafka.mock?.setUp()
        #expect(await service.isReady())
        #expect(await service.post(event("one")).status == 202)
        try await service.stop()
    }

    /// The broker has the record and its answer is lost: nobody can know, and the id stays marked.
    @Test func whatKafkaMayHaveIsNotClaimedEitherWay() async throws {
        let redis = try await RedisServer.shared()
        let kafka = try KafkaBroker.ownInMemory()
        try await withIngestion(kafka, redis: redis) { service in
            #expect(await service.post(event("before")).status == 202)
            kafka.mock?.setRoundTrip(milliseconds: 60_000)
            let began = ContinuousClock.now
            let answer = await service.post(event("unknown"))
            #expect(answer.problem == "503 unacknowledged -", "\(answer.text)")
            #expect(ContinuousClock.now - began < .seconds(9))
            kafka.mock?.setRoundTrip(milliseconds: 0)
            #expect(
                await eventually(within: .seconds(20)) {
                    await service.post(event("unknown")).string("code") == "pending"
                })
        }
    }

    private final class Progress: Sendable {
        let accepted = Atomic<Int>(0)
        let refused = Atomic<Int>(0)
    }

    /// Sends events, each again until it is accepted; nil where that took too long.
    private func sendPersistently(
        _ count: Int, of sender: Int, to service: IngestionFixture, _ progress: Progress
    ) async -> [String]? {
        var accepted: [String] = []
        for number in 0..<count {
            let id = "\(sender)-\(number)"
            let isAccepted = await eventually(within: .seconds(60)) {
                if await service.post(event(id)).status == 202 { return true }
                progress.refused.add(1, ordering: .relaxed)
                return false
            }
            guard isAccepted else { return nil }
            accepted.append(id)
            progress.accepted.add(1, ordering: .relaxed)
        }
        return accepted
    }

    @Test(.requiresRealKafka) func aKilledBrokerLosesNothingThatWasAccepted() async throws {
        let redis = try await RedisServer.shared()
        let kafka = try await KafkaBroker.ownReal()
        try await withIngestion(kafka, redis: redis) { service in
            let progress = Progress()
            let senders = (0..<8).map { sender in
                Task { await sendPersistently(300, of: sender, to: service, progress) }
            }
            #expect(await eventually { progress.accepted.load(ordering: .relaxed) > 500 })
            kafka.kill()
            #expect(await eventually { progress.refused.load(ordering: .relaxed) > 20 })
            try await kafka.restart()
            var accepted: [String] = []
            for sender in senders { accepted += await sender.value ?? [] }
            #expect(accepted.count == 2_400)
            let ids = try await service.events().compactMap { $0.text("ce_id") }
            #expect(Set(ids) == Set(accepted))
        }
        await kafka.remove()
    }
}
