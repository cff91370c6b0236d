internal import CKafka
internal import EventLoops

/// librdkafka's in-memory broker, in this process, on loopback: for tests, and for trying things out without a Kafka.
///
/// It keeps 5 MiB or so per partition, drops the oldest beyond that without a word, and loses all when this object goes. It has
/// no Admin API (topics come from `createTopic`), no compaction, no retention and no static membership; transactions
/// do not isolate. Clients should set `fetch.wait.max.ms` to 10: an empty fetch always waits that long.
///
/// librdkafka opens its sockets without close-on-exec: a process that starts others must close what they inherit, or
/// connections stay open in them after `setDown`.
///
/// Its methods may be called from any thread. `@unchecked Sendable` because librdkafka hands each call to the cluster's own
/// thread, and the pointers never change.
public final class MockCluster: @unchecked Sendable {
    private let client: OpaquePointer
    private let cluster: OpaquePointer

    /// The kinds of request whose answers can be spoiled; the numbers are Kafka's API keys.
    public enum Request: Int16, Sendable {
        case produce = 0, fetch = 1, listOffsets = 2, metadata = 3, offsetCommit = 8, offsetFetch = 9
        case findCoordinator = 10, joinGroup = 11, heartbeat = 12, syncGroup = 14, initProducerID = 22
    }

    /// Starts brokers with the ids 1, 2, … on free ports: librdkafka takes no others.
    public init(brokers: Int = 1) throws(KafkaError) {
        guard let configuration = rd_kafka_conf_new() else {
            throw KafkaError(.systemResource, "rd_kafka_conf_new failed")
        }
        rd_kafka_conf_set_log_cb(configuration, nil)
        var made: OpaquePointer?
        let explanation = withErrorText { text, size in
            made = rd_kafka_new(RD_KAFKA_PRODUCER, configuration, text, size)
            return made != nil
        }
        guard let made else {
            rd_kafka_conf_destroy(configuration)
            throw KafkaError(.systemResource, explanation ?? "")
        }
        guard let cluster = rd_kafka_mock_cluster_new(made, Int32(brokers)) else {
            rd_kafka_destroy(made)
            throw KafkaError(.systemResource, "cannot start an in-memory broker")
        }
        client = made
        self.cluster = cluster
        let ports = bootstrapServers.split(separator: ",").compactMap { UInt16($0.split(separator: ":").last ?? "") }
        disableNagle(ofListenersOn: Set(ports))
    }

    deinit {
        nonisolated(unsafe) let client = client
        nonisolated(unsafe) let cluster = cluster
        NativeThread.start(name: "kafka-destroy") {
            rd_kafka_mock_cluster_destroy(cluster)
            rd_kafka_destroy(client)
        }
    }

    /// What clients take as `brokers`.
    public var bootstrapServers: String { String(cString: rd_kafka_mock_cluster_bootstraps(cluster)) }

    /// Makes a topic; one that exists already is an error.
    public func createTopic(_ name: String, partitions: Int) throws(KafkaError) {
        let code = rd_kafka_mock_topic_create(cluster, name, Int32(partitions), 1)
        if let error = KafkaError(ifError: code, "creating topic \(name)") { throw error }
    }

    /// Answers the next requests of a kind with these errors, one each; 0 is a success.
    public func fail(_ request: Request, with errors: [KafkaError.Code]) {
        let codes = errors.map { rd_kafka_resp_err_t(rawValue: $0.rawValue) }
        rd_kafka_mock_push_request_errors_array(cluster, request.rawValue, codes.count, codes)
    }

    /// Forgets the errors that were not used yet.
    public func stopFailing(_ request: Request) { rd_kafka_mock_clear_request_errors(cluster, request.rawValue) }

    /// Closes a broker's port and its connections, until `setUp`.
    public func setDown(broker: Int = 1) { rd_kafka_mock_broker_set_down(cluster, Int32(broker)) }

    public func setUp(broker: Int = 1) { rd_kafka_mock_broker_set_up(cluster, Int32(broker)) }

    /// Delays every answer of a broker.
    public func setRoundTrip(milliseconds: Int, broker: Int = 1) {
        rd_kafka_mock_broker_set_rtt(cluster, Int32(broker), Int32(milliseconds))
    }

    /// Moves a partition's leadership.
    public func setLeader(of partition: TopicPartition, broker: Int) {
        rd_kafka_mock_partition_set_leader(cluster, partition.topic, partition.partition, Int32(broker))
    }

    /// Moves the coordinator of a consumer group.
    public func setCoordinator(ofGroup group: String, broker: Int) {
        rd_kafka_mock_coordinator_set(cluster, "group", group, Int32(broker))
    }
}
