import HTTPSending
import JSONScanning
import Kafka
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
}
