import Glibc
import Kafka
import Records
import ServiceSupport
import TestSupport
import Testing

/// What is parked for its webhook's sake waits in a lane, and is let go of in order, no faster than it is taken.
@Suite(.serialized) struct LaneTests {
    private static let batch = 32
    private static let quickRounds = ["MARTLET_DISPATCHER_REQUEST_TIMEOUT": "500ms"]

    @Test(arguments: KafkaBroker.available) func aLaneIsLetGoOfOldestFirst(kind: KafkaBroker.Kind) async throws {
        let harness = try await Harness(kind, partitions: 1, Self.quickRounds)
        let (count, now) = (40, nowMs())
        // The last written is the oldest.
        for number in 0..<count {
            try await harness.putWaiting(number, due: now, lane: "wh_1", since: now - Int64(number) * 1_000)
        }
        let manager = try await harness.startManager()
        let fired = try await harness.awaitFired(count)
        #expect(fired.values.allSatisfy { $0.count == 1 })
        let records = try await harness.records(harness.topics.deliveries)
        let order = records.map { String(decoding: $0.header("martlet-delivery") ?? [], as: UTF8.self) }
        #expect(order == (0..<count).reversed().map { Harness.id($0).description })
        // Six rounds: one, two, four, and so on.
        let took = (records.last?.timestamp ?? 0) - (records.first?.timestamp ?? 0)
        #expect(took >= 2_000)
        #expect(records.allSatisfy { $0.header("martlet-lane") == nil })
        #expect(await eventually(within: .seconds(10)) { (try? await harness.liveKeys()) == ["fence"] })
        #expect(
            await eventually(within: .seconds(10)) {
                guard (try? await harness.metric("webhook_retries_parked", of: manager)) == 0 else { return false }
                return (try? await harness.metric("webhook_retry_lanes", of: manager)) == 0
            })
        #expect(try await harness.metric("webhook_retry_lanes_released_total", of: manager) == Double(count))
        // What queues is not late.
        #expect(try await harness.metric("webhook_retry_lateness_seconds_count", of: manager) == 0)
        await harness.close()
    }

    @Test(arguments: KafkaBroker.available) func commandsDoNotQueue(kind: KafkaBroker.Kind) async throws {
        let harness = try await Harness(kind, partitions: 1)
        let manager = try await harness.startManager()
        let later = nowMs() + 3_600_000
        for number in 0..<10 { try await harness.putWaiting(number, due: later, lane: "wh_1") }
        #expect(
            await eventually(within: .seconds(10)) {
                (try? await harness.metric("webhook_retries_parked", of: manager)) == 10
            })
        try await harness.put(.retryNow(Harness.id(7), generation: 1), value: [], 7)
        try await harness.put(.cancel(Harness.id(3)), value: [], 3)
        let fired = try await harness.awaitFired(2)
        #expect(fired[Harness.id(7).description]?.count == 1)
        #expect(fired[Harness.id(3).description]?.first?.header("martlet-command") == Array("cancel".utf8))
        #expect(
            await eventually(within: .seconds(10)) {
                (try? await harness.metric("webhook_retries_parked", of: manager)) == 8
            })
        #expect(try await harness.fired().count == 2)
        await harness.close()
    }

    /// A lane's next round is ten seconds away; what is older than a delivery may become does not wait for it.
    @Test(arguments: KafkaBroker.available) func whatIsTooOldDoesNotWait(kind: KafkaBroker.Kind) async throws {
        let harness = try await Harness(
            kind, partitions: 1, ["MARTLET_RETRY_MAX_AGE": "1h", "MARTLET_RETRY_MANAGER_BATCH": "\(Self.batch)"])
        let now = nowMs()
        try await harness.putWaiting(0..<300, lane: "wh_1", since: now - 7_200_000) { _ in now }
        try await harness.putWaiting(300..<400, lane: "wh_1", since: now) { _ in now }
        try await harness.startManager()
        let fired = try await harness.awaitFired(300, within: .seconds(30))
        #expect((0..<300).allSatisfy { fired[Harness.id($0).description]?.count == 1 })
        #expect(fired.count < 310)
        await harness.close()
    }

    @Test(arguments: ["claimed:1", "released:1", "released:6", "beforeFire:20", "retired:30", "beforeRemove:6"])
    func aKillFiresAtMostABatchAgain(point: String) async throws {
        let harness = try await Harness(
            KafkaBroker.available.last ?? .inMemory, partitions: 1,
            ["MARTLET_RETRY_MANAGER_BATCH": "\(Self.batch)", "MARTLET_RETRY_MANAGER_LEASE": "5s"]
                .merging(Self.quickRounds) { $1 })
        let (count, start) = (60, nowMs())
        try await harness.putWaiting(0..<count, lane: "wh_1", since: start) { _ in start }
        let first = try await harness.startManager(["FAULT_POINT": point], awaitsReady: false)
        let died = await eventually(within: .seconds(30)) { !first.isRunning }
        #expect(died, "never came to \(point): \(harness.log(first).suffix(2_000))")
        let firedBefore = try await harness.fired().count
        try await harness.startManager()
        let fired = try await harness.awaitFired(count, within: .seconds(60))
        let settled = await eventually(within: .seconds(30)) { (try? await harness.liveKeys()) == ["fence"] }
        let again = try await harness.fired().values.reduce(0) { $0 + $1.count - 1 }
        print(
            "killed at \(point) with a lane of \(count): \(firedBefore) fired before, \(count - fired.count) lost, \(again) fired again (at most \(Self.batch))"
        )
        #expect(fired.count == count && settled)
        #expect(again <= Self.batch)
        await harness.close()
    }

    @Test(arguments: KafkaBroker.available) func lostLanesAreRebuilt(kind: KafkaBroker.Kind) async throws {
        let redis = try await RedisServer()
        let harness = try await Harness(kind, partitions: 1, redis: redis, Self.quickRounds)
        let (count, due) = (60, nowMs() + 5_000)
        try await harness.putWaiting(0..<count, lane: "wh_1", since: due) { _ in due }
        let manager = try await harness.startManager()
        #expect(
            await eventually(within: .seconds(10)) {
                (try? await harness.metric("webhook_retries_parked", of: manager)) == Double(count)
            })
        // The lanes alone: the other keys still hold the header.
        let key = "martlet:\(harness.configuration.kafka.topicPrefix){r0}:lanes"
        _ = try await Tool.run("redis-cli", ["-p", "\(redis.port)", "DEL", key])
        let fired = try await harness.awaitFired(count, within: .seconds(40))
        let settled = await eventually(within: .seconds(20)) { (try? await harness.liveKeys()) == ["fence"] }
        let again = try await harness.fired().values.reduce(0) { $0 + $1.count - 1 }
        print("lanes lost: of \(count) parked: \(count - fired.count) lost, \(again) fired again")
        #expect(fired.count == count && again == 0 && settled, "\(harness.log(manager).suffix(4_000))")
        #expect(fired.values.allSatisfy { $0[0].timestamp >= due })
        #expect(try await harness.metric("webhook_retry_index_rebuilds_total", of: manager) ?? 0 >= 1)
        await harness.close()
        await redis.remove()
    }
}
