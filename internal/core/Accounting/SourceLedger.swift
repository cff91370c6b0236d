public import Records

/// Which offsets of one source partition are accounted for by the outcomes of `attempts`, in any order and as often as they come.
///
/// An offset is covered when as many webhooks have an outcome for it as the largest fan-out says that any of these outcomes names, or when
/// a recorded span holds it.
///
///     offset    40      41        42–44   45      46
///     fan-out   1       2                 1
///     outcomes  wh_a    wh_a      span    wh_b            covered below 41; 41 has one of two
///
/// What lies below `base` is not judged. One thread at a time.
public struct SourceLedger: Sendable {
    /// Offsets that nothing accounts for wholly, though something should.
    public struct Gap: Equatable, Sendable {
        public var span: Outcome.Span
        /// Of a single offset: the webhooks that do have an outcome, and how many there should be. Of others: none, and 0.
        public var settled: Int
        public var fanOut: UInt32

        public init(span: Outcome.Span, settled: Int = 0, fanOut: UInt32 = 0) {
            self.span = span
            self.settled = settled
            self.fanOut = fanOut
        }

        public var count: Int { Int(span.last - span.first) + 1 }
    }

    private struct Part {
        var webhooks: Set<String>
        var fanOut: UInt32
    }

    public let base: Int64
    /// Every offset from `base` to this one (exclusive) is covered, or was written off.
    public private(set) var covered: Int64
    /// At or above `covered`.
    private var later = OffsetSet()
    private var parts: [Int64: Part] = [:]

    public init(base: Int64) {
        self.base = base
        covered = base
    }

    /// Takes one outcome of this source.
    public mutating func learn(_ outcome: Outcome) {
        if outcome.kind == .covered {
            for span in outcome.spans { cover(span) }
        } else {
            settle(outcome.sourceOffset, outcome.webhookID, max(1, outcome.fanOut))
        }
    }

    private mutating func cover(_ span: Outcome.Span) {
        guard span.last >= covered, span.first <= span.last else { return }
        let known = Outcome.Span(first: max(span.first, covered), last: span.last)
        if !parts.isEmpty { parts = parts.filter { $0.key < known.first || $0.key > known.last } }
        later.insert(known)
        covered = later.takePrefix(from: covered)
    }

    private mutating func settle(_ offset: Int64, _ webhook: String, _ fanOut: UInt32) {
        guard offset >= covered, !later.contains(offset) else { return }
        if fanOut > 1 || (!parts.isEmpty && parts[offset] != nil) {
            var part = parts[offset] ?? Part(webhooks: [], fanOut: 0)
            part.webhooks.insert(webhook)
            part.fanOut = max(part.fanOut, fanOut)
            guard part.webhooks.count >= Int(part.fanOut) else {
                parts[offset] = part
                return
            }
            parts[offset] = nil
        }
        if offset == covered {
            covered = later.takePrefix(from: offset + 1)
        } else {
            later.insert(offset)
        }
    }

    /// What is not covered below `end`, in order; at most `limit`. A partly settled offset is a gap of its own.
    public mutating func gaps(below end: Int64, limit: Int = .max) -> [Gap] {
        guard covered < end else { return [] }
        var gaps: [Gap] = []
        var partial = parts.keys.filter { $0 < end }.sorted()[...]
        for hole in later.holes(from: covered, to: end, limit: limit) {
            var next = hole.first
            partial = partial.drop { $0 < hole.first }
            for offset in partial {
                guard offset <= hole.last, let part = parts[offset] else { break }
                if next < offset { gaps.append(Gap(span: .init(first: next, last: offset - 1))) }
                gaps.append(
                    Gap(
                        span: .init(first: offset, last: offset), settled: part.webhooks.count, fanOut: part.fanOut))
                next = offset + 1
            }
            if next <= hole.last { gaps.append(Gap(span: .init(first: next, last: hole.last))) }
            if gaps.count >= limit { return Array(gaps.prefix(limit)) }
        }
        return gaps
    }

    /// The webhooks that have an outcome for an offset that is not covered wholly.
    public func settledWebhooks(of offset: Int64) -> [String] { parts[offset]?.webhooks.sorted() ?? [] }

    /// Gives up on a gap: it is one no more.
    public mutating func writeOff(_ gap: Gap) { cover(gap.span) }
}
