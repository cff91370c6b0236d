import Glibc
import Kafka
import Records
import ServiceSupport
import TestSupport
import Testing

/// What healthy endpoints notice of one that hangs, on one dispatcher: rate and latency beside a run in which that one is healthy too.
@Suite(.serialized, .timeLimit(.minutes(5))) struct IsolationTests {
    private static let healthy = 8
    private static let burst = 4_000
    /// Of the paced part: so many events every 10 ms.
    private static let steps = 400
    private static let perStep = 4

    private struct Figures {
        var perSecond: Double
        var p99Ms: Int64
    }

    @Test func aHangingEndpointIsNobodyElsesProblem() async throws {
        let alone = try await run(withHanging: false)
        let beside = try await run(withHanging: true)
        let rate = beside.perSecond / alone.perSecond
        let latency = Double(beside.p99Ms) / Double(max(1, alone.p99Ms))
        print(
            "healthy endpoints beside one that hangs: \(Int(beside.perSecond)) deliveries/s, with a healthy one \(Int(alone.perSecond))"
                + " (ratio \(text(rate))); p99 \(beside.p99Ms) ms, with a healthy one \(alone.p99Ms) ms (ratio \(text(latency)))"
        )
        // Requests hang for 5 s. Machines that run other tests too vary, though not by so much.
        #expect(rate > 0.25)
        #expect(beside.p99Ms < 1_000 || latency < 2)
    }

    private func text(_ ratio: Double) -> String { String(Double(Int(ratio * 100)) / 100) }

    private func run(withHanging: Bool) async throws -> Figures {
        let paths = (0..<Self.healthy).map { "/healthy-\($0)" }
        let receiver = try await Receiver(paths: paths, keeps: 0)
        let other = try await Receiver(paths: ["/healthy"], keeps: 0)
        let hanging = RawServer { connection, _ in connection.awaitClose() }
        let harness = try await Harness(.inMemory)
        for (number, path) in paths.enumerated() {
            try await harness.putWebhook("wh_\(number)", url: receiver.url(path), types: ["healthy-\(number)"])
        }
        try await harness.putWebhook(
            "wh_other", url: withHanging ? hanging.url() : other.url("/healthy"), types: ["hanging"]
        ) { $0.timeoutMs = 5_000 }
        try await harness.startDispatcher()
        // A fifth of all events is for the endpoint that hangs, or does not.
        try await putBurst(harness)
        #expect(await eventually(within: .seconds(60)) { receiver.distinct == Self.burst })
        let first = try await delivered(harness)
        try await putPaced(harness)
        let all = Self.burst + Self.steps * Self.perStep
        #expect(await eventually(within: .seconds(60)) { receiver.distinct == all })
        #expect(await eventually(within: .seconds(30)) { (try? await delivered(harness).count) == all })
        let second = try await delivered(harness).filter { $0.eventID.hasPrefix("paced") }
        let others = try await harness.outcomes().filter { $0.webhookID == "wh_other" }
        #expect(!others.isEmpty && others.allSatisfy { ($0.kind == .delivered) != withHanging })
        #expect(receiver.repeats == 0 && second.count == Self.steps * Self.perStep)
        await harness.close()
        hanging.stop()
        await receiver.stop()
        await other.stop()
        return Figures(perSecond: perSecond(first), p99Ms: p99(second))
    }

    private func delivered(_ harness: Harness) async throws -> [Outcome] {
        try await harness.outcomes().filter { $0.kind == .delivered && $0.webhookID != "wh_other" }
    }

    private func perSecond(_ outcomes: [Outcome]) -> Double {
        let begin = outcomes.map(\.sourceTimestampMs).min() ?? 0
        let end = outcomes.map { $0.startedAtMs + Int64($0.durationUs / 1_000) }.max() ?? 0
        return Double(outcomes.count) * 1_000 / Double(max(1, end - begin))
    }

    /// From the event's time in Kafka to the answer.
    private func p99(_ outcomes: [Outcome]) -> Int64 {
        let latencies = outcomes.map { $0.startedAtMs + Int64($0.durationUs / 1_000) - $0.sourceTimestampMs }.sorted()
        return latencies.isEmpty ? .max : latencies[latencies.count * 99 / 100]
    }

    /// With every fourth one another for the endpoint that hangs.
    private func put(_ numbers: Range<Int>, _ name: String, _ harness: Harness) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in numbers {
                var types = ["healthy-\(number % Self.healthy)"]
                if number % 4 == 0 { types.append("hanging") }
                for type in types {
                    group.addTask { [producer = harness.producer, topic = harness.topics.events] in
                        try await producer.send(
                            to: topic, key: Array("\(number)".utf8), value: Array("{\"n\":\(number)}".utf8),
                            headers: Harness.headers(id: "\(name)-\(number)-\(type)", type: type))
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func putBurst(_ harness: Harness) async throws {
        for start in stride(from: 0, to: Self.burst, by: 500) {
            try await put(start..<(start + 500), "burst", harness)
        }
    }

    private func putPaced(_ harness: Harness) async throws {
        let clock = ContinuousClock()
        let begin = clock.now
        for step in 0..<Self.steps {
            try await clock.sleep(until: begin + .milliseconds(10 * step))
            try await put(step * Self.perStep..<(step + 1) * Self.perStep, "paced", harness)
        }
    }
}
