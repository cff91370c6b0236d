/// Where events without an ordering key go: all to one partition for as long as a batch is collected, then to the next one. Kafka gets few large
/// batches instead of a small one for each partition, which is most of what a small event costs it.
///
/// One per thread, each beginning somewhere else. Times are monotonic nanoseconds.
struct PartitionRota {
    /// More go elsewhere even at once, so that a burst is the work of several dispatchers.
    static let maximumRun = 256

    private let partitions: Int32
    private let turnNanoseconds: UInt64
    private var partition: Int32
    private var turnEnd: UInt64 = 0
    private var left = 0

    /// - Parameter turnMs: How long a partition's turn is.
    init(partitions: Int, turnMs: Int, startingAt first: Int) {
        self.partitions = Int32(partitions)
        turnNanoseconds = UInt64(turnMs) * 1_000_000
        partition = Int32(first % partitions)
    }

    mutating func next(now: UInt64) -> Int32 {
        if left == 0 || now >= turnEnd {
            partition = (partition + 1) % partitions
            turnEnd = now + turnNanoseconds
            left = Self.maximumRun
        }
        left -= 1
        return partition
    }
}
