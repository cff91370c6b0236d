import Kafka
import Records
import ServiceSupport
import TestSupport
import Testing

/// What only a log that is really compacted shows.
@Suite(.serialized) struct CompactionTests {
    /// A tombstone of generation 1 comes after generation 2 was written (its owner was slow): it erases generation 1 only, whatever
    /// compaction does and whoever reads the log from its start.
    @Test(.requiresRealKafka) func aLateTombstoneIsHarmless() async throws {
        let redis = try await RedisServer()
        let harness = try await Harness(.real, partitions: 1, redis: redis, compactsEagerly: true)
        let later = nowMs() + 3_600_000
        let id = Harness.id(0)
        try await harness.putWaiting(0, generation: 1, due: later)
        try await harness.putWaiting(0, generation: 2, due: later)
        try await harness.put(.delivery(id, generation: 1), value: nil, 0)
        // Rolls segments, so that the cleaner has something to do.
        let isCompacted = await eventually(within: .seconds(60)) {
            try? await harness.put(.fence, value: [UInt8](repeating: 0, count: 4_096), 0)
            let keys =
                (try? await harness.records(harness.topics.retries).map {
                    String(decoding: $0.key ?? [], as: UTF8.self)
                })
            let first = "\(id)#1"
            return keys.map { keys in keys.count { $0 == first } < 2 } ?? false
        }
        #expect(isCompacted, "the cleaner did not run")
        let manager = try await harness.startManager()
        let isIndexed = await eventually(within: .seconds(10)) {
            (try? await harness.metric("webhook_retries_pending", of: manager)) == 1
        }
        #expect(isIndexed)
        try await harness.put(.retryNow(id, generation: 2), value: [], 0)
        let fired = try await harness.awaitFired(1)
        #expect(fired[id.description]?.map { $0.header("martlet-generation") } == [Array("2".utf8)])
        #expect(await eventually(within: .seconds(10)) { (try? await harness.liveKeys()) == ["fence"] })
        await harness.close()
        await redis.remove()
    }

    /// The in-memory broker restarts with an empty log and another id: what the index knew is worth nothing.
    @Test func anotherLogStartsOver() async throws {
        let redis = try await RedisServer()
        let harness = try await Harness(.inMemory, redis: redis)
        let manager = try await harness.startManager()
        try await harness.putWaiting(0..<10) { _ in nowMs() + 3_600_000 }
        let isIndexed = await eventually(within: .seconds(10)) {
            (try? await harness.metric("webhook_retries_pending", of: manager)) == 10
        }
        #expect(isIndexed)
        await manager.end()
        // Same keys, same Redis, a log that says it is another one.
        let second = try await harness.startManager(["MARTLET_KAFKA_LOG_ID": "another"])
        #expect(harness.log(second).contains("read from the log's start"))
        try await harness.put(.retryNow(Harness.id(3), generation: 1), value: [], 3)
        let fired = try await harness.awaitFired(1)
        #expect(fired[Harness.id(3).description]?.count == 1)
        await harness.close()
        await redis.remove()
    }
}
