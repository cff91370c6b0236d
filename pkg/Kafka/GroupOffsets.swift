internal import CKafka

/// What a consumer group has committed, for whoever looks on from outside: it joins no group. From any thread.
public final class GroupOffsets: Sendable {
    private let handle: ClientHandle
    private let timeoutMilliseconds: Int32

    /// Throws where a property is wrong, naming it.
    public init(
        _ client: KafkaConfiguration, groupID: String, timeoutMilliseconds: Int32 = 15_000
    ) throws(KafkaError) {
        var properties = ClientProperties(client, RD_KAFKA_CONSUMER)
        properties.fix("group.id", groupID)
        properties.fix("enable.auto.commit", "false")
        handle = try ClientHandle(properties, client: client, events: 0)
        rd_kafka_set_log_queue(handle.pointer, nil)
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Offsets and metadata; partitions without any are left out. Answers on a thread of its own, at the latest after the timeout.
    public func committed(
        _ partitions: [TopicPartition],
        completion: @escaping @Sendable (Result<[TopicPartition: OffsetCommit], KafkaError>) -> Void
    ) {
        handle.onOwnThread { [handle, timeoutMilliseconds] client in
            let result = queryCommitted(client, partitions, timeoutMilliseconds)
            handle.writeLog()
            completion(result)
        }
    }

    /// The same, awaited.
    public func committed(_ partitions: [TopicPartition]) async throws(KafkaError) -> [TopicPartition: OffsetCommit] {
        let result = await withCheckedContinuation { continuation in
            committed(partitions) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }
}
