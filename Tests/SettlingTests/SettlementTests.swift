import Records
import Testing

@testable import Settling

@Suite struct SettlementTests {
    private func settlement(_ offset: Int64 = 40, memory: SourceMemory? = nil) -> PartitionSettlement {
        PartitionSettlement(
            offset: offset, note: 3, memory: memory ?? SourceMemory(topic: "events", partition: 0, committed: offset))
    }

    private func expectCommit(_ settlement: inout PartitionSettlement, _ expected: CommitPoint) {
        let point = settlement.commitPoint()
        #expect(point == expected)
    }

    private func expectCommit(_ settlement: inout PartitionSettlement, _ offset: Int64) {
        let point = settlement.commitPoint()
        #expect(point.offset == offset)
    }

    private func take(
        _ settlement: inout PartitionSettlement, _ offset: Int64, _ fanOut: Int
    ) throws -> PartitionSettlement.Slot {
        let slot = settlement.take(offset: offset, fanOut: fanOut)
        return try #require(slot)
    }

    @Test func theLowestUnsettledOffsetIsCommitted() throws {
        var settlement = settlement()
        settlement.openBatch(attemptsEnd: 7)
        let first = try take(&settlement, 40, 1)
        let second = try take(&settlement, 41, 2)
        let third = try take(&settlement, 42, 1)
        expectCommit(&settlement, CommitPoint(offset: 40, note: 7))
        settlement.settle(third)
        settlement.settle(second)
        expectCommit(&settlement, 40)
        settlement.settle(first)
        expectCommit(&settlement, 41)
        settlement.settle(second)
        expectCommit(&settlement, CommitPoint(offset: 43, note: 7))
        #expect(settlement.owed == 0)
    }

    @Test func whatHasNoWebhookOrNoRecordIsCovered() {
        var settlement = settlement()
        settlement.openBatch(attemptsEnd: 7)
        _ = settlement.take(offset: 42, fanOut: 0)
        _ = settlement.take(offset: 43, fanOut: 1)
        _ = settlement.take(offset: 44, fanOut: 0)
        settlement.skip(to: 50)
        let coverages = settlement.closeBatch()
        #expect(coverages.map(\.span) == [.init(first: 40, last: 42), .init(first: 44, last: 49)])
        let again = settlement.closeBatch()
        #expect(again.isEmpty)
        expectCommit(&settlement, 40)
        settlement.settle(coverages[0].slot)
        expectCommit(&settlement, 43)
        settlement.settle(coverages[1].slot)
        expectCommit(&settlement, 43)
    }

    @Test func aGapOfABillionOffsetsIsOneStretch() {
        var settlement = settlement(0)
        settlement.openBatch(attemptsEnd: 0)
        settlement.skip(to: 1_000_000_000)
        let coverages = settlement.closeBatch()
        #expect(coverages.map(\.span) == [.init(first: 0, last: 999_999_999)])
        settlement.settle(coverages[0].slot)
        expectCommit(&settlement, 1_000_000_000)
    }

    @Test func anOffsetTakenBeforeIsIgnored() {
        var settlement = settlement()
        settlement.openBatch(attemptsEnd: 7)
        let taken = [39, 40, 40].map { settlement.take(offset: $0, fanOut: 1) != nil }
        #expect(taken == [false, true, false])
        #expect(settlement.owed == 1)
    }

    @Test func batchesBelowASettledOffsetInheritTheNote() throws {
        var memory = SourceMemory(topic: "events", partition: 0, committed: 40)
        var outcome = Outcome()
        outcome.kind = .delivered
        outcome.sourceTopic = "events"
        outcome.sourceOffset = 45
        outcome.sourceTimestampMs = 9
        outcome.webhookID = "a"
        outcome.fanOut = 1
        memory.learn(outcome)
        var settlement = settlement(memory: memory)
        settlement.openBatch(attemptsEnd: 100)
        let low = try take(&settlement, 40, 1)
        settlement.openBatch(attemptsEnd: 101)
        let slot = try take(&settlement, 45, 1)
        let otherTime = settlement.skipIfSettled(slot, offset: 45, timestamp: 8, webhook: "a")
        let otherWebhook = settlement.skipIfSettled(slot, offset: 45, timestamp: 9, webhook: "b")
        let same = settlement.skipIfSettled(slot, offset: 45, timestamp: 9, webhook: "a")
        #expect([otherTime, otherWebhook, same] == [false, false, true])
        settlement.openBatch(attemptsEnd: 102)
        let late = try take(&settlement, 46, 1)
        for coverage in settlement.closeBatch() { settlement.settle(coverage.slot) }
        expectCommit(&settlement, CommitPoint(offset: 40, note: 3))
        settlement.settle(low)
        expectCommit(&settlement, CommitPoint(offset: 46, note: 102))
        settlement.settle(late)
        expectCommit(&settlement, CommitPoint(offset: 47, note: 102))
    }

