import HTTPSending
import JSONScanning
import Kafka
import Redis
import TestSupport
import Testing

@testable import Ingestion

/// Ids that come again, with a real Redis.
@Suite(.serialized) struct DuplicateTests {
    private func event(_ id: String, source: String = "b") -> String {
        #"{"id":"\#(id)","type":"a","source":"\#(source)","data":1}"#
    }

    @Test(arguments: KafkaBroker.available) func anAcceptedIDIsNotPublishedAgain(_ kind: KafkaBroker.Kind) async throws
    {
        let redis = try await RedisServer.shared()
        try await withIngestion(try await .shared(kind), redis: redis) { service in
            for _ in 0..<3 { #expect(await service.post(event("one")).status == 202) }
            let again = await service.post(event("one"))
            #expect(again.text == #"{"id":"one","status":"accepted","duplicate":true}"#)
            // Another source, and another tenant, mean another event.
            #expect(await service.post(event("one", source: "c"))["duplicate"] == .boolean(false))
            let token = try service.token()
            #expect(await service.post(event("one"), token: token)["duplicate"] == .boolean(false))
            let records = try await service.events()
            #expect(records.count == 3)
            #expect(await service.metric("webhook_events_received_total{result=\"duplicate\"}") == 3)
            #expect(await service.metric("webhook_events_unremembered_total") == 0)
        }
    }

    @Test func anotherLogKnowsNothing() async throws {
        let redis = try await RedisServer.shared()
        let (kafka, other) = (try KafkaBroker.ownInMemory(), try KafkaBroker.ownInMemory())
        for (broker, id) in [(kafka, "first"), (other, "second")] {
            try await withIngestion(broker, redis: redis, ["MARTLET_KAFKA_LOG_ID": id]) { service in
                #expect(await service.post(event("logs"))["duplicate"] == .boolean(false))
                #expect(await service.post(event("logs"))["duplicate"] == .boolean(true))
            }
        }
    }

    /// Its broker answers late, so that the first request is still under way when the second one comes.
    @Test func anIDUnderWayIsToldToWait() async throws {
        let redis = try await RedisServer()
        let kafka = try KafkaBroker.ownInMemory()
        try await withIngestion(kafka, redis: redis) { service in
            #expect(await service.post(event("warm")).status == 202)
            kafka.mock?.setRoundTrip(milliseconds: 1_500)
            let first = Task { await service.post(event("slow")) }
            let client = try RedisClient(Self.configuration(redis))
            #expect(await eventually { (try? await client.command("DBSIZE"))?.integerValue == 2 })
            let second = await service.post(event("slow"))
            #expect(second.problem == "503 pending id" && second.header("retry-after") == "1")
            #expect(await first.value.status == 202)
            kafka.mock?.setRoundTrip(milliseconds: 0)
            #expect(await service.post(event("slow"))["duplicate"] == .boolean(true))
            // It is remembered for the window, not for ever.
            let keys = try await client.command("KEYS", "i:*").elements ?? []
            for key in keys.compactMap(\.bytes) {
                let seconds = try await client.command("TTL", .bytes(key)).integerValue ?? 0
                #expect((86_000...86_400).contains(seconds))
            }
            await client.close()
        }
        await redis.remove()
    }

    @Test func withoutRedisEventsAreTaken() async throws {
        let redis = try await RedisServer()
        try await withIngestion(try await .shared(), redis: redis) { service in
            #expect(await service.post(event("one")).status == 202)
            await redis.stop()
            for _ in 0..<3 { #expect(await service.post(event("two"))["duplicate"] == .boolean(false)) }
            #expect(await service.metric("webhook_events_unremembered_total") == 3)
            #expect(await service.send(.get, "/ready").status == 200)
            try await redis.start()
            #expect(await service.isReady(["redis"]))
            #expect(await service.post(event("three"))["duplicate"] == .boolean(false))
            #expect(await service.post(event("three"))["duplicate"] == .boolean(true))
            let records = try await service.events()
            #expect(records.count == 5)
        }
        await redis.remove()
    }

    @Test func aFrozenRedisDelaysEventsForAMomentOnly() async throws {
        let redis = try await RedisServer()
        try await withIngestion(try await .shared(), redis: redis) { service in
            #expect(await service.post(event("one")).status == 202)
            redis.freeze(true)
            defer { redis.freeze(false) }
            for number in 0..<5 {
                let began = ContinuousClock.now
                #expect(await service.post(event("frozen-\(number)")).status == 202)
                #expect(ContinuousClock.now - began < .seconds(2))
            }
            #expect(await service.metric("webhook_events_unremembered_total") == 5)
        }
        await redis.remove()
    }

    private static func configuration(_ redis: RedisServer) -> RedisConfiguration {
        var configuration = RedisConfiguration()
        configuration.port = redis.port
        return configuration
    }
}
