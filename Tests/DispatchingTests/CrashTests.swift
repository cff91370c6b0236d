import Glibc
import Records
import TestSupport
import Testing

/// What a crash, a rebalance and a rolling restart cost, counted at the receiver.
@Suite(.serialized) struct CrashTests {
    private static let bound = 64

    @Test(.requiresRealKafka, .timeLimit(.minutes(4))) func threeKillsLoseNothing() async throws {
        let receiver = try await Receiver(paths: ["/hook"], delayMs: 5)
        let harness = try await Harness(.real, ["MARTLET_DISPATCHER_MAX_IN_FLIGHT": "\(Self.bound)"])
        let events = 5_000
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"])
        try await harness.putEvents(events)
        for kill in 1...3 {
            let dispatcher = try await harness.startDispatcher()
            let goal = events * kill / 4
            #expect(
                await eventually(within: .seconds(60)) { receiver.distinct >= goal }, "\(receiver.distinct) arrived")
            await dispatcher.end(SIGKILL)
        }
        let last = try await harness.startDispatcher()
        let arrived = await eventually(within: .seconds(60)) { receiver.distinct == events }
        await last.end()
        let (lost, repeated) = (events - receiver.distinct, receiver.repeats)
        print(
            "dispatcher killed 3 times in \(events) events: \(lost) lost, \(repeated) repeated (at most \(Self.bound * 3))"
        )
        #expect(arrived && lost == 0)
        #expect(repeated <= Self.bound * 3)
        #expect(receiver.mostRunning <= Self.bound)
        await harness.close()
        await receiver.stop()
    }

    @Test(.requiresRealKafka, .timeLimit(.minutes(4))) func rebalancesEveryThreeSecondsLoseNothing() async throws {
        let receiver = try await Receiver(paths: ["/hook"], delayMs: 300)
        let harness = try await Harness(.real, ["MARTLET_DISPATCHER_MAX_IN_FLIGHT": "\(Self.bound)"])
        let events = 5_000
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"])
        try await harness.putEvents(events)
        try await harness.startDispatcher()
        var rounds = 0
        while receiver.distinct < events, rounds < 12 {
            rounds += 1
            let second = try await harness.startDispatcher()
            _ = await eventually(within: .seconds(3)) { receiver.distinct == events }
            await second.end()
        }
        let arrived = await eventually(within: .seconds(60)) { receiver.distinct == events }
        let (lost, repeated) = (events - receiver.distinct, receiver.repeats)
        print("dispatchers joined and left \(rounds) times in \(events) events: \(lost) lost, \(repeated) repeated")
        #expect(arrived && lost == 0)
        // Nobody crashed: a partition is handed over with nothing unacknowledged.
        #expect(repeated == 0)
        #expect(rounds >= 2)
        await harness.close()
        await receiver.stop()
    }

    @Test(arguments: KafkaBroker.available) func aStopUnderLoadRepeatsNothing(kind: KafkaBroker.Kind) async throws {
        let receiver = try await Receiver(paths: ["/hook"], delayMs: 30)
        let harness = try await Harness(kind)
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"])
        try await harness.putEvents(2_000)
        for round in 1...2 {
            let dispatcher = try await harness.startDispatcher()
            #expect(await eventually(within: .seconds(30)) { receiver.distinct >= 500 * round })
            let start = ContinuousClock.now
            await dispatcher.end(SIGTERM)
            let log = harness.log(dispatcher)
            #expect(log.contains("\"message\":\"stopped\""), "\(log.suffix(1_000))")
            print("dispatcher stopped under load after \(ContinuousClock.now - start)")
        }
        try await harness.startDispatcher()
        #expect(await eventually(within: .seconds(30)) { receiver.distinct == 2_000 })
        #expect(receiver.repeats == 0)
        await harness.close()
        await receiver.stop()
    }
}
