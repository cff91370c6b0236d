public import Records

/// One step on a partition's index in Redis, carried out as a whole or not at all. Each names the header that it expects in both keys
/// and the one that it leaves there.
public struct IndexScript: Equatable, Sendable {
    public enum Work: Equatable, Sendable {
        case index([IndexBatch.Change])
        /// Takes what is due by `nowMs`, at most `limit`, and makes it due again at `untilMs`.
        case claim(nowMs: Int64, untilMs: Int64, limit: Int)
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

/// What a script answers.
public enum IndexReply: Equatable, Sendable {
    /// The header is another one than expected: nothing was done.
    case mismatch
    case done
    /// What a claim took, and when the next one is due (milliseconds since 1970).
    case claimed([Claimed], nextDueMs: Int64?)

    public struct Claimed: Equatable, Sendable {
        public var delivery: DeliveryID
        public var entry: IndexEntry
        public init(delivery: DeliveryID, entry: IndexEntry) {
            self.delivery = delivery
            self.entry = entry
        }
    }
}

/// Both keys' headers as they are found, unread: nil where a key has none.
public struct IndexHeaders: Equatable, Sendable {
    public var at: String?
    public var due: String?
    public init(at: String? = nil, due: String? = nil) {
        self.at = at
        self.due = due
    }

    /// The header, where both keys have the same one.
    public var agreed: IndexHeader? { at == due ? at.flatMap(IndexHeader.init(text:)) : nil }
}

/// Puts an owner's header into both keys, provided that they still hold what was found there.
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
