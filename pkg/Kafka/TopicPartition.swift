internal import CKafka
internal import Glibc

/// One partition of one topic.
public struct TopicPartition: Hashable, Sendable, CustomStringConvertible {
    public let topic: String
    public let partition: Int32
    public init(_ topic: String, _ partition: Int32) {
        self.topic = topic
        self.partition = partition
    }
    public var description: String { "\(topic)-\(partition)" }
}

/// A partition, and the offset of the record to read next.
public struct PartitionPosition: Hashable, Sendable {
    public var partition: TopicPartition
    public var offset: Int64
    public init(_ partition: TopicPartition, offset: Int64) {
        self.partition = partition
        self.offset = offset
    }
}

/// What a group's offset store holds, or shall hold, for a partition.
public struct OffsetCommit: Hashable, Sendable {
    public var partition: TopicPartition
    /// The offset of the next record to process.
    public var offset: Int64
    /// Text without NUL (librdkafka cuts there); a broker takes 4,096 characters.
    public var metadata: String
    public init(_ partition: TopicPartition, offset: Int64, metadata: String = "") {
        self.partition = partition
        self.offset = offset
        self.metadata = metadata
    }
}

/// The bounds of a partition's log: the first offset that is there, and the one the next record will get.
public struct Watermarks: Hashable, Sendable {
    public var low: Int64
    public var high: Int64
    public init(low: Int64, high: Int64) {
        self.low = low
        self.high = high
    }
}

/// librdkafka's list of partitions, owned.
struct PartitionList: ~Copyable {
    let pointer: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

    init(_ partitions: some Collection<TopicPartition>) {
        pointer = rd_kafka_topic_partition_list_new(Int32(partitions.count))
        for partition in partitions { add(partition) }
    }

    init(positions: some Collection<PartitionPosition>) {
        pointer = rd_kafka_topic_partition_list_new(Int32(positions.count))
        for position in positions { add(position.partition).pointee.offset = position.offset }
    }

    init(commits: some Collection<OffsetCommit>) {
        pointer = rd_kafka_topic_partition_list_new(Int32(commits.count))
        for commit in commits {
            let entry = add(commit.partition)
            entry.pointee.offset = commit.offset
            guard !commit.metadata.isEmpty else { continue }
            // The list's destructor frees it.
            entry.pointee.metadata = UnsafeMutableRawPointer(strdup(commit.metadata))
            entry.pointee.metadata_size = commit.metadata.utf8.count
        }
    }

    deinit { rd_kafka_topic_partition_list_destroy(pointer) }

    @discardableResult
    private func add(_ partition: TopicPartition) -> UnsafeMutablePointer<rd_kafka_topic_partition_t> {
        rd_kafka_topic_partition_list_add(pointer, partition.topic, partition.partition)
    }
}

extension UnsafeMutablePointer where Pointee == rd_kafka_topic_partition_list_t {
    var entries: UnsafeBufferPointer<rd_kafka_topic_partition_t> {
        UnsafeBufferPointer(start: pointee.elems, count: Int(pointee.cnt))
    }
    var partitions: [TopicPartition] { entries.map(\.name) }
}

extension rd_kafka_topic_partition_t {
    var name: TopicPartition { TopicPartition(String(cString: topic), partition) }
    var metadataText: String {
        guard let metadata else { return "" }
        return String(decoding: UnsafeRawBufferPointer(start: metadata, count: metadata_size), as: UTF8.self)
    }
}
