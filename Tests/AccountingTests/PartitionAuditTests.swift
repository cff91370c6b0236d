import Records
import Testing

@testable import Accounting

/// A delivery's step, as `attempts` tells of it.
private func step(
    _ delivery: UInt64, _ kind: Outcome.Kind, generation: UInt32 = 0, request: UInt64 = 1, at source: Int64 = 0,
    record: Int64 = 0, topic: String = "events"
) -> Outcome {
    var outcome = Outcome()
    outcome.kind = kind
    outcome.delivery = DeliveryID(random: 0, delivery)
    outcome.generation = generation
    outcome.requestID = request
    outcome.sourceTopic = topic
    outcome.sourceOffset = source
    outcome.fanOut = 1
    outcome.recordOffset = record
    return outcome
}

private func id(_ number: UInt64) -> DeliveryID { DeliveryID(random: 0, number) }

@Suite struct StepMemoryTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var first: Outcome
        var second: Outcome
        var expected: StepMemory.Repeat?
    }

    static let rows: [Row] = [
        Row(
            testDescription: "appended twice", first: step(1, .delivered, request: 7),
            second: step(1, .delivered, request: 7),
            expected: .init(cause: .sameOutcome, isSentTwice: false, wasFinal: true, firstSourceOffset: 0)),
        Row(
            testDescription: "taken twice", first: step(1, .failed, generation: 1, request: 7, at: 3),
            second: step(1, .delivered, request: 8, at: 3),
            expected: .init(cause: .sameRecord, isSentTwice: true, wasFinal: false, firstSourceOffset: 3)),
        Row(
            testDescription: "fired twice", first: step(1, .delivered, generation: 2, request: 7, at: 3),
            second: step(1, .failed, generation: 3, request: 8, at: 5),
            expected: .init(cause: .firedAgain, isSentTwice: true, wasFinal: true, firstSourceOffset: 3)),
        Row(
            testDescription: "put off the first time, sent the second",
            first: step(1, .parked, generation: 1, request: 7),
            second: step(1, .delivered, request: 8),
            expected: .init(cause: .sameRecord, isSentTwice: false, wasFinal: false, firstSourceOffset: 0)),
        Row(
            testDescription: "the next step", first: step(1, .failed, generation: 1, request: 7),
            second: step(1, .delivered, generation: 1, request: 8), expected: nil),
        Row(
            testDescription: "another delivery", first: step(1, .delivered, request: 7),
            second: step(2, .delivered, request: 8), expected: nil),
    ]

    @Test(arguments: rows) func aSecondOutcomeOfAStepIsFoundAndWhyItCame(row: Row) {
        var memory = StepMemory(capacity: 10)
        let first = memory.learn(row.first)
        #expect(first == nil)
        let second = memory.learn(row.second)
        #expect(second == row.expected)
    }

    @Test func whatCoversOffsetsIsNoStep() {
        var memory = StepMemory(capacity: 10)
        for _ in 0..<2 {
            let found = memory.learn(.covering(1...9))
            #expect(found == nil)
        }
    }

    @Test func itForgetsTheOldestOnes() {
        var memory = StepMemory(capacity: 3)
        for number in 0..<5 as Range<UInt64> { _ = memory.learn(step(number, .delivered)) }
        let held = (0..<5 as Range<UInt64>).map { memory.holds(id($0), generation: 0) }
        #expect(held == [false, false, true, true, true])
    }
}

@Suite struct PartitionAuditTests {
    /// What the topics hold, in the order in which they are taken.
    enum Fact: Sendable {
        case outcome(Outcome)
        case waits(UInt64, UInt32)
        case retired(UInt64, UInt32)
        case fired(UInt64, UInt32)
        case letter(UInt64)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var facts: [Fact]
        var missing: [PartitionAudit.Missing.Reason] = []
        var waiting = 0
        var fired = 0
        var retriesStart: Int64 = 0
        var deadLettersStart: Int64 = 0

        init(
            _ description: String, _ facts: [Fact], missing: [PartitionAudit.Missing.Reason] = [], waiting: Int = 0,
            fired: Int = 0, retriesStart: Int64 = 0, deadLettersStart: Int64 = 0
        ) {
            testDescription = description
            self.facts = facts
            self.missing = missing
            self.waiting = waiting
            self.fired = fired
            self.retriesStart = retriesStart
            self.deadLettersStart = deadLettersStart
        }
    }

