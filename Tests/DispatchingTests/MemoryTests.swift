import Kafka
import Records
import ServiceSupport
import TestSupport
import Testing

/// What a worker may hold is bounded in bytes: at the bound nothing more is taken, which `/metrics` shows, and all goes on when there is
/// room again.
@Suite(.serialized, .timeLimit(.minutes(3))) struct MemoryTests {
    private static let bound = 8 << 20
    private static let size = 200_000
    private static let count = 120

    @Test func atTheBoundPartitionsArePausedAndMetricsSayIt() async throws {
        let receiver = try await Receiver(paths: ["/slow"], delayMs: 2_000, keeps: 0)
        let harness = try await Harness(
            .inMemory, partitions: 8, ["MARTLET_DISPATCHER_WORKERS": "1", "MARTLET_DISPATCHER_MEMORY": "8MiB"])
        try await harness.putWebhook("wh_1", url: receiver.url("/slow"), types: ["*"])
        let payload = [UInt8](repeating: 65, count: Self.size)
        for number in 0..<Self.count {
            try await harness.producer.send(
                to: harness.topics.events, partition: Int32(number % 8), key: nil, value: payload,
                headers: Harness.headers(id: "event-\(number)", type: "order.created"))
        }
        let dispatcher = try await harness.startDispatcher()
        var (mostPaused, mostHeld) = (0.0, 0.0)
        while receiver.distinct < Self.count, dispatcher.isRunning {
            let paused = try await worker("webhook_dispatcher_paused_partitions", harness, dispatcher)
            mostPaused = max(mostPaused, paused)
            mostHeld = max(mostHeld, try await worker("webhook_dispatcher_held_bytes", harness, dispatcher))
            try await Task.sleep(for: .milliseconds(50))
        }
        print(
            "memory of a worker: at most \(Int(mostHeld)) bytes held of \(Self.bound), \(Int(mostPaused)) partitions paused"
        )
        #expect(mostPaused >= 1)
        #expect(mostHeld >= Double(Self.bound) && mostHeld <= Double(Self.bound + Self.size + 4_096))
        let pauses = try await harness.metric("webhook_dispatcher_memory_pauses_total", of: dispatcher) ?? 0
        #expect(pauses >= 1)
        #expect(receiver.repeats == 0)
        #expect(await eventually { (try? await worker("webhook_dispatcher_held_bytes", harness, dispatcher)) == 0 })
        #expect(try await worker("webhook_dispatcher_paused_partitions", harness, dispatcher) == 0)
        await harness.close()
        await receiver.stop()
    }

    private func worker(_ name: String, _ harness: Harness, _ dispatcher: ServerProcess) async throws -> Double {
        try await harness.metric(name + #"{worker="0"}"#, of: dispatcher) ?? 0
    }
}
