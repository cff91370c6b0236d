import Glibc
import Kafka
import Records
import ServiceSupport
import TestSupport
import Testing

/// The log's start overtakes a dispatcher that runs.
@Suite(.serialized) struct TruncationTests {
    private static let partitions = 4

    private func offsets(_ harness: Harness, _ admin: Admin) async throws -> [TopicPartition: Watermarks] {
        try await admin.watermarks((0..<Int32(Self.partitions)).map { TopicPartition(harness.topics.events, $0) })
    }

    /// Of every partition at once, each keeps its last records, but one keeps none.
    @Test(.requiresRealKafka, .timeLimit(.minutes(2))) func whatIsLostIsCountedAndTheRestDelivered() async throws {
        let receiver = try await Receiver(paths: ["/hook"])
        let harness = try await Harness(.real, partitions: Self.partitions)
        let admin = try Admin(harness.broker.configuration())
        try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"])
        try await harness.putEvents(100)
        let dispatcher = try await harness.startDispatcher()
        #expect(await eventually(within: .seconds(30)) { receiver.distinct == 100 })

        dispatcher.signal(SIGSTOP)
        try await harness.putEvents(400, from: 100)
        let cuts = try await offsets(harness, admin).map { partition, bounds in
            PartitionPosition(partition, offset: partition.partition == 0 ? bounds.high : bounds.high - 20)
        }
        #expect(try await admin.deleteRecords(below: cuts) == [:])
        let remaining = Set(
            try await harness.records(harness.topics.events).compactMap { record in
                record.header("ce_id").map { String(decoding: $0, as: UTF8.self) }
            })
        dispatcher.signal(SIGCONT)
        #expect(remaining.count == 20 * (Self.partitions - 1))
        let arrived = await eventually(within: .seconds(30)) { remaining.isSubset(of: receiver.ids(at: "/hook")) }
        #expect(arrived, "\(harness.log(dispatcher).suffix(2_000))")
        // A fetch under way when it was stopped may have brought some.
        let lost = 500 - receiver.distinct
        #expect(lost > 0)
        #expect(
            try await eventually {
                try await harness.metric("webhook_events_lost_total", of: dispatcher) == Double(lost)
            },
            "\(lost) lost; \(harness.log(dispatcher).suffix(2_000))")

        // Everything goes on from there, and a successor neither repeats nor counts again.
        try await harness.putEvents(100, from: 500)
        #expect(await eventually(within: .seconds(20)) { receiver.distinct == 600 - lost })
        await dispatcher.end()
        let successor = try await harness.startDispatcher()
        try await harness.putEvents(100, from: 600)
        #expect(await eventually(within: .seconds(20)) { receiver.distinct == 700 - lost })
        #expect(try await harness.metric("webhook_events_lost_total", of: successor) == 0)
        #expect(try await harness.metric("webhook_events_lost_total", of: dispatcher) == nil)
        #expect(receiver.repeats == 0)
        await harness.close()
        await receiver.stop()
    }

    /// Nothing is left to be read, so nothing moves the position: what was counted must not be counted by the next owner again.
    @Test(.requiresRealKafka, .timeLimit(.minutes(2))) func aLogThatIsEmptyNowIsCountedOnce() async throws {
        let harness = try await Harness(.real, partitions: Self.partitions)
        let admin = try Admin(harness.broker.configuration())
        let dispatcher = try await harness.startDispatcher()
        dispatcher.signal(SIGSTOP)
        try await harness.putEvents(200)
        let cuts = try await offsets(harness, admin).map { PartitionPosition($0, offset: $1.high) }
        #expect(try await admin.deleteRecords(below: cuts) == [:])
        dispatcher.signal(SIGCONT)
        // What a fetch under way brought is covered, for nobody subscribed; both together are all there were.
        #expect(
            try await eventually(within: .seconds(20)) {
                let covered = try await harness.outcomes().flatMap(\.spans).reduce(0) { $0 + $1.last - $1.first + 1 }
                return covered == 200
            }, "\(harness.log(dispatcher).suffix(2_000))")
        let lost = try await harness.metric("webhook_events_lost_total", of: dispatcher) ?? 0
        #expect(lost > 0 && lost <= 200)
        await dispatcher.end()
        let successor = try await harness.startDispatcher()
        #expect(try await harness.metric("webhook_events_lost_total", of: successor) == 0)
        await harness.close()
    }
}