    static let rows: [Row] = [
        Row("delivered at once", [.outcome(step(1, .delivered))]),
        Row("waits", [.outcome(step(1, .failed, generation: 1)), .waits(1, 1)], waiting: 1),
        Row("parked, and waits", [.outcome(step(1, .parked, generation: 1)), .waits(1, 1)], waiting: 1),
        Row(
            "fired, and not settled yet", [.outcome(step(1, .failed, generation: 1)), .retired(1, 1), .fired(1, 1)],
            fired: 1),
        Row(
            "fired, and not retired yet", [.outcome(step(1, .failed, generation: 1)), .waits(1, 1), .fired(1, 1)],
            fired: 1),
        Row(
            "fired, retired and compacted", [.outcome(step(1, .failed, generation: 1)), .fired(1, 1)], fired: 1),
        Row("never in retries", [.outcome(step(1, .failed, generation: 1))], missing: [.notInRetries]),
        Row(
            "retired, and never fired", [.outcome(step(1, .failed, generation: 1)), .waits(1, 1), .retired(1, 1)],
            missing: [.notInRetries]),
        Row(
            "fired in the generation before",
            [
                .outcome(step(1, .failed, generation: 1)), .outcome(step(1, .failed, generation: 2)), .retired(1, 1),
                .fired(1, 1),
            ], missing: [.notInRetries]),
        Row(
            "a late tombstone of the generation before retires nothing",
            [
                .outcome(step(1, .failed, generation: 1)), .outcome(step(1, .failed, generation: 2)), .waits(1, 2),
                .retired(1, 1),
            ], waiting: 1),
        Row(
            "its next generation is written, whose outcome came after the end",
            [.outcome(step(1, .failed, generation: 1)), .retired(1, 1), .waits(1, 2)], waiting: 1),
        Row(
            "the log of retries begins above it", [.outcome(step(1, .failed, generation: 1, record: 4))],
            missing: [.retriesTrimmed], retriesStart: 5),
        Row(
            "delivered in the end",
            [.outcome(step(1, .failed, generation: 1)), .outcome(step(1, .delivered, generation: 1))]),
        Row(
            "cancelled", [.outcome(step(1, .parked, generation: 1)), .outcome(step(1, .cancelled, generation: 1))]),
        Row("dead, with its letter", [.outcome(step(1, .dead)), .letter(1)]),
        Row("dead, without one", [.outcome(step(1, .dead, record: 3)), .letter(2)], missing: [.noDeadLetter]),
        Row("dead, and retention took the letter", [.outcome(step(1, .dead, record: 3))], deadLettersStart: 4),
        Row(
            "dead, the place of its letter is not known, and retention took some",
            [.outcome(step(1, .dead, record: -1))],
            deadLettersStart: 4),
        Row(
            "dead, the place of its letter is not known", [.outcome(step(1, .dead, record: -1))],
            missing: [.noDeadLetter]),
        Row(
            "an outcome that comes late does not open what was closed",
            [.outcome(step(1, .delivered, request: 1)), .outcome(step(1, .failed, generation: 1, request: 2))]),
        Row(
            "nor what has gone on",
            [
                .outcome(step(1, .failed, generation: 1, request: 1)),
                .outcome(step(1, .delivered, generation: 1, request: 2)),
                .outcome(step(1, .failed, generation: 1, request: 3)),
            ]),
        Row(
            "its outcomes came in the wrong order",
            [
                .outcome(step(1, .delivered, generation: 3, request: 4)),
                .outcome(step(1, .failed, generation: 2, request: 2)),
                .outcome(step(1, .failed, generation: 3, request: 3)),
            ]),
        Row(
            "an older generation's does not hide the present one",
            [
                .outcome(step(1, .failed, generation: 1, request: 1)),
                .outcome(step(1, .failed, generation: 2, request: 2)),
                .outcome(step(1, .failed, generation: 1, request: 3)), .waits(1, 1),
            ], missing: [.notInRetries]),
    ]

