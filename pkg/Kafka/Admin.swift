internal import CKafka
internal import EventLoops

/// A topic to create.
public struct NewTopic: Sendable {
    public var name: String
    public var partitions: Int
    /// -1: the broker's default.
    public var replicationFactor: Int
    /// Kafka's topic settings, such as `cleanup.policy`.
    public var settings: [String: String]
    public init(_ name: String, partitions: Int, replicationFactor: Int = -1, settings: [String: String] = [:]) {
        self.name = name
        self.partitions = partitions
        self.replicationFactor = replicationFactor
        self.settings = settings
    }
}

/// What the cluster says of a topic.
public struct TopicDescription: Equatable, Sendable {
    public let name: String
    public let partitions: Int
    /// Of the partition that has the fewest replicas.
    public let replicationFactor: Int
    public init(name: String, partitions: Int, replicationFactor: Int) {
        self.name = name
        self.partitions = partitions
        self.replicationFactor = replicationFactor
    }
}

/// Questions and orders to the cluster, from any thread: each runs on a thread of its own for as long as it takes, at most
/// `timeoutMilliseconds`. librdkafka's in-memory broker answers `describe` and `clusterID` only.
public final class Admin: Sendable {
    private let handle: ClientHandle
    private let timeoutMilliseconds: Int32

    /// Throws where a property is wrong, naming it.
    public init(_ client: KafkaConfiguration, timeoutMilliseconds: Int32 = 15_000) throws(KafkaError) {
        // A consumer's handle: asking it for a topic's metadata does not create the topic.
        handle = try ClientHandle(ClientProperties(client, RD_KAFKA_CONSUMER), client: client, events: 0)
        rd_kafka_set_log_queue(handle.pointer, nil)
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Creates topics; the answer names those that failed and why (`.topicExists` among them). The others can be used when it
    /// returns.
    public func createTopics(_ topics: [NewTopic]) async throws(KafkaError) -> [String: KafkaError] {
        guard !topics.isEmpty else { return [:] }
        let failures = try await onOwnThread { client, timeout throws(KafkaError) in
            try AdminCall(client, timeout).createTopics(topics)
        }
        for topic in topics where failures[topic.name] == nil { try await awaitVisibility(of: topic) }
        return failures
    }

    /// The controller answers before the brokers have heard of the topic, and nothing tells when they have.
    private func awaitVisibility(of topic: NewTopic) async throws(KafkaError) {
        let deadline = ContinuousClock.now + .milliseconds(Int(timeoutMilliseconds))
        while try await describe(topic: topic.name) == nil {
            guard ContinuousClock.now < deadline, !Task.isCancelled else {
                throw KafkaError(.timedOut, "topic \(topic.name) was created but no broker knows it yet")
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Deletes topics; the answer names those that failed and why.
    public func deleteTopics(_ names: [String]) async throws(KafkaError) -> [String: KafkaError] {
        guard !names.isEmpty else { return [:] }
        return try await onOwnThread { client, timeout throws(KafkaError) in
            try AdminCall(client, timeout).deleteTopics(names)
        }
    }

    /// Takes away what lies below these offsets: each becomes its log's start. The answer names the partitions where that failed, and why.
    public func deleteRecords(
        below positions: [PartitionPosition]
    ) async throws(KafkaError) -> [TopicPartition: KafkaError] {
        guard !positions.isEmpty else { return [:] }
        return try await onOwnThread { client, timeout throws(KafkaError) in
            try AdminCall(client, timeout).deleteRecords(below: positions)
        }
    }

    /// A topic's settings, defaults included; secret ones have no value.
    public func settings(ofTopic name: String) async throws(KafkaError) -> [String: String] {
        try await onOwnThread { client, timeout throws(KafkaError) in
            try AdminCall(client, timeout).settings(ofTopic: name)
        }
    }

    /// The topic's partitions and replicas; nil where there is no such topic.
    public func describe(topic name: String) async throws(KafkaError) -> TopicDescription? {
        try await onOwnThread { client, timeout throws(KafkaError) in try describeTopic(client, name, timeout) }
    }

    /// How many brokers there are: also the question whether the cluster answers.
    public func brokerCount() async throws(KafkaError) -> Int {
        try await onOwnThread { client, timeout throws(KafkaError) in
            try withMetadata(client, topic: nil, timeout) { Int($0.broker_cnt) }
        }
    }

    /// The cluster's id: a new one for a new cluster. The in-memory broker's does not change, so it says nothing.
    public func clusterID() async throws(KafkaError) -> String {
        try await onOwnThread { client, timeout throws(KafkaError) in
            guard let text = rd_kafka_clusterid(client, timeout) else {
                throw KafkaError(.timedOut, "the cluster did not say its id")
            }
            defer { rd_kafka_mem_free(client, text) }
            return String(cString: text)
        }
    }

    /// The bounds of the partitions' logs.
    public func watermarks(_ partitions: [TopicPartition]) async throws(KafkaError) -> [TopicPartition: Watermarks] {
        try await onOwnThread { client, timeout throws(KafkaError) in
            try queryWatermarks(client, partitions, timeout).get()
        }
    }

    private func onOwnThread<Answer: Sendable>(
        _ work: @escaping @Sendable (OpaquePointer, Int32) throws(KafkaError) -> Answer
    ) async throws(KafkaError) -> Answer {
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<Answer, KafkaError>, Never>) in
            handle.onOwnThread { [handle, timeoutMilliseconds] client in
                let result = Result { () throws(KafkaError) in try work(client, timeoutMilliseconds) }
                handle.writeLog()
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }
}
