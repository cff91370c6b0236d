public import Records

extension IndexOwner {
    public struct Limits: Equatable, Sendable {
        /// Milliseconds that a claim lasts.
        public var leaseMs: Int64
        /// How long a cancellation waits for a later generation.
        public var holdMs: Int64
        public var retryDelayMs: Int64 = 500
        public var checkIntervalMs: Int64 = 1_000
        /// How long a request may last: a lane's round.
        public var roundMs: Int64 = 10_000
        /// What has waited longer in a lane is let go, to be closed.
        public var maxAgeMs: Int64 = 1 << 46
        public init(leaseMs: Int64, holdMs: Int64) {
            self.leaseMs = leaseMs
            self.holdMs = holdMs
        }
    }

    public enum Action: Equatable, Sendable {
        case readHeaders
        /// Read the record at this offset of `retries`: is it a fence?
        case readFence(offset: Int64)
        case writeFence
        case open(IndexOpening)
        /// Records are taken from this offset on.
        case seek(Int64)
        case look([DeliveryID])
        case run(IndexScript)
        /// Tombstones that the batch being indexed causes.
        case retire([RetryKey])
        case fire(Flight)
        /// Tombstones of what was fired.
        case retireFlight(DeliveryID, [RetryKey])
        /// Commit synchronously: does the partition still belong to this member?
        case confirm
        case stop
    }

    /// A delivery that was claimed and is not removed yet.
    public struct Flight: Equatable, Sendable {
        public var delivery: DeliveryID
        public var entry: IndexEntry
        var isGone = false

        /// What is to be tombstoned once it has been fired. A cancellation stays: what was fired twice may fail twice, and so come
        /// back once more when it is closed already; its end as a hold retires it.
        public var keys: [RetryKey] {
            let own = RetryKey.delivery(delivery, generation: entry.generation)
            switch entry.mark {
            case .none, .cancel: return isGone ? [] : [own]
            case .now: return (isGone ? [] : [own]) + [.retryNow(delivery, generation: entry.generation)]
            case .hold: return [.cancel(delivery)]
            }
        }

        /// What is removed: of what is to be cancelled, that makes a hold.
        var removed: IndexEntry {
            var entry = entry
            if entry.mark == .cancel { entry.mark = .none }
            return entry
        }
    }
}
