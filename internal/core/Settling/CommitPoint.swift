/// What the dispatcher commits for a source partition: the lowest unsettled offset, and the note, an offset of the partition of
/// `attempts` with the same number at or above which every outcome lies whose source offset is not below the committed one.
public struct CommitPoint: Equatable, Sendable {
    public var offset: Int64
    public var note: Int64

    public init(offset: Int64, note: Int64) {
        self.offset = offset
        self.note = note
    }

    /// The note as commit metadata: a version and a decimal number, so that any Kafka tool shows it.
    public var metadata: String { "1:\(note)" }

    /// The note in commit metadata; nil where it is none of ours (another version, another program's).
    public static func note(in metadata: String) -> Int64? {
        guard metadata.hasPrefix("1:"), let note = Int64(metadata.dropFirst(2)), note >= 0 else { return nil }
        return note
    }
}

/// Where a new owner of a source partition starts to read.
public struct Resume: Equatable, Sendable {
    /// The first source offset to take.
    public var offset: Int64
    /// Read `attempts` from here …
    public var note: Int64
    /// … to here (exclusive), its end when the partition was assigned.
    public var attemptsEnd: Int64
    /// Whether offset and note are to be committed before the first request: where none were, a crash before the first
    /// regular commit would otherwise leave its successor without either.
    public var commitsFirst: Bool
    /// Source offsets that retention took before they were read.
    public var lost: Int64
    /// The committed offset lay above the log's end: the topic is another one than before.
    public var sourceRestarted: Bool

    /// The offsets of one log: the first that exists and the next to be written.
    public struct Extent: Equatable, Sendable {
        public var start: Int64
        public var end: Int64
        public init(start: Int64, end: Int64) {
            self.start = start
            self.end = end
        }
    }

    /// - Parameters:
    ///   - committed: the group's offset and metadata, nil where it has none for this partition.
    ///   - source: the source partition's extent now.
    ///   - attempts: the extent, now, of the partition of `attempts` with the same number.
    public init(committed: (offset: Int64, metadata: String)?, source: Extent, attempts: Extent) {
        attemptsEnd = attempts.end
        lost = 0
        sourceRestarted = false
        guard let committed else {
            // A new group takes a log from its start: what is in it was accepted.
            offset = source.start
            note = attempts.start
            commitsFirst = true
            return
        }
        let known = CommitPoint.note(in: committed.metadata).flatMap { $0 <= attempts.end ? $0 : nil }
        if committed.offset < source.start {
            offset = source.start
            lost = source.start - committed.offset
        } else if committed.offset > source.end {
            offset = source.end
            sourceRestarted = true
        } else {
            offset = committed.offset
        }
        note = sourceRestarted ? attempts.end : max(known ?? attempts.start, attempts.start)
        commitsFirst = known == nil || offset != committed.offset
    }
}
