import CLinux
import Kafka
import Metrics
import Records
import Settling
import TestSupport
import Testing
import WireFormat

@testable import Observing

@Suite(.serialized, .timeLimit(.minutes(3))) struct LedgerTests {
    /// History whose ledger watches topics that a test writes by hand.
    private struct Bench {
        let history: HistoryFixture
        let events: String
        let deliveries: String
        let group = KafkaBroker.uniqueName("dispatcher")

        init(_ kind: KafkaBroker.Kind) async throws {
            var history = try await HistoryFixture(kind, partitions: 1)
            events = try await history.broker.makeTopic("events")
            deliveries = try await history.broker.makeTopic("deliveries")
            var ledger = LedgerSettings(eventsTopic: events, dispatcherGroup: group)
            ledger.lookMs = 50
            history.settings.ledger = ledger
            history.settings.deliveriesTopic = deliveries
            self.history = history
        }

        /// Accepts so many events, the outcomes of which are written but for those left out, and commits past them.
        func run(_ offsets: Range<Int>, leavingOut missing: Set<Int>) async throws {
            for _ in offsets {
                try await history.producer.send(to: events, partition: 0, key: nil, value: [1])
            }
            try await history.write(
                offsets.filter { !missing.contains($0) }.map { offset in
                    var outcome = Outcome.made(offset)
                    outcome.sourceTopic = events
                    return outcome
                })
            try await commit(offsets.upperBound)
        }

        func commit(_ offset: Int) async throws {
            try await history.broker.commit(
                [OffsetCommit(TopicPartition(events, 0), offset: Int64(offset), metadata: "1:0")], group: group)
        }

        var told: UInt64 { history.metrics.ledger.uncovered.labelled(events).value }
        var covered: Double { history.metrics.ledger.covered.labelled(events, "0").value }
        var committed: Double { history.metrics.ledger.committed.labelled(events, "0").value }

        /// Waits for so many more looks.
        func looks(_ count: UInt64) async -> Bool {
            let before = history.metrics.ledger.looks.value
            return await eventually(within: .seconds(30)) { history.metrics.ledger.looks.value >= before + count }
        }
    }

    /// What is left out while nobody watches is found by the successor.
    @Test(arguments: KafkaBroker.available)
    func whatIsCommittedAndNotAccountedForIsToldOnceThroughARestart(_ kind: KafkaBroker.Kind) async throws {
        let bench = try await Bench(kind)
        try await bench.commit(0)
        let first = bench.history.start()
        #expect(await bench.looks(1))
        try await bench.run(0..<30, leavingOut: [7, 8, 20])
        #expect(await eventually(within: .seconds(30)) { bench.told == 3 }, "\(bench.told)")
        #expect(await eventually(within: .seconds(30)) { bench.covered == 30 && bench.committed == 30 })
        // The position is committed within a second or two.
        #expect(
            try await eventually(within: .seconds(30)) {
                let saved = try await GroupOffsets(
                    bench.history.settings.kafka, groupID: bench.history.settings.groupID
                )
                .committed([TopicPartition(bench.history.topic, 0)])
                return saved.values.first.map { LedgerNote($0.metadata).points[bench.events]?.offset } == 30
            })
        await first.stop()

        try await bench.run(30..<60, leavingOut: [44])
        let second = bench.history.start()
        #expect(await eventually(within: .seconds(30)) { bench.told == 4 }, "\(bench.told)")
        #expect(await bench.looks(5))
        #expect(bench.told == 4)
        print("ledger on \(kind.testDescription): 4 of 4 losses told, 1 of them from while nobody watched, 0 twice")
        await second.stop()
        await bench.history.close()
    }

    @Test func openAndOverdueDeliveriesAreCounted() async throws {
        let fixture = try await HistoryFixture(partitions: 2)
        let now = clinux_realtime_ms()
        let old = now - 73 * 3_600_000
        // Two that are too old; one of them is not due yet.
        var later = Outcome.made(2, .failed, at: old)
        later.dueAtMs = now + 60_000
        try await fixture.write([.made(0, .failed), .made(1, .failed, at: old), later])
        try await fixture.write([.made(3, .parked), .made(4)], partition: 1)
        let history = fixture.start()
        let ledger = fixture.metrics.ledger
        #expect(await eventually(within: .seconds(30)) { ledger.open.value == 4 })
        #expect(ledger.openByPartition.labelled("0").value == 3 && ledger.openByPartition.labelled("1").value == 1)
        #expect(ledger.overdue.value == 1)
        try await fixture.write([Outcome.made(3, .parked).followed(by: .delivered, request: 99)], partition: 1)
        #expect(await eventually(within: .seconds(30)) { ledger.open.value == 3 })
        #expect(ledger.openByPartition.labelled("1").value == 0)
        await history.stop()
        await fixture.close()
    }

    @Test func whatASuccessorIsToldIsReadBackAndNothingElseIs() {
        var note = LedgerNote()
        note.points = ["events": CommitPoint(offset: 7, note: 3), "deliveries": CommitPoint(offset: 0, note: 9)]
        #expect(note.text == "1 deliveries 0 9 events 7 3")
        #expect(LedgerNote(note.text) == note)
        for text in ["", "1", "2 events 7 3", "1 events 7", "1 events x 3", "1 events 7 -3", "1 events 7 3 deliveries"]
        {
            #expect(LedgerNote(text).points.isEmpty, "\(text)")
        }
    }
}
