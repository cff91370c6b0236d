import Glibc
import Kafka
import Records
import TestSupport
import Testing

/// What waits is fired when it is due, once, and leaves nothing behind.
@Suite(.serialized) struct FiringTests {
    @Test(arguments: KafkaBroker.available) func whatIsDueIsFiredOnce(kind: KafkaBroker.Kind) async throws {
        let harness = try await Harness(kind)
        let start = nowMs()
        try await harness.putWaiting(0..<50) { start + Int64($0) * 20 }
        let manager = try await harness.startManager()
        let last = nowMs() + 2_000
        try await harness.putWaiting(50..<100) { _ in last }
        let fired = try await harness.awaitFired(100)
        #expect(fired.count == 100)
        #expect(fired.values.allSatisfy { $0.count == 1 })
        for number in 50..<100 {
            let record = try #require(fired[Harness.id(number).description]?.first)
            #expect(record.timestamp >= last)
            #expect(record.value == Array("{\"n\":\(number)}".utf8))
            #expect(record.key == Array("wh_1".utf8))
            #expect(record.topicPartition.partition == harness.partition(number))
            #expect(record.header("martlet-generation") == Array("1".utf8))
            #expect(record.header("martlet-due") == nil)
            #expect(record.header("ce_type") == Array("order.created".utf8))
        }
        #expect(
            await eventually(within: .seconds(10)) { (try? await harness.liveKeys()) == ["fence"] })
        #expect(
            await eventually(within: .seconds(10)) {
                (try? await harness.metric("webhook_retries_pending", of: manager)) == 0
            })
        await harness.close()
    }

    @Test(arguments: KafkaBroker.available) func commandsAct(kind: KafkaBroker.Kind) async throws {
        let harness = try await Harness(kind, ["MARTLET_RETRY_MAX_AGE": "8s"])
        try await harness.startManager()
        let later = nowMs() + 3_600_000
        for number in 0..<4 { try await harness.putWaiting(number, due: later) }
        let id = Harness.id
        try await harness.put(.retryNow(id(0), generation: 1), value: [], 0)
        // Of a generation that is no more: does nothing.
        try await harness.put(.retryNow(id(1), generation: 9), value: [], 1)
        try await harness.put(.cancel(id(2)), value: [], 2)
        var fired = try await harness.awaitFired(2)
        #expect(fired[id(0).description]?.count == 1)
        #expect(fired[id(0).description]?.first?.header("martlet-command") == nil)
        #expect(fired[id(2).description]?.first?.header("martlet-command") == Array("cancel".utf8))
        // A cancellation holds for a generation that comes after it.
        try await harness.put(.cancel(id(5)), value: [], 5)
        try await harness.putWaiting(5, generation: 2, due: later)
        fired = try await harness.awaitFired(3)
        #expect(fired[id(5).description]?.first?.header("martlet-command") == Array("cancel".utf8))
        let expected: Set = ["fence", "\(id(1))#1", "\(id(3))#1"]
        // Cancellations stay until no generation can come any more.
        let settled = await eventually(within: .seconds(20)) { (try? await harness.liveKeys()) == expected }
        let live = try await harness.liveKeys()
        #expect(settled, "\(live)")
        await harness.close()
    }

    @Test(arguments: KafkaBroker.available) func aNewerGenerationReplacesAnOlderOne(kind: KafkaBroker.Kind) async throws
    {
        let harness = try await Harness(kind)
        try await harness.startManager()
        let id = Harness.id(0)
        try await harness.putWaiting(0, generation: 1, due: nowMs() + 3_600_000)
        try await harness.putWaiting(0, generation: 3, due: nowMs() + 500)
        try await harness.putWaiting(0, generation: 2, due: nowMs())
        let fired = try await harness.awaitFired(1)
        #expect(fired[id.description]?.map { $0.header("martlet-generation") } == [Array("3".utf8)])
        #expect(await eventually(within: .seconds(10)) { (try? await harness.liveKeys()) == ["fence"] })
        await harness.close()
    }
}
