import Kafka
import Records
import Testing

@testable import Observing

@Suite struct PlanningTests {
    @Test func positionsFitTheLogOrAreCorrected() {
        let log = Watermarks(low: 100, high: 200)
        func plan(_ logID: String?, _ next: Int64 = 0) -> PositionPlan {
            PositionPlan(stored: logID.map { PositionPlan.Stored(logID: $0, next: next) }, log: log, logID: "a")
        }
        #expect(plan(nil) == .begin(100))
        #expect(plan("a", 100) == .resume(100))
        #expect(plan("a", 200) == .resume(200))
        #expect(plan("a", 201) == .startOver(100))
        #expect(plan("a", 40) == .skip(100, lost: 60))
        #expect(plan("b", 150) == .startOver(100))
        func isPastEnd(_ logID: String, _ next: Int64) -> Bool {
            PositionPlan.isPastEnd(stored: .init(logID: logID, next: next), log: log, logID: "a")
        }
        #expect(isPastEnd("a", 201) && !isPastEnd("a", 200) && !isPastEnd("b", 201))
        #expect(!PositionPlan.isPastEnd(stored: nil, log: log, logID: "a"))
    }

    @Test func requestIdsAreForgottenOldestFirst() {
        var recent = RecentRequests(capacity: 3)
        let isNew = ([1, 2, 3, 2, 4, 1, 3, 2, 0, 0] as [UInt64]).map { recent.insert($0) }
        #expect(isNew == [true, true, true, false, true, true, false, true, true, true])
    }

    private func entry(_ partition: Int32, _ offset: Int64) -> HistoryEntry {
        HistoryEntry(partition: partition, offset: offset, content: .unreadable([], reason: ""))
    }

    @Test func halvesAreTheWholeStoredInTwoSteps() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            var batch = HistoryBatch(epoch: 1)
            var next: [Int32: Int64] = [0: 10, 1: 20, 2: 30]
            for _ in 0..<Int.random(in: 2...12, using: &generator) {
                let partition = Int32.random(in: 0...2, using: &generator)
                let begin = next[partition] ?? 0
                let entries = (begin..<begin + 4).filter { _ in Bool.random(using: &generator) }.map {
                    entry(partition, $0)
                }
                batch.append(entries, partition: partition, expected: begin, next: begin + 5)
                next[partition] = begin + 5
            }
            guard batch.entries.count > 1 else { continue }
            let (first, second) = batch.halves()
            #expect(!first.entries.isEmpty && !second.entries.isEmpty)
            #expect((first.entries + second.entries).map(\.offset) == batch.entries.map(\.offset))
            for (partition, step) in batch.steps {
                let steps = [first.steps[partition], second.steps[partition]].compactMap { $0 }
                #expect(steps.first?.expected == step.expected)
                #expect(steps.last?.next == step.next)
                if steps.count == 2 { #expect(steps[0].next == steps[1].expected) }
            }
            for half in [first, second] {
                for entry in half.entries {
                    let step = half.steps[entry.partition]
                    #expect(step.map { $0.expected <= entry.offset && entry.offset < $0.next } == true)
                }
            }
        }
    }

    @Test func cursorsAreReadAsWrittenAndNothingElseIs() {
        let cursor = HistoryCursor(at: 1_714_979_289_012, partition: 3, offset: 77)
        #expect(HistoryCursor(cursor.text) == cursor)
        for text in ["", "1.2", "1.2.3.4", "a.b.c", "-1.2.3", "1.-2.3", "9223372036854775807.1.1", "1.2.3 "] {
            #expect(HistoryCursor(text) == nil)
        }
    }

    @Test func surplusHoursAreTheOldAndWhatIsTooMuch() {
        let now: Int64 = 1_000 * HistoryRows.hourMs + 1
        let hours = (990...1_002).map { HourPartitions.Partition(hour: $0, bytes: 10, isSealed: false) }
        func surplus(_ retentionHours: Int64, _ bytes: Int64) -> [Int64] {
            HourPartitions.surplus(
                hours, nowMs: now, retentionMs: retentionHours * HistoryRows.hourMs, maxSizeBytes: bytes
            ).map(\.hour)
        }
        #expect(surplus(72, 1_000) == [])
        #expect(surplus(5, 1_000) == [990, 991, 992, 993, 994])
        #expect(surplus(72, 100) == [990, 991, 992])
        #expect(surplus(0, 0) == Array(990...999))
    }

    @Test func hoursOfTimes() {
        #expect(HistoryRows.hour(of: 0) == 0)
        #expect(HistoryRows.hour(of: 3_599_999) == 0)
        #expect(HistoryRows.hour(of: 3_600_000) == 1)
        #expect(HistoryRows.hour(of: -1) == -1)
        #expect(HistoryRows.hour(of: -3_600_000) == -1)
        #expect(HistoryRows.hour(of: -3_600_001) == -2)
    }
}
