import Records
import Settling
import TestSupport
import Testing

@testable import Accounting

@Suite struct SourceWatchTests {
    /// A watch that expectations can ask.
    private final class Watched {
        private(set) var watch: SourceWatch

        init(_ offset: Int64, note: Int64 = 0) { watch = SourceWatch(CommitPoint(offset: offset, note: note)) }

        func learn(_ offsets: some Sequence<Int64>) { for offset in offsets { watch.learn(.settled(offset)) } }

        func expect(_ offset: Int64, note: Int64 = 0, attempts: Int64, source: Int64) -> Bool {
            watch.expect(CommitPoint(offset: offset, note: note), attemptsEnd: attempts, sourceEnd: source)
        }

        func judge(_ taken: Int64) -> [SourceLedger.Gap] { watch.judge(taken: taken) }

        func look(_ offset: Int64, note: Int64 = 0) -> [SourceLedger.Gap] {
            _ = expect(offset, note: note, attempts: 100, source: 1_000)
            return judge(100)
        }
    }

    @Test func aLossIsToldAtTheSecondLookAndOnce() {
        let watched = Watched(10, note: 3)
        watched.learn([10, 11, 13, 14] as [Int64])
        #expect(watched.look(15, note: 7) == [])
        #expect(watched.watch.position == CommitPoint(offset: 10, note: 3))
        let loss = SourceLedger.Gap(span: .init(first: 12, last: 12))
        #expect(watched.look(15, note: 8) == [loss])
        #expect(watched.look(15, note: 8) == [])
        #expect(watched.watch.position == CommitPoint(offset: 15, note: 7))
        #expect(watched.watch.ledger.covered == 15)
    }

    @Test func whatComesBetweenTwoLooksIsNoLoss() {
        let watched = Watched(0, note: 0)
        watched.learn([0])
        #expect(watched.look(2) == [])
        watched.learn([1])
        #expect(watched.look(2) == [])
        #expect(watched.look(2) == [])
        // Younger suspicions do not go with an older loss.
        watched.learn([3])
        #expect(watched.look(4) == [])
        #expect(watched.look(6).map(\.span) == [.init(first: 2, last: 2)])
        watched.learn(4..<6 as Range<Int64>)
        #expect(watched.look(6) == [])
    }

    @Test func aLossThatGrowsWithEachCommitIsToldWhileItDoes() {
        let watched = Watched(0, note: 0)
        watched.learn([0])
        #expect(watched.look(5) == [])
        #expect(watched.look(9).map(\.span) == [.init(first: 1, last: 4)])
        #expect(watched.look(12).map(\.span) == [.init(first: 5, last: 8)])
        #expect(watched.look(12).map(\.span) == [.init(first: 9, last: 11)])
        #expect(watched.look(12) == [])
    }

    @Test func itJudgesOnlyWhenAttemptsWasTakenFarEnough() {
        let watched = Watched(0, note: 0)
        for _ in 0..<3 {
            #expect(!watched.expect(5, note: 0, attempts: 50, source: 9))
            #expect(watched.judge(49) == [])
        }
        watched.learn(0..<5 as Range<Int64>)
        #expect(watched.judge(50) == [])
        #expect(watched.watch.position.offset == 5)
        // Without a new commit there is nothing to judge.
        #expect(watched.judge(99) == [])
    }

    @Test func anotherLogBeginsAfresh() {
        let watched = Watched(500, note: 40)
        #expect(!watched.expect(500, note: 40, attempts: 41, source: 20))
        #expect(watched.judge(41) == [])
        #expect(watched.expect(20, note: 41, attempts: 41, source: 20))
        #expect(watched.watch.position == CommitPoint(offset: 20, note: 41))
        #expect(watched.watch.ledger.base == 20)
    }

    @Test func anEndOfTheSourceFromBeforeWhatWasLearnedSinceIsNoOtherLog() {
        let watched = Watched(0, note: 0)
        for round in 1..<6 as Range<Int64> {
            #expect(!watched.expect(0, note: 0, attempts: 60, source: round * 10 - 10))
            watched.learn(round * 10 - 10..<round * 10)
            #expect(watched.judge(60) == [])
        }
        #expect(watched.watch.ledger.covered == 50)
    }

