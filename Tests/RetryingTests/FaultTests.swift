import Glibc
import Kafka
import Records
import TestSupport
import Testing

/// What crashes and lost indexes cost, counted in what is fired.
@Suite(.serialized) struct FaultTests {
    private static let batch = 32

    /// Every place before and after an acknowledgement.
    private static let points = [
        "fenceWritten:1", "opened:2", "owedRetired:1", "indexed:2", "claimed:2", "beforeFire:40", "fired:1", "fired:40",
        "retired:1", "retired:40", "beforeRemove:2", "removed:2",
    ]

    @Test(arguments: points) func aKillAtAnyPointFiresAtMostABatchAgain(point: String) async throws {
        let harness = try await Harness(
            KafkaBroker.available.last ?? .inMemory,
            ["MARTLET_RETRY_MANAGER_BATCH": "\(Self.batch)", "MARTLET_RETRY_MANAGER_LEASE": "5s"])
        let count = 200
        let start = nowMs()
        try await harness.putWaiting(0..<count) { _ in start }
        // Owes a tombstone.
        try await harness.putWaiting(0, generation: 2, due: start)
        let first = try await harness.startManager(["FAULT_POINT": point], awaitsReady: false)
        let died = await eventually(within: .seconds(30)) { !first.isRunning }
        #expect(
            died && !harness.log(first).contains("configuration is wrong"),
            "never came to \(point): \(harness.log(first).suffix(2_000))")
        let firedBefore = try await harness.fired().count
        let second = try await harness.startManager()
        let fired = try await harness.awaitFired(count, within: .seconds(40))
        let settled = await eventually(within: .seconds(30)) { (try? await harness.liveKeys()) == ["fence"] }
        let all = try await harness.fired()
        let again = all.values.reduce(0) { $0 + $1.count - 1 }
        let counted = try await harness.metric("webhook_retries_fired_again_total", of: second) ?? -1
        print(
            "killed at \(point): \(firedBefore) fired before, \(count - fired.count) lost, \(again) fired again (at most \(Self.batch)), \(Int(counted)) claimed again"
        )
        #expect(fired.count == count && settled)
        #expect(again <= Self.batch)
        await harness.close()
    }

    @Test(arguments: KafkaBroker.available, ["FLUSHALL", "restart"])
    func aLostIndexIsRebuilt(kind: KafkaBroker.Kind, how: String) async throws {
        let redis = try await RedisServer()
        let harness = try await Harness(kind, redis: redis)
        let due = nowMs() + 6_000
        try await harness.putWaiting(0..<300) { _ in due }
        let manager = try await harness.startManager()
        #expect(
            await eventually(within: .seconds(10)) {
                (try? await harness.metric("webhook_retries_pending", of: manager)) == 300
            })
        if how == "FLUSHALL" {
            _ = try await Tool.run("redis-cli", ["-p", "\(redis.port)", "FLUSHALL"])
        } else {
            await redis.stop()
            try await Task.sleep(for: .seconds(1))
            try await redis.start()
        }
        let fired = try await harness.awaitFired(300)
        let settled = await eventually(within: .seconds(20)) { (try? await harness.liveKeys()) == ["fence"] }
        let again = try await harness.fired().values.reduce(0) { $0 + $1.count - 1 }
        print("index lost by \(how.lowercased()): of 300 pending: \(300 - fired.count) lost, \(again) fired again")
        #expect(fired.count == 300 && again == 0 && settled, "\(harness.log(manager).suffix(4_000))")
        #expect(fired.values.allSatisfy { $0[0].timestamp >= due })
        await harness.close()
        await redis.remove()
    }

    /// What a Redis that is replaced by its replica, or restarted from its last snapshot, forgets.
    @Test(arguments: KafkaBroker.available) func aSecondThatRedisForgetsIsReadAgain(kind: KafkaBroker.Kind) async throws
    {
        let redis = try await RedisServer()
        let harness = try await Harness(kind, redis: redis, ["MARTLET_RETRY_MANAGER_BATCH": "\(Self.batch)"])
        try await harness.startManager()
        let (start, count) = (nowMs() + 500, 300)
        try await harness.putWaiting(0..<200) { start + Int64($0) * 20 }
        let before = try await harness.awaitFired(50).count
        _ = try await Tool.run("redis-cli", ["-p", "\(redis.port)", "SAVE"])
        try await harness.putWaiting(200..<count) { start + Int64($0) * 20 }
        let after = try await harness.awaitFired(before + 50).count
        await redis.stop()
        try await redis.start()
        let fired = try await harness.awaitFired(count)
        let settled = await eventually(within: .seconds(20)) { (try? await harness.liveKeys()) == ["fence"] }
        let again = try await harness.fired().values.reduce(0) { $0 + $1.count - 1 }
        print(
            "index rolled back: fired \(before) before the snapshot, \(after) before the restart: \(count - fired.count) lost, \(again) fired again (at most \(Self.batch))"
        )
        #expect(fired.count == count && again <= Self.batch && settled)
        await harness.close()
        await redis.remove()
    }

    @Test(.requiresRealKafka) func aPausedOwnerFiresNothingTwice() async throws {
        let harness = try await Harness(
            .real, ["MARTLET_RETRY_MANAGER_BATCH": "\(Self.batch)", "MARTLET_RETRY_MANAGER_LEASE": "5s"])
        let first = try await harness.startManager()
        let start = nowMs()
        try await harness.putWaiting(0..<400) { start + Int64($0) * 50 }
        _ = try await harness.awaitFired(20)
        first.signal(SIGSTOP)
        try await harness.startManager(awaitsReady: false)
        _ = try await harness.awaitFired(250, within: .seconds(40))
        first.signal(SIGCONT)
        let fired = try await harness.awaitFired(400, within: .seconds(40))
        let settled = await eventually(within: .seconds(30)) { (try? await harness.liveKeys()) == ["fence"] }
        let again = try await harness.fired().values.reduce(0) { $0 + $1.count - 1 }
        print(
            "an owner paused past its session: \(400 - fired.count) lost, \(again) fired again (at most \(Self.batch))")
        #expect(fired.count == 400 && settled)
        #expect(again <= Self.batch)
        await harness.close()
    }
}
