public import Records

/// One step on a partition's index in Redis, carried out as a whole or not at all. Each names the header that it expects in every
/// key and the one that it leaves there.
public struct IndexScript: Equatable, Sendable {
    public enum Work: Equatable, Sendable {
        /// What has a place waits in its lane, and the lanes are due when they are told at the latest.
        case index([IndexBatch.Change], lanes: [LaneDue])
        /// Takes what is due by `nowMs`, deliveries and lanes, at most `limit`, and makes it due again at `untilMs`.
        case claim(nowMs: Int64, untilMs: Int64, limit: Int)
        /// Claims the oldest deliveries of lanes, as many as each is told, or as have waited since before `expiredMs` if that is more, and
        /// not more than `limit` altogether. A lane where more of those are left is due again at once.
        case release([LaneRelease], untilMs: Int64, expiredMs: Int64, limit: Int)
        /// Makes deliveries in flight due at `untilMs` again, except what is due later: that is a hold, or a newer generation, which
        /// its own time holds for.
        case renew([DeliveryID], untilMs: Int64)
        /// Removes what still is as it was when it was claimed. What was marked for cancellation meanwhile becomes a hold that
        /// ends at `holdUntilMs`.
        case remove([DeliveryID: IndexEntry], holdUntilMs: Int64)
        case check
    }

    public var expected: IndexHeader
    public var work: Work

    public init(expected: IndexHeader, next: IndexHeader, work: Work) {
        self.expected = expected
        self.next = next
        self.work = work
    }

    public var next: IndexHeader
}

/// A lane, and when it is due at the latest (milliseconds since 1970).
public struct LaneDue: Equatable, Sendable {
    public var lane: LaneID
    public var dueAtMs: Int64
}

/// How many deliveries a lane lets go of, and when it is due again; one that has none left is removed.
public struct LaneRelease: Equatable, Sendable {
    public var lane: LaneID
    public var count: Int
    public var nextDueMs: Int64
}

/// What a script answers.
public enum IndexReply: Equatable, Sendable {
    /// The header is another one than expected: nothing was done.
    case mismatch
    case done
    /// What a claim or release took, and when the next one is due (milliseconds since 1970). `lanes`: of a claim those that are
    /// due, of a release those that had none left.
    case claimed([Claimed], lanes: [LaneID], nextDueMs: Int64?)

    public struct Claimed: Equatable, Sendable {
        public var delivery: DeliveryID
        public var entry: IndexEntry
        public init(delivery: DeliveryID, entry: IndexEntry) {
            self.delivery = delivery
            self.entry = entry
        }
    }
}

/// The three keys' headers as they are found, unread: nil where a key has none.
public struct IndexHeaders: Equatable, Sendable {
    public var at: String?
    public var due: String?
    public var lanes: String?
    public init(at: String? = nil, due: String? = nil, lanes: String? = nil) {
        self.at = at
        self.due = due
        self.lanes = lanes
    }

    /// The header, where all keys have the same one.
    public var agreed: IndexHeader? { at == due && at == lanes ? at.flatMap(IndexHeader.init(text:)) : nil }
}

/// Puts an owner's header into the keys, provided that they still hold what was found there.
public struct IndexOpening: Equatable, Sendable {
    public var found: IndexHeaders
    public var header: IndexHeader
    /// Everything that is there goes first.
    public var resets: Bool
    public init(found: IndexHeaders, header: IndexHeader, resets: Bool) {
        self.found = found
        self.header = header
        self.resets = resets
    }
}
