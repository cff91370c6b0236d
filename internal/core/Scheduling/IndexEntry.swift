public import Records

/// What the retry index knows of one delivery that waits.
///
/// ```
/// bytes  0 …  3   generation, big endian
///        4 … 11   offset in `retries`, big endian
///       12        mark
///       13 … 24   its place, where it waits in a lane
/// ```
public struct IndexEntry: Equatable, Sendable {
    /// What a user wants of it.
    public enum Mark: UInt8, Sendable {
        case none = 0
        /// Fired now, by a command that is retired with it.
        case now = 1
        /// To be fired as cancelled.
        case cancel = 2
        /// Nothing waits; a later generation is to be cancelled. Ends when it is due.
        case hold = 3
    }

    public var generation: UInt32
    /// Of the record that carries the payload; of a hold, whichever record brought it about.
    public var offset: Int64
    public var mark: Mark
    /// nil: it is due at a time of its own. One that carries a mark has no place.
    public var place: LanePlace?

    public init(generation: UInt32, offset: Int64, mark: Mark = .none, place: LanePlace? = nil) {
        self.generation = generation
        self.offset = offset
        self.mark = mark
        self.place = place
    }

    /// Without a place.
    public static let byteCount = 13

    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for shift in stride(from: 24, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: generation >> shift))
        }
        for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: offset >> shift)) }
        bytes.append(mark.rawValue)
        if let place { bytes += place.bytes }
        return bytes
    }

    /// nil for what is no entry.
    public init?(bytes: [UInt8]) {
        guard bytes.count >= Self.byteCount, let mark = Mark(rawValue: bytes[12]) else { return nil }
        let place = LanePlace(bytes: Array(bytes[Self.byteCount...]))
        guard place != nil || bytes.count == Self.byteCount else { return nil }
        self.init(
            generation: bytes[..<4].reduce(0) { $0 << 8 | UInt32($1) },
            offset: bytes[4..<12].reduce(0) { $0 << 8 | Int64($1) }, mark: mark, place: place)
    }
}

/// What the index says of itself. It stands in each of a partition's three keys, and every script checks and changes it together with the
/// entries: so an index that was wiped, lost its last steps, or belongs to another log or owner is noticed before it is used.
public struct IndexHeader: Equatable, Sendable {
    public var logID: String
    /// The next offset of `retries` to be indexed.
    public var position: Int64
    /// The offset of the owner's fence record.
    public var epoch: Int64
    /// Scripts run.
    public var turn: Int64

    public init(logID: String, position: Int64, epoch: Int64, turn: Int64) {
        self.logID = logID
        self.position = position
        self.epoch = epoch
        self.turn = turn
    }

    /// As it stands in Redis: numbers first, for a log's id may be any text.
    public var text: String { "\(position)|\(epoch)|\(turn)|\(logID)" }

    public init?(text: String) {
        let parts = text.split(separator: "|", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, let position = Int64(parts[0]), let epoch = Int64(parts[1]), let turn = Int64(parts[2])
        else { return nil }
        self.init(logID: String(parts[3]), position: position, epoch: epoch, turn: turn)
    }
}

/// One record of `retries`, as far as the index needs to know it.
public struct RetryRecord: Equatable, Sendable {
    public enum Content: Equatable, Sendable {
        /// A delivery waits until this time (milliseconds since 1970), or in a lane, which is not due before its first one is.
        case waiting(dueAtMs: Int64, place: LanePlace?)
        /// A user's wish, for a key of a command, or a fence.
        case command
        case tombstone
    }

    public var offset: Int64
    /// When it was written, milliseconds since 1970.
    public var timestampMs: Int64
    public var key: RetryKey
    public var content: Content

    public init(offset: Int64, timestampMs: Int64, key: RetryKey, content: Content) {
        self.offset = offset
        self.timestampMs = timestampMs
        self.key = key
        self.content = content
    }
}

extension RetryKey {
    /// nil for a fence.
    public var delivery: DeliveryID? {
        switch self {
        case .delivery(let id, _), .retryNow(let id, _), .cancel(let id): id
        case .fence: nil
        }
    }
}