    private static func audit(_ row: Row) -> PartitionAudit {
        var audit = PartitionAudit(
            sources: ["events": .init(base: 0, committed: 10)], retriesStart: row.retriesStart,
            deadLettersStart: row.deadLettersStart, memory: 100, maxListed: 10)
        var offset: Int64 = 0
        for fact in row.facts {
            switch fact {
            case .outcome(let outcome):
                audit.learn(outcome, at: offset)
                offset += 1
            case .waits(let number, let generation):
                audit.learn(retry: .delivery(id(number), generation: generation), isTombstone: false)
            case .retired(let number, let generation):
                audit.learn(retry: .delivery(id(number), generation: generation), isTombstone: true)
            case .fired(let number, let generation): audit.learn(fired: id(number), generation: generation)
            case .letter(let number): audit.learn(letter: id(number))
            }
        }
        return audit
    }

    @Test(arguments: rows) func eachDeliveryIsSomewhereOrMissing(row: Row) {
        let audit = Self.audit(row)
        #expect(audit.missing.map(\.reason) == row.missing)
        #expect(audit.standing.waiting == row.waiting && audit.standing.fired == row.fired, "\(audit.standing)")
    }

    @Test func commandsAndFencesAreNoDeliveries() {
        var audit = Self.audit(Row("", [.outcome(step(1, .failed, generation: 1)), .waits(1, 1)]))
        audit.learn(retry: .cancel(id(1)), isTombstone: true)
        audit.learn(retry: .retryNow(id(1), generation: 1), isTombstone: true)
        audit.learn(retry: .fence, isTombstone: false)
        #expect(audit.standing.waiting == 1)
    }

    @Test func stepsAreCountedOnceAndRepeatsApart() {
        var audit = Self.audit(Row("", []))
        for (offset, outcome) in [
            step(1, .delivered, request: 1), step(1, .delivered, request: 1),
            step(2, .failed, generation: 1, request: 2),
            step(2, .delivered, generation: 1, request: 3), step(2, .delivered, generation: 1, request: 4, at: 9),
            step(3, .parked, generation: 1, request: 5), step(3, .delivered, request: 6), step(4, .dead, request: 7),
            step(5, .cancelled, request: 8), Outcome.covering(0...3),
        ].enumerated() { audit.learn(outcome, at: Int64(offset)) }
        var counts = PartitionAudit.Counts()
        counts.outcomes = 9
        counts.delivered = 3
        counts.failed = 1
        counts.parked = 1
        counts.dead = 1
        counts.cancelled = 1
        counts.appendedTwice = 1
        counts.repeatedWithoutRequest = 1
        counts.repeatedRequests = 1
        #expect(audit.counts == counts)
        #expect(audit.repeated.map(\.cause) == [.firedAgain])
        #expect(audit.repeated.map(\.outcome.requestID) == [4])
    }

    @Test func onlyWhatLiesBetweenBaseAndCommitIsJudged() {
        var audit = PartitionAudit(
            sources: ["events": .init(base: 3, committed: 7), "deliveries": .init(base: 0, committed: 1)],
            retriesStart: 0, deadLettersStart: 0, memory: 100, maxListed: 10)
        for (offset, source) in ([3, 5, 6, 8] as [Int64]).enumerated() {
            audit.learn(step(UInt64(source), .delivered, at: source), at: Int64(offset))
        }
        let events = audit.gaps(of: "events")
        #expect(events.map(\.span) == [.init(first: 4, last: 4)])
        let deliveries = audit.gaps(of: "deliveries")
        #expect(deliveries.map(\.span) == [.init(first: 0, last: 0)])
        let others = audit.gaps(of: "others")
        #expect(others == [])
    }

    @Test func laterTopicsAreReadFromWhereTheyCanMatter() {
        var audit = Self.audit(Row("", [.outcome(step(9, .delivered))]))
        #expect(audit.retriesFrom == nil && audit.deadLettersFrom == nil)
        audit.learn(step(1, .failed, generation: 1, record: 8), at: 1)
        audit.learn(step(2, .parked, generation: 1, record: 6), at: 2)
        audit.learn(step(3, .dead, record: 5), at: 3)
        #expect(audit.retriesFrom == 6 && audit.deadLettersFrom == 5)
        audit.learn(told: id(2))
        #expect(audit.retriesFrom == 8)
        #expect(audit.missing.map(\.delivery) == [id(1), id(3)])
    }
}
