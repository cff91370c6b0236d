import Records
import Testing

@testable import Simulation

@Suite struct LogTests {
    private let id = DeliveryID(random: 1, 2)

    private func waiting(_ generation: UInt32) -> Record {
        let fields = DeliveryFields(
            id: id, webhook: "wh", generation: generation, attempt: 0, originOffset: 0, originTimestamp: 0, since: 0)
        return Record(
            timestamp: 0, key: .delivery(id, generation: generation), value: .waiting(fields, dueAtMs: 0, place: nil))
    }

    private func log(_ records: [Record?]) -> Log {
        var log = Log()
        for record in records { _ = log.append(record, at: 0) }
        return log
    }

    private func tombstone(_ generation: UInt32) -> Record {
        Record(timestamp: 0, key: .delivery(id, generation: generation), value: .tombstone)
    }

    @Test func compactionKeepsTheLastOfEachKey() {
        var log = log([waiting(1), waiting(2), tombstone(1), waiting(3)])
        log.compact(dirty: 0, dropsTombstones: false)
        #expect(log.read(from: 0, limit: 9).records.map(\.offset) == [1, 2, 3])
        log.compact(dirty: 0, dropsTombstones: true)
        #expect(log.read(from: 0, limit: 9).records.map(\.offset) == [1, 3])
        #expect(log.end == 4)
    }

    @Test func whatIsYoungIsNotCompacted() {
        var log = log([waiting(1), waiting(1), waiting(1)])
        log.compact(dirty: 2, dropsTombstones: true)
        #expect(log.read(from: 0, limit: 9).records.map(\.offset) == [1, 2])
    }

    @Test func aGapIsLearntOfFromTheRecordBehindIt() {
        let log = log([waiting(1), nil, nil, waiting(2), nil])
        #expect(log.read(from: 0, limit: 1).next == 1)
        #expect(log.read(from: 1, limit: 1).next == 4)
        #expect(log.read(from: 4, limit: 1).records.isEmpty)
        #expect(log.read(from: 4, limit: 1).next == 4)
    }

    @Test func retentionMovesTheStart() {
        var log = log([waiting(1), waiting(2), waiting(3)])
        log.truncate(to: 2)
        #expect(log.start == 2 && log[1] == nil && log[2] != nil)
        #expect(log.read(from: 0, limit: 9).records.map(\.offset) == [2])
        log.truncate(to: 1)
        #expect(log.start == 2)
    }
}