    struct Start: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var saved: CommitPoint?
        var committed: String?
        var offset: Int64 = 60
        var begins: CommitPoint
    }

    /// The source has 40 … 99, `attempts` 500 … 899.
    @Test(arguments: [
        Start(testDescription: "nobody watched, nothing is committed", begins: .init(offset: 40, note: 500)),
        Start(testDescription: "nobody watched", committed: "1:700", begins: .init(offset: 60, note: 700)),
        Start(testDescription: "foreign metadata", committed: "x", begins: .init(offset: 60, note: 500)),
        Start(testDescription: "a note of another log", committed: "1:901", begins: .init(offset: 60, note: 500)),
        Start(
            testDescription: "a position", saved: .init(offset: 55, note: 600), committed: "1:700",
            begins: .init(offset: 55, note: 600)),
        Start(
            testDescription: "a position above a commit that was set back", saved: .init(offset: 90, note: 850),
            committed: "1:700", begins: .init(offset: 90, note: 850)),
        Start(
            testDescription: "a position whose outcomes retention took", saved: .init(offset: 55, note: 499),
            committed: "1:700", begins: .init(offset: 60, note: 700)),
        Start(
            testDescription: "a position of another source", saved: .init(offset: 101, note: 600), committed: "1:700",
            begins: .init(offset: 60, note: 700)),
        Start(
            testDescription: "a position in other attempts", saved: .init(offset: 55, note: 901), committed: "1:700",
            begins: .init(offset: 60, note: 700)),
        Start(
            testDescription: "a commit above the log's end", committed: "1:700", offset: 300,
            begins: .init(offset: 100, note: 700)),
    ]) func itGoesOnWhereTheLogsAllow(start: Start) {
        let watch = SourceWatch(
            saved: start.saved, committed: start.committed.map { (start.offset, $0) },
            source: .init(start: 40, end: 100), attempts: .init(start: 500, end: 900))
        #expect(watch.position == start.begins)
        #expect(watch.ledger.base == start.begins.offset)
    }

    /// An owner that settles in any order, commits what is settled, and loses an outcome now and then; a watch that looks now and then, lags,
    /// and is replaced by one that begins where it left. Every loss is told exactly once, and nothing else.
    @Test func everyLossIsToldOnceThroughRestarts() {
        var losses = 0
        for seed in 0..<500 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let loses = seed % 3 == 0
            var world = World(loses: loses)
            var watch = SourceWatch(CommitPoint(offset: 0, note: 0))
            var taken: Int64 = 0
            var told: [Int64] = []
            for _ in 0..<300 {
                switch random.below(10) {
                case 0..<4: world.take(&random)
                case 4..<7: for _ in 0..<random.below(16) { world.settle(&random) }
                case 7:
                    while taken < world.attempts.count, !random.chance(10) {
                        watch.learn(world.attempts[Int(taken)])
                        taken += 1
                    }
                case 8:
                    _ = watch.expect(
                        world.commit, attemptsEnd: Int64(world.attempts.count), sourceEnd: world.next)
                    told += watch.judge(taken: taken).flatMap { Array($0.span.first...$0.span.last) }
                default:
                    guard random.chance(20) else { continue }
                    watch = SourceWatch(watch.position)
                    taken = watch.position.note
                }
            }
            for _ in 0..<4 {
                for outcome in world.attempts[Int(taken)...] { watch.learn(outcome) }
                taken = Int64(world.attempts.count)
                _ = watch.expect(world.commit, attemptsEnd: taken, sourceEnd: world.next)
                told += watch.judge(taken: taken).flatMap { Array($0.span.first...$0.span.last) }
            }
            let lost = world.lost.filter { $0 < world.commit.offset }.sorted()
            // Before its position moved past it, a successor tells a loss again.
            #expect(Set(told) == Set(lost), "seed \(seed)")
            losses += lost.count
        }
        #expect(losses > 500)
        print("watch through restarts: \(losses) losses on purpose in 500 worlds, each told, and nothing else")
    }

    /// A dispatcher that commits by the rules, except that it loses an outcome where told to.
    private struct World {
        let loses: Bool
        var attempts: [Outcome] = []
        var next: Int64 = 0
        var lost: Set<Int64> = []
        private var settlement = PartitionSettlement(
            offset: 0, note: 0, memory: SourceMemory(topic: "events", partition: 0, committed: 0))
        private var open: [(PartitionSettlement.Slot, Outcome)] = []

        init(loses: Bool) { self.loses = loses }

        var commit: CommitPoint {
            var settlement = settlement
            return settlement.commitPoint()
        }

        mutating func take(_ random: inout SplitMix64) {
            settlement.openBatch(attemptsEnd: Int64(attempts.count))
            for _ in 0...random.below(4) {
                let fanOut = random.below(3)
                if random.chance(10) { next += 2 }
                if let slot = settlement.take(offset: next, fanOut: fanOut), fanOut > 0 {
                    for webhook in 0..<fanOut {
                        open.append((slot, .settled(next, "wh_\(webhook)", of: UInt32(fanOut))))
                    }
                }
                next += 1
            }
            for coverage in settlement.closeBatch() {
                open.append((coverage.slot, .covering(coverage.span.first...coverage.span.last)))
            }
        }

        mutating func settle(_ random: inout SplitMix64) {
            guard !open.isEmpty else { return }
            let (slot, outcome) = open.remove(at: random.below(open.count))
            settlement.settle(slot)
            if loses, outcome.kind != .covered, random.chance(4) {
                lost.insert(outcome.sourceOffset)
            } else {
                attempts.append(outcome)
            }
        }
    }
}
