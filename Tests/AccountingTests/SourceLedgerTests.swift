import Records
import TestSupport
import Testing

@testable import Accounting

extension Outcome {
    /// One delivery's outcome.
    static func settled(
        _ offset: Int64, _ webhook: String = "wh_1", of fanOut: UInt32 = 1, request: UInt64 = 0, timestamp: Int64 = 5
    ) -> Outcome {
        var outcome = Outcome()
        outcome.kind = .delivered
        outcome.sourceTopic = "events"
        outcome.sourceOffset = offset
        outcome.sourceTimestampMs = timestamp
        outcome.webhookID = webhook
        outcome.fanOut = fanOut
        outcome.requestID = request
        return outcome
    }

    static func covering(_ spans: ClosedRange<Int64>...) -> Outcome {
        var outcome = Outcome()
        outcome.kind = .covered
        outcome.sourceTopic = "events"
        outcome.spans = spans.map { .init(first: $0.lowerBound, last: $0.upperBound) }
        return outcome
    }
}

@Suite struct SourceLedgerTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var outcomes: [Outcome]
        var covered: Int64
        /// Below 20.
        var gaps: [SourceLedger.Gap] = []
    }

    private static func gap(_ offsets: ClosedRange<Int64>, _ settled: Int = 0, of fanOut: UInt32 = 0)
        -> SourceLedger.Gap
    {
        .init(span: .init(first: offsets.lowerBound, last: offsets.upperBound), settled: settled, fanOut: fanOut)
    }

    static let rows: [Row] = [
        Row(testDescription: "nothing came", outcomes: [], covered: 10, gaps: [gap(10...19)]),
        Row(
            testDescription: "one after the other", outcomes: (10..<20).map { .settled($0) }, covered: 20),
        Row(testDescription: "backwards", outcomes: (10..<20).reversed().map { .settled($0) }, covered: 20),
        Row(
            testDescription: "a record without a webhook and a stretch without records",
            outcomes: [.settled(10), .covering(11...11, 13...19), .settled(12)], covered: 20),
        Row(
            testDescription: "one is missing", outcomes: [.settled(10), .covering(12...30)], covered: 11,
            gaps: [gap(11...11)]),
        Row(
            testDescription: "two of three webhooks",
            outcomes: [
                .covering(11...19), .settled(10, "a", of: 3), .settled(10, "b", of: 3), .settled(10, "a", of: 3),
            ], covered: 10, gaps: [gap(10...10, 2, of: 3)]),
        Row(
            testDescription: "three of three",
            outcomes: [
                .settled(10, "a", of: 3), .settled(10, "b", of: 3), .covering(11...19), .settled(10, "c", of: 3),
            ], covered: 20),
        Row(
            testDescription: "a hole with a part in the middle", outcomes: [.settled(14, "a", of: 2)], covered: 10,
            gaps: [gap(10...13), gap(14...14, 1, of: 2), gap(15...19)]),
        Row(
            testDescription: "routed to more webhooks by the next owner, before it recorded that",
            outcomes: [.covering(11...19), .settled(10, "a", of: 2), .settled(10, "b", of: 3)], covered: 10,
            gaps: [gap(10...10, 2, of: 3)]),
        Row(
            testDescription: "routed to fewer, recorded",
            outcomes: [.covering(11...19), .settled(10, "a", of: 3), .covering(10...10)], covered: 20),
        Row(
            testDescription: "below the base nothing is judged",
            outcomes: [.settled(3), .covering(0...9), .settled(9, "a", of: 7), .covering(5...14)], covered: 15,
            gaps: [gap(15...19)]),
        Row(
            testDescription: "a span that ends before it begins holds nothing",
            outcomes: [Outcome.covering(10...10)].map { outcome in
                var outcome = outcome
                outcome.spans = [.init(first: 15, last: 12)]
                return outcome
            }, covered: 10, gaps: [gap(10...19)]),
    ]

    @Test(arguments: rows) func offsetsAreCoveredByWholeFanOutsAndSpans(row: Row) {
        var ledger = SourceLedger(base: 10)
        for outcome in row.outcomes { ledger.learn(outcome) }
        #expect(ledger.covered == row.covered)
        let gaps = ledger.gaps(below: 20)
        #expect(gaps == row.gaps)
        // Told again they change nothing.
        for outcome in row.outcomes { ledger.learn(outcome) }
        let again = ledger.gaps(below: 20)
        #expect(again == row.gaps)
    }

    @Test func aGapThatIsWrittenOffIsNoneAnyMore() {
        var ledger = SourceLedger(base: 0)
        for outcome in [Outcome.settled(0), .settled(2, "a", of: 2), .settled(4)] { ledger.learn(outcome) }
        let gaps = ledger.gaps(below: 5)
        #expect(gaps.map(\.count) == [1, 1, 1])
        #expect(ledger.settledWebhooks(of: 2) == ["a"])
        let some = ledger.gaps(below: 5, limit: 2)
        #expect(some == Array(gaps.prefix(2)))
        ledger.writeOff(gaps[1])
        let others = ledger.gaps(below: 5)
        #expect(others == [gaps[0], gaps[2]])
        ledger.writeOff(gaps[0])
        ledger.writeOff(gaps[2])
        #expect(ledger.covered == 5)
        let none = ledger.gaps(below: 5)
        #expect(none == [])
    }

    /// A world of records with fan-outs, gaps in the offsets and outcomes that come in any order, some twice, some never; and a model that
    /// looks at each offset by itself.
    @Test func itAgreesWithANaiveModel() {
        var judged = 0
        for seed in 0..<600 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let base = Int64(random.below(5))
            var said: [Outcome] = []
            for offset in 0..<Int64(40) {
                let fanOut = random.below(4)
                guard fanOut > 0 else {
                    if !random.chance(5) {
                        said.append(.covering(offset...offset + Int64(random.chance(20) ? random.below(4) : 0)))
                    }
                    continue
                }
                let named = random.chance(5) ? fanOut + 1 : fanOut
                for webhook in 0..<fanOut where !random.chance(3) {
                    said.append(.settled(offset, "wh_\(webhook)", of: UInt32(webhook == 0 ? named : fanOut)))
                    if random.chance(10) { said.append(said[said.count - 1]) }
                }
            }
            said.shuffle(using: &random)
            var ledger = SourceLedger(base: base)
            for (index, outcome) in said.enumerated() {
                ledger.learn(outcome)
                guard random.chance(20) || index == said.count - 1 else { continue }
                let end = Int64(random.below(45))
                let naive = NaiveLedger(base: base, said[...index]).uncovered(below: end)
                let gaps = ledger.gaps(below: end)
                #expect(gaps.flatMap { Array($0.span.first...$0.span.last) } == naive, "seed \(seed)")
                #expect(ledger.covered >= end || ledger.covered == naive.first, "seed \(seed)")
                judged += 1
            }
        }
        print("ledger against the naive model: \(judged) looks in 600 worlds agree")
    }
}

/// Each offset by itself, from all outcomes at once.
private struct NaiveLedger {
    private let base: Int64
    private let outcomes: ArraySlice<Outcome>

    init(base: Int64, _ outcomes: ArraySlice<Outcome>) {
        self.base = base
        self.outcomes = outcomes
    }

    func uncovered(below end: Int64) -> [Int64] { base < end ? (base..<end).filter { !isCovered($0) } : [] }

    private func isCovered(_ offset: Int64) -> Bool {
        if outcomes.contains(where: { $0.spans.contains { $0.first <= offset && offset <= $0.last } }) { return true }
        // Once enough webhooks have come for what was said by then, nothing is owed any more.
        var webhooks: Set<String> = []
        var fanOut: UInt32 = 0
        for outcome in outcomes where outcome.kind != .covered && outcome.sourceOffset == offset {
            webhooks.insert(outcome.webhookID)
            fanOut = max(fanOut, outcome.fanOut)
            if webhooks.count >= Int(fanOut) { return true }
        }
        return false
    }
}
