import Testing

@testable import Ingestion

/// Which partition events without an ordering key go to.
@Suite struct PartitionRotaTests {
    private static let ms: UInt64 = 1_000_000

    @Test func aTurnLastsItsTime() {
        var rota = PartitionRota(partitions: 3, turnMs: 5, startingAt: 1)
        let turns = stride(from: UInt64(100), to: 120, by: 1).map { rota.next(now: $0 * Self.ms) }
        #expect(turns == [2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
        // After a pause it is the next one's, for a whole turn.
        #expect(rota.next(now: 1_000 * Self.ms) == 0)
        #expect(rota.next(now: 1_005 * Self.ms - 1) == 0)
        #expect(rota.next(now: 1_005 * Self.ms) == 1)
    }

    @Test func aBurstGoesToAll() {
        var rota = PartitionRota(partitions: 4, turnMs: 5, startingAt: 0)
        var counts: [Int32: Int] = [:]
        for _ in 0..<(8 * PartitionRota.maximumRun) { counts[rota.next(now: 7), default: 0] += 1 }
        #expect(counts.count == 4 && counts.values.allSatisfy { $0 == 2 * PartitionRota.maximumRun })
    }

    @Test func onePartitionIsEnough() {
        var rota = PartitionRota(partitions: 1, turnMs: 5, startingAt: 0)
        #expect((0..<1_000).allSatisfy { rota.next(now: $0 * Self.ms) == 0 })
    }
}
