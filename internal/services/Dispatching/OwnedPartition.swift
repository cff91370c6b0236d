internal import Kafka
internal import Records
internal import Settling

/// A source partition while a worker owns it: one object for one assignment.
final class OwnedPartition {
    let name: TopicPartition
    let queue: PartitionQueue
    let identity: DeliveryIdentity
    var settlement: PartitionSettlement
    /// What was handed to the coordinator last.
    var committed: CommitPoint?
    /// No longer taking records: it is being given back.
    var isClosing = false
    /// The group has given it to another already.
    var isLost = false
    /// Records wait that were not drained for want of room.
    var hasUnread = false
    /// Requests and writes for it that have not come to their end.
    var busy = 0

    init(_ queue: PartitionQueue, logID: String, settlement: PartitionSettlement) {
        name = queue.partition
        self.queue = queue
        identity = DeliveryIdentity(logID: logID, topic: queue.partition.topic, partition: queue.partition.partition)
        self.settlement = settlement
    }

    /// The commit point, where it is another one than before.
    func newCommitPoint() -> CommitPoint? {
        let point = settlement.commitPoint()
        guard point != committed else { return nil }
        committed = point
        return point
    }
}
