import Glibc
import TestSupport
import Testing

/// A dispatcher that does not run for a while (a stopped process, a suspended machine), and what has changed when it does again.
@Suite(.serialized) struct SleepTests {
    private static let bound = 64

    /// Stops a process for `duration`, or longer, until `condition` holds.
    private func suspend(
        _ process: ServerProcess, for duration: Duration, until condition: () -> Bool = { true }
    ) async -> Bool {
        let wakesAt = ContinuousClock.now + duration
        process.signal(SIGSTOP)
        defer { process.signal(SIGCONT) }
        return await eventually(within: .seconds(60)) { ContinuousClock.now >= wakesAt && condition() }
    }

    @Test(.requiresRealKafka, .timeLimit(.minutes(2))) func aShortSleepIsConfirmedAndRepeatsNothing() async throws {
        let receiver = try await Receiver(paths: ["/hook"], delayMs: 50)
        let harness = try await Harness(.real, ["MARTLET_DISPATCHER_MAX_IN_FLIGHT": "\(Self.bound)"])
        let events = 5_000
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"])
        try await harness.putEvents(events)
        let dispatcher = try await harness.startDispatcher()
        #expect(await eventually(within: .seconds(30)) { receiver.distinct >= 500 })
        // Longer than half the session, shorter than the whole.
        #expect(await suspend(dispatcher, for: .seconds(4)))
        #expect(receiver.distinct < events)
        #expect(await eventually(within: .seconds(60)) { receiver.distinct == events })
        let log = harness.log(dispatcher)
        #expect(log.contains("the loop slept") && log.contains("the assignment is confirmed"), "\(log.suffix(2_000))")
        #expect(!log.contains("partitions are revoked"))
        #expect(receiver.repeats == 0)
        await harness.close()
        await receiver.stop()
    }

    @Test(.requiresRealKafka, .timeLimit(.minutes(3))) func aSleepPastTheSessionLosesNothing() async throws {
        let receiver = try await Receiver(paths: ["/hook"], delayMs: 100)
        let harness = try await Harness(.real, ["MARTLET_DISPATCHER_MAX_IN_FLIGHT": "\(Self.bound)"])
        let events = 8_000
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"])
        try await harness.putEvents(events)
        let sleeper = try await harness.startDispatcher()
        #expect(await eventually(within: .seconds(30)) { receiver.distinct >= 500 })
        sleeper.signal(SIGSTOP)
        let before = receiver.distinct
        try await harness.startDispatcher()
        #expect(await suspend(sleeper, for: .seconds(10)) { receiver.distinct >= before + 500 })
        #expect(receiver.distinct < events)
        #expect(
            await eventually(within: .seconds(20)) { harness.log(sleeper).contains("partitions are revoked") })
        let arrived = await eventually(within: .seconds(60)) { receiver.distinct == events }
        let (lost, repeated) = (events - receiver.distinct, receiver.repeats)
        print("dispatcher slept past its session: \(lost) lost, \(repeated) repeated (at most \(Self.bound))")
        #expect(arrived && lost == 0)
        #expect(repeated <= Self.bound)
        #expect(await eventually { harness.log(sleeper).lines(with: "partitions were assigned") >= 2 })
        await harness.close()
        await receiver.stop()
    }

    /// While it slept the others delivered everything. What it had waiting for the webhook's limit must not be sent when it wakes,
    /// though answers that came meanwhile make room.
    @Test(.requiresRealKafka, .timeLimit(.minutes(3))) func aSleeperStartsNothingThatIsNoLongerIts() async throws {
        let (limit, events) = (8, 40)
        let receiver = try await Receiver(paths: ["/hook"], delayMs: 1_500)
        let harness = try await Harness(
            .real,
            [
                "MARTLET_DISPATCHER_MAX_IN_FLIGHT_PER_WEBHOOK": "\(limit)", "MARTLET_DISPATCHER_SHORT_QUEUE_WAIT": "1m",
            ])
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"])
        try await harness.putEvents(events)
        let sleeper = try await harness.startDispatcher()
        // The first requests' outcomes are written and the second ones run: these will be repeated, and no others.
        #expect(
            try await eventually(within: .seconds(30)) {
                guard receiver.total == 2 * limit else { return false }
                return try await harness.outcomes().count == limit
            })
        sleeper.signal(SIGSTOP)
        #expect(receiver.total == 2 * limit)
        try await harness.startDispatcher()
        #expect(await suspend(sleeper, for: .seconds(10)) { receiver.distinct == events && receiver.running == 0 })
        #expect(
            await eventually(within: .seconds(20)) { harness.log(sleeper).lines(with: "partitions were assigned") >= 2 }
        )
        #expect(receiver.distinct == events)
        #expect(receiver.repeats <= limit)
        await harness.close()
        await receiver.stop()
    }
}

extension String {
    /// How many of its lines have a text.
    fileprivate func lines(with text: String) -> Int {
        split(separator: "\n").count { $0.contains(text) }
    }
}
