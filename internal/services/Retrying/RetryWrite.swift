internal import Kafka
internal import Records

/// A record on its way to Kafka, and whom its acknowledgement concerns.
struct RetryWrite {
    enum Purpose {
        case fence(RetryPartition)
        /// A tombstone that the batch being indexed owes.
        case owed(RetryPartition)
        case flight(RetryPartition, DeliveryID)
        case tombstone(RetryPartition, DeliveryID)
    }

    var purpose: Purpose
    var topic: ProducerTopic
    var partition: Int32
    var key: String
    var value: [UInt8]?
    var headers: RecordHeaders

    /// Nobody waits for it any more: the partition may be another's.
    var partitionIsClosed: Bool {
        switch purpose {
        case .fence(let owner), .owed(let owner), .flight(let owner, _), .tombstone(let owner, _): owner.isClosed
        }
    }
}

/// Writes by the tokens that their reports come back with.
struct WriteTable {
    private var writes: [UInt64: RetryWrite] = [:]
    private var last: UInt64 = 0

    mutating func insert(_ write: RetryWrite) -> UInt64 {
        last += 1
        writes[last] = write
        return last
    }

    mutating func remove(_ token: UInt64) -> RetryWrite? { writes.removeValue(forKey: token) }
}
