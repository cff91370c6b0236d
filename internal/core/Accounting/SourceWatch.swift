public import Records
public import Settling

/// Holds the dispatcher to its commits, for one source partition: what lies below a committed offset must be accounted for in `attempts`, up to
/// the end that this had after the commit was read. For the outcomes are acknowledged before the offset is committed.
///
/// ```
/// commit is read: 45, note 7 ─► end of attempts is read: 90 ─► attempts was taken up to 90 ─► a hole below 45?
///                                                                    at the second look in a row: a loss
/// ```
/// What is found is written off, so that each loss is told once. `position` is where a successor can begin: one of the dispatcher's own
/// commits, so its note says from where to read `attempts`. One thread at a time.
public struct SourceWatch: Sendable {
    public private(set) var ledger: SourceLedger
    /// Everything below its offset was accounted for or told, and every outcome of later ones lies at or above its note.
    public private(set) var position: CommitPoint
    private var expected: (point: CommitPoint, attemptsEnd: Int64)?
    /// Commits above `position`, in order, while something below them is not accounted for yet.
    private var points: [CommitPoint] = []
    /// The commit at the last look: a hole below it is there for the second time.
    private var judgedBelow: Int64
    /// How often in a row the source's end lay below what was covered the time before.
    private var shortEnds = 0
    private var coveredBefore: Int64

    /// So many commits are remembered; without the ones between, a successor reads a little more.
    private static let maxPoints = 64
    /// Gaps told of in one look; the others come with the next ones.
    public static let maxGaps = 1_000

    /// Begins at a commit of the dispatcher's: what lies below is not judged.
    public init(_ position: CommitPoint) {
        self.position = position
        ledger = SourceLedger(base: position.offset)
        judgedBelow = position.offset
        coveredBefore = position.offset
    }

    /// Goes on where a predecessor left, as far as the logs still tell; else begins at the dispatcher's commit.
    /// - Parameters:
    ///   - saved: the predecessor's position, if it belongs to these logs.
    ///   - committed: the dispatcher's offset and metadata; nil where it has none yet: it will begin at the source's start.
    ///   - source: the extent of the source, and of `attempts`, both asked for after the commit was read.
    public init(
        saved: CommitPoint?, committed: (offset: Int64, metadata: String)?, source: Resume.Extent,
        attempts: Resume.Extent
    ) {
        let note = committed.flatMap { CommitPoint.note(in: $0.metadata) }.flatMap { $0 <= attempts.end ? $0 : nil }
        let present = CommitPoint(
            offset: min(committed?.offset ?? source.start, source.end), note: max(note ?? 0, attempts.start))
        // Of a log that was made anew, or one whose outcomes retention has begun to take.
        let holds = saved.map { $0.offset <= source.end && $0.note <= attempts.end && $0.note >= attempts.start }
        self.init(saved.flatMap { holds == true ? $0 : nil } ?? present)
    }

    /// Takes an outcome of this source; from the position's note on, each has to come.
    public mutating func learn(_ outcome: Outcome) { ledger.learn(outcome) }

    /// The dispatcher has committed `point`, and after that was read, `attempts` ended at `attemptsEnd` and the source at `sourceEnd`. Returns
    /// true where the source turns out to be another log, which begins afresh at the commit; that takes a second look.
    public mutating func expect(_ point: CommitPoint, attemptsEnd: Int64, sourceEnd: Int64) -> Bool {
        shortEnds = sourceEnd < coveredBefore ? shortEnds + 1 : 0
        if shortEnds > 1 {
            self = SourceWatch(point)
            return true
        }
        coveredBefore = ledger.covered
        // Until it has been judged, an older one stands: else a lagging reader would never come to judge.
        if expected == nil { expected = (point, attemptsEnd) }
        return false
    }

    /// `attempts` was taken up to `taken` (exclusive). Returns what is lost: holes below the commit that were there at the last look already.
    public mutating func judge(taken: Int64) -> [SourceLedger.Gap] {
        guard let (point, end) = expected, taken >= end else { return [] }
        expected = nil
        if point.offset > (points.last ?? position).offset { points.append(point) }
        // What has no outcome now had none then; a hole that grows with each commit is told up to where it reached then.
        let lost = ledger.gaps(below: min(judgedBelow, point.offset), limit: Self.maxGaps)
        judgedBelow = point.offset
        for gap in lost { ledger.writeOff(gap) }
        advance()
        return lost
    }

    private mutating func advance() {
        let passed = points.prefix { $0.offset <= ledger.covered }
        if let last = passed.last { position = last }
        points.removeFirst(passed.count)
        if points.count > Self.maxPoints { points.remove(at: points.count - 2) }
    }
}