    @Test func anotherFanOutThanBeforeIsCoveredToo() throws {
        var memory = SourceMemory(topic: "events", partition: 0, committed: 40)
        var outcome = Outcome()
        outcome.kind = .delivered
        outcome.sourceTopic = "events"
        outcome.sourceOffset = 40
        outcome.webhookID = "a"
        outcome.fanOut = 2
        memory.learn(outcome)
        var settlement = settlement(memory: memory)
        settlement.openBatch(attemptsEnd: 1)
        _ = try take(&settlement, 40, 1)
        let coverages = settlement.closeBatch()
        #expect(coverages.map(\.span) == [.init(first: 40, last: 40)])
        #expect(settlement.owed == 2)
    }

    @Test func otherPartitionsOutcomesAreNotOurs() {
        var memory = SourceMemory(topic: "events", partition: 1, committed: 0)
        var outcome = Outcome()
        outcome.kind = .delivered
        outcome.sourceTopic = "events"
        outcome.sourcePartition = 2
        memory.learn(outcome)
        outcome.sourceTopic = "deliveries"
        outcome.sourcePartition = 1
        memory.learn(outcome)
        #expect(memory.isEmpty)
    }
}

@Suite struct ResumeTests {
    private static let source = Resume.Extent(start: 10, end: 100)
    private static let attempts = Resume.Extent(start: 5, end: 50)

    private func resume(_ offset: Int64?, _ metadata: String = "") -> Resume {
        Resume(committed: offset.map { ($0, metadata) }, source: Self.source, attempts: Self.attempts)
    }

    @Test func goesOnWhereItWasCommitted() {
        let resume = resume(20, "1:30")
        #expect(resume.offset == 20 && resume.note == 30 && resume.attemptsEnd == 50)
        #expect(!resume.commitsFirst && resume.lost == 0 && !resume.sourceRestarted)
    }

    @Test func aNewGroupTakesTheLogFromItsStart() {
        let resume = resume(nil)
        #expect(resume.offset == 10 && resume.note == 5 && resume.commitsFirst)
    }

    @Test func withoutANoteTheStartOfAttemptsServes() {
        for metadata in ["", "x", "2:30", "1:-4", "1:51"] {
            let resume = resume(20, metadata)
            #expect(resume.offset == 20 && resume.note == 5 && resume.commitsFirst, "\(metadata)")
        }
        #expect(resume(20, "1:2").note == 5)
    }

    @Test func whatRetentionTookIsCounted() {
        let resume = resume(4, "1:30")
        #expect(resume.offset == 10 && resume.lost == 6 && resume.commitsFirst)
    }

    @Test func anOffsetAboveTheEndIsAnotherLog() {
        let resume = resume(101, "1:30")
        #expect(resume.offset == 100 && resume.sourceRestarted && resume.note == 50 && resume.commitsFirst)
        #expect(self.resume(100, "1:30").sourceRestarted == false)
    }

    @Test func notesComeBackAsTheyWent() {
        #expect(CommitPoint.note(in: CommitPoint(offset: 1, note: .max).metadata) == .max)
        #expect(CommitPoint.note(in: CommitPoint(offset: 1, note: 0).metadata) == 0)
    }
}

@Suite struct ProgressTests {
    @Test func theOutcomeIsWrittenLast() {
        var carried = DeliveryProgress()
        #expect(!carried.isUnacknowledged)
        let steps = [
            carried.decided(carriesOn: true), carried.refused(), carried.acknowledged(), carried.refused(),
            carried.acknowledged(),
        ]
        #expect(steps == [.writeRecord, .writeRecord, .writeOutcome, .writeOutcome, .settle])
        #expect(!carried.isUnacknowledged)
        var delivered = DeliveryProgress()
        let short = [delivered.decided(carriesOn: false), delivered.acknowledged()]
        #expect(short == [.writeOutcome, .settle])
    }

    @Test func startsAreBoundByNumberAndAge() {
        let bound = CrashBound(maxOpen: 2, maxAge: 10)
        #expect(bound.allowsStart(open: 1, oldest: nil, now: 0))
        #expect(!bound.allowsStart(open: 2, oldest: nil, now: 0))
        #expect(bound.allowsStart(open: 1, oldest: 5, now: 14))
        #expect(!bound.allowsStart(open: 1, oldest: 5, now: 15))
    }

    @Test func theOldestUnacknowledgedIsKnownWhateverTheOrder() {
        var unacknowledged = Unacknowledged()
        let tickets = (0..<40).map { unacknowledged.add(now: UInt64($0)) }
        unacknowledged.remove(tickets[1])
        #expect(unacknowledged.oldest == 0)
        unacknowledged.remove(tickets[0])
        #expect(unacknowledged.oldest == 2)
        for ticket in tickets[2...].reversed() { unacknowledged.remove(ticket) }
        #expect(unacknowledged.oldest == nil)
    }

    @Test func aSettlementAcknowledgedTwiceTraps() async {
        await #expect(processExitsWith: .failure) {
            var settlement = PartitionSettlement(
                offset: 0, note: 0, memory: SourceMemory(topic: "t", partition: 0, committed: 0))
            settlement.openBatch(attemptsEnd: 0)
            let slot = settlement.take(offset: 0, fanOut: 1)!
            settlement.settle(slot)
            settlement.settle(slot)
        }
    }
}
