internal import Records

/// Offsets from 0 on that came in about any order, mostly one by one and mostly near each other. Memory grows with the holes between them, not with their
/// number. One thread at a time.
struct OffsetSet: Sendable {
    /// Sorted, apart from each other by at least one offset.
    private var ranges: [Outcome.Span] = []
    /// Such as came since the last folding; none is in `ranges`.
    private var singles: Set<Int64> = []

    /// Beyond so many the single ones are folded into ranges.
    private static let maxSingles = 16_384

    func contains(_ offset: Int64) -> Bool {
        if singles.contains(offset) { return true }
        let index = firstRange(reaching: offset)
        return index < ranges.count && ranges[index].first <= offset
    }

    mutating func insert(_ offset: Int64) {
        guard !contains(offset) else { return }
        singles.insert(offset)
        if singles.count > Self.maxSingles { fold() }
    }

    /// Adds the offsets of a span; one that ends before it begins is empty.
    mutating func insert(_ span: Outcome.Span) {
        guard span.first <= span.last else { return }
        var joined = span
        // Those that overlap it or touch it become part of it.
        let begin = firstRange(reaching: span.first == .min ? .min : span.first - 1)
        var end = begin
        while end < ranges.count, span.last == .max || ranges[end].first <= span.last + 1 {
            joined.first = min(joined.first, ranges[end].first)
            joined.last = max(joined.last, ranges[end].last)
            end += 1
        }
        ranges.replaceSubrange(begin..<end, with: [joined])
        if joined.last - joined.first < Int64(singles.count) {
            for offset in joined.first...joined.last { singles.remove(offset) }
        } else if !singles.isEmpty {
            singles = singles.filter { $0 < joined.first || $0 > joined.last }
        }
    }

    /// Takes away what follows without a hole from `offset` on. Returns the first offset that is not there.
    mutating func takePrefix(from offset: Int64) -> Int64 {
        var next = offset
        while true {
            if singles.remove(next) != nil {
                next += 1
            } else if let first = ranges.first, first.first <= next {
                ranges.removeFirst()
                next = max(next, first.last == .max ? .max : first.last + 1)
            } else {
                return next
            }
        }
    }

    /// The holes in `first` … `end` (exclusive), at most `limit`.
    mutating func holes(from first: Int64, to end: Int64, limit: Int) -> [Outcome.Span] {
        fold()
        var holes: [Outcome.Span] = []
        var next = first
        for range in ranges[firstRange(reaching: first)...] {
            guard next < end, holes.count < limit else { break }
            if range.first > next { holes.append(.init(first: next, last: min(range.first, end) - 1)) }
            next = range.last == .max ? .max : range.last + 1
        }
        if next < end, holes.count < limit { holes.append(.init(first: next, last: end - 1)) }
        return holes
    }

    /// Index of the first range that ends at `offset` or above.
    private func firstRange(reaching offset: Int64) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].last < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func fold() {
        guard !singles.isEmpty else { return }
        let added = singles.map { Outcome.Span(first: $0, last: $0) }
        singles = []
        var folded: [Outcome.Span] = []
        for range in (ranges + added).sorted(by: { $0.first < $1.first }) {
            if let last = folded.last, last.last == .max || range.first <= last.last + 1 {
                folded[folded.count - 1].last = max(last.last, range.last)
            } else {
                folded.append(range)
            }
        }
        ranges = folded
    }
}
