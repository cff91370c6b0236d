/// A rule broken on purpose, by feeding the real code what it would see without the rule: what does not notice it tests nothing.
public enum Mutation: String, CaseIterable, Sendable {
    /// Settling: the position is committed, whatever is owed below it.
    case commitsPosition
    /// Settling: an outcome is written beside the record it names, not after its acknowledgement.
    case outcomeFirst
    /// Changelog: what `attempts` says is settled is delivered again.
    case memoryIgnored
    /// Changelog: batches with settled offsets get fresh notes.
    case noteNotInherited
    /// Settling: a commit that failed is not made again before there is more to commit.
    case commitOnce
    /// Taking over: a process that slept while it had no partitions trusts the assignment that it finds when it wakes.
    case idleSleepIgnored
    /// Giving back: who has nothing more to give back does not wait for what is on its way back.
    case releaseUnordered
    /// Requests start without regard to what is unacknowledged.
    case boundIgnored
    /// Requests start without regard to the webhook's limit.
    case limitIgnored
    /// A webhook's rate counts for nothing.
    case rateIgnored
    /// A breaker lets one probe more through than it may.
    case probesIgnored
    /// Index position: scripts do not look whether the index is as they left it.
    case headerIgnored
    /// Index position: it moves on though the batch was not put into the index.
    case positionFirst
    /// Lease: a claim takes the entry out of the index.
    case claimRemoves
    /// Lease: an owner that was replaced goes on claiming.
    case epochIgnored
    /// A delivery's tombstone is written before `deliveries` has the delivery.
    case tombstoneFirst
    /// What is due is claimed before the index has reached the log's end.
    case notCaughtUp
}
