import TestSupport
import Testing

@testable import Registry

/// The parts that decide who waits for what.
@Suite(.timeLimit(.minutes(1))) struct PartTests {
    @Test func aWaitEndsWithThePublication() async {
        let records = PublishedRecords()
        records.published([1])
        #expect(await records.wait(for: 1, within: .zero))
        let waiting = Task { await records.wait(for: 2, within: .seconds(50)) }
        // Whether it waits yet or not, it must not miss this.
        records.published([3, 2])
        #expect(await waiting.value)
        #expect(await records.wait(for: 4, within: .milliseconds(5)) == false)
        records.published([4])
        #expect(await records.wait(for: 4, within: .zero))
    }

    @Test func aWaitEndsWithItsTaskOrTheProcess() async {
        let records = PublishedRecords()
        let cancelled = Task { await records.wait(for: 1, within: .seconds(50)) }
        cancelled.cancel()
        #expect(await cancelled.value == false)
        let stopped = Task { await records.wait(for: 2, within: .seconds(50)) }
        records.stopWaiting()
        #expect(await stopped.value == false)
        #expect(await records.wait(for: 3, within: .seconds(50)) == false)
    }

    @Test func whatIsRememberedIsBounded() async {
        let records = PublishedRecords()
        records.published(Array(1...10_000))
        #expect(await records.wait(for: 10_000, within: .zero))
        #expect(await records.wait(for: 1, within: .zero) == false)
    }

    @Test func aSignalIsKeptUntilSomebodyWaits() async {
        let wakeup = Wakeup()
        wakeup.signal()
        wakeup.signal()
        await wakeup.wait(upTo: .seconds(50))
        let started = ContinuousClock.now
        await wakeup.wait(upTo: .milliseconds(20))
        #expect(.now - started >= .milliseconds(19))
        let waiting = Task { await wakeup.wait(upTo: .seconds(50)) }
        waiting.cancel()
        await waiting.value
    }

    @Test func recordsOfOneWebhookAreNotOnTheirWayTogether() {
        func record(_ number: Int64, _ id: String) -> OutboxRecord {
            OutboxRecord(number: number, webhookID: id, value: nil)
        }
        let records = [record(1, "a"), record(2, "b"), record(3, "a"), record(4, "c"), record(5, "c")]
        var rest = records[...]
        var waves: [[Int64]] = []
        while !rest.isEmpty {
            let wave = OutboxRelay.wave(rest)
            waves.append(wave.map(\.number))
            rest = rest.dropFirst(wave.count)
        }
        #expect(waves == [[1, 2], [3, 4], [5]])
    }

    @Test func positionsComeBackFromTheirText() {
        let position = ListPosition(createdAtMs: 1_700_000_000_123, id: "wh_0a")
        #expect(ListPosition(cursor: position.text) == position)
        for text in ["", "x", "e30", "LndoXzE", "MS53aF8", "MTIu"] {
            let read = ListPosition(cursor: text)
            #expect(read == nil || read?.text == text)
        }
    }
}
