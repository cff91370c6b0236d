internal import CKafka
internal import EventLoops
internal import Glibc

// Questions that librdkafka answers by blocking: for threads of their own, never for a loop or the cooperative pool.

/// Reads metadata: of one topic, or of none (the brokers alone). Blocks.
func withMetadata<Answer>(
    _ client: OpaquePointer, topic name: String?, _ timeoutMilliseconds: Int32,
    _ body: (rd_kafka_metadata) throws(KafkaError) -> Answer
) throws(KafkaError) -> Answer {
    let topic = name.flatMap { rd_kafka_topic_new(client, $0, nil) }
    defer { topic.map { rd_kafka_topic_destroy($0) } }
    if let name, topic == nil {
        throw KafkaError(KafkaError.Code(rd_kafka_last_error()), "cannot use topic \"\(name)\"")
    }
    var metadata: UnsafePointer<rd_kafka_metadata>?
    let code = rd_kafka_metadata(client, 0, topic, &metadata, timeoutMilliseconds)
    defer { metadata.map { rd_kafka_metadata_destroy($0) } }
    guard let metadata else { throw KafkaError(ifError: code, "metadata") ?? KafkaError(.timedOut, "metadata") }
    return try body(metadata.pointee)
}

/// nil where there is no such topic. Blocks.
func describeTopic(
    _ client: OpaquePointer, _ name: String, _ timeoutMilliseconds: Int32
) throws(KafkaError) -> TopicDescription? {
    try withMetadata(client, topic: name, timeoutMilliseconds) { metadata throws(KafkaError) in
        guard metadata.topic_cnt > 0 else { return nil }
        let topic = metadata.topics[0]
        switch topic.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR: break
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC: return nil
        default: throw KafkaError(ifError: topic.err, "topic \(name)") ?? KafkaError(topic.err)
        }
        let partitions = UnsafeBufferPointer(start: topic.partitions, count: Int(topic.partition_cnt))
        return TopicDescription(
            name: name, partitions: partitions.count,
            replicationFactor: partitions.map { Int($0.replica_cnt) }.min() ?? 0)
    }
}

/// Asks for the bounds of several logs, one after the other. Asks again, within the timeout, while a partition is between two
/// leaders or too new for its leader.
func queryWatermarks(
    _ client: OpaquePointer, _ partitions: [TopicPartition], _ timeoutMilliseconds: Int32
) -> Result<[TopicPartition: Watermarks], KafkaError> {
    let deadline = EventLoop.monotonicNanoseconds() + UInt64(max(0, timeoutMilliseconds)) * 1_000_000
    var found: [TopicPartition: Watermarks] = [:]
    for name in partitions {
        var low: Int64 = 0
        var high: Int64 = 0
        while true {
            let code = rd_kafka_query_watermark_offsets(
                client, name.topic, name.partition, &low, &high, timeoutMilliseconds)
            guard let error = KafkaError(ifError: code, "bounds of \(name)") else { break }
            let passes = passingErrors.contains { $0 == code }
            guard passes, EventLoop.monotonicNanoseconds() < deadline else { return .failure(error) }
            usleep(queryPauseMicroseconds)
            // The error makes the client look again for the leaders of topics that it reads or writes. For others it goes on with the
            // leader that it once heard of, for as long as `metadata.max.age.ms`.
            try? withMetadata(client, topic: name.topic, timeoutMilliseconds) { _ in }
        }
        found[name] = Watermarks(low: low, high: high)
    }
    return .success(found)
}

/// Reads a group's committed offsets and metadata; partitions without any are left out. The client names the group. Blocks.
func queryCommitted(
    _ client: OpaquePointer, _ partitions: [TopicPartition], _ timeoutMilliseconds: Int32
) -> Result<[TopicPartition: OffsetCommit], KafkaError> {
    let list = PartitionList(partitions)
    let code = rd_kafka_committed(client, list.pointer, timeoutMilliseconds)
    if let error = KafkaError(ifError: code, "reading committed offsets") { return .failure(error) }
    var found: [TopicPartition: OffsetCommit] = [:]
    for entry in list.pointer.entries {
        if let error = KafkaError(ifError: entry.err, "committed offset of \(entry.name)") {
            return .failure(error)
        }
        guard entry.offset >= 0 else { continue }
        found[entry.name] = OffsetCommit(entry.name, offset: entry.offset, metadata: entry.metadataText)
    }
    return .success(found)
}

private let queryPauseMicroseconds: UInt32 = 50_000

private let passingErrors = [
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
    RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    // The client has not heard yet of a partition that was made a moment ago.
    RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
]
