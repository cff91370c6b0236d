import Records
import TestSupport
import Testing

@testable import Accounting

@Suite struct OffsetSetTests {
    /// Against a plain set of numbers, in any order, singly and by spans.
    @Test func itHoldsWhatASetOfNumbersHolds() {
        for seed in 0..<100 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var offsets = OffsetSet()
            var plain: Set<Int64> = []
            var start: Int64 = 0
            for _ in 0..<120 {
                let first = start + Int64(random.below(60))
                switch random.below(10) {
                case 0..<6:
                    offsets.insert(first)
                    plain.insert(first)
                case 6, 7:
                    let span = Outcome.Span(first: first, last: first + Int64(random.below(12)) - 1)
                    offsets.insert(span)
                    if span.first <= span.last { plain.formUnion(span.first...span.last) }
                case 8:
                    let next = offsets.takePrefix(from: start)
                    while plain.remove(start) != nil { start += 1 }
                    #expect(next == start, "seed \(seed)")
                default:
                    let end = start + Int64(random.below(80))
                    let holes = offsets.holes(from: start, to: end, limit: .max).flatMap { Array($0.first...$0.last) }
                    #expect(holes == (start..<end).filter { !plain.contains($0) }, "seed \(seed)")
                }
                #expect(offsets.contains(first) == plain.contains(first), "seed \(seed)")
            }
        }
    }

    @Test func itsMemoryGrowsWithHolesAlone() {
        var offsets = OffsetSet()
        // Every offset but the first, backwards: one range in the end.
        for offset in stride(from: 200_000 as Int64, to: 0, by: -1) { offsets.insert(offset) }
        let holes = offsets.holes(from: 0, to: 300_000, limit: .max)
        #expect(holes.map(\.first) == [0, 200_001])
        let first = offsets.holes(from: 0, to: 300_000, limit: 1)
        #expect(first == [.init(first: 0, last: 0)])
        let ends = [offsets.takePrefix(from: 0), offsets.takePrefix(from: 1)]
        #expect(ends == [0, 200_001])
        offsets.insert(.init(first: 300_000, last: .max))
        #expect(offsets.contains(.max))
        let end = offsets.takePrefix(from: 300_000)
        #expect(end == .max)
    }
}
