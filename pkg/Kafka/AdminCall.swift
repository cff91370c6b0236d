internal import CKafka

/// One call of Kafka's Admin API: made, awaited on a queue of its own, and translated. Blocks.
struct AdminCall: ~Copyable {
    private let client: OpaquePointer
    private let timeoutMilliseconds: Int32
    private let queue: OpaquePointer

    init(_ client: OpaquePointer, _ timeoutMilliseconds: Int32) {
        self.client = client
        self.timeoutMilliseconds = timeoutMilliseconds
        queue = rd_kafka_queue_new(client)
    }

    deinit { rd_kafka_queue_destroy(queue) }

    func createTopics(_ topics: [NewTopic]) throws(KafkaError) -> [String: KafkaError] {
        var made: [OpaquePointer?] = []
        defer { rd_kafka_NewTopic_destroy_array(&made, made.count) }
        for topic in topics { made.append(try Self.newTopic(topic)) }
        return try call("CreateTopics", RD_KAFKA_ADMIN_OP_CREATETOPICS) { options in
            rd_kafka_CreateTopics(client, &made, made.count, options, queue)
        } read: { event in
            var count = 0
            let results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
            return Self.failures(results, count)
        }
    }

    private static func newTopic(_ topic: NewTopic) throws(KafkaError) -> OpaquePointer {
        var made: OpaquePointer?
        let explanation = withErrorText { text, size in
            made = rd_kafka_NewTopic_new(
                topic.name, Int32(topic.partitions), Int32(topic.replicationFactor), text, size)
            return made != nil
        }
        guard let made else { throw KafkaError(.invalidArgument, "topic \"\(topic.name)\": \(explanation ?? "")") }
        for (key, value) in topic.settings.sorted(by: { $0.key < $1.key }) {
            rd_kafka_NewTopic_set_config(made, key, value)
        }
        return made
    }

    func deleteTopics(_ names: [String]) throws(KafkaError) -> [String: KafkaError] {
        var doomed: [OpaquePointer?] = names.map { rd_kafka_DeleteTopic_new($0) }
        defer { rd_kafka_DeleteTopic_destroy_array(&doomed, doomed.count) }
        return try call("DeleteTopics", RD_KAFKA_ADMIN_OP_DELETETOPICS) { options in
            rd_kafka_DeleteTopics(client, &doomed, doomed.count, options, queue)
        } read: { event in
            var count = 0
            let results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count)
            return Self.failures(results, count)
        }
    }

    func deleteRecords(below positions: [PartitionPosition]) throws(KafkaError) -> [TopicPartition: KafkaError] {
        let list = PartitionList(positions: positions)
        var doomed: OpaquePointer? = rd_kafka_DeleteRecords_new(list.pointer)
        defer { rd_kafka_DeleteRecords_destroy(doomed) }
        return try call("DeleteRecords", RD_KAFKA_ADMIN_OP_DELETERECORDS) { options in
            rd_kafka_DeleteRecords(client, &doomed, 1, options, queue)
        } read: { event in
            let answer = rd_kafka_event_DeleteRecords_result(event)
            var failures: [TopicPartition: KafkaError] = [:]
            guard let results = rd_kafka_DeleteRecords_result_offsets(answer) else { return failures }
            for result in UnsafeBufferPointer(start: results.pointee.elems, count: Int(results.pointee.cnt)) {
                if let error = KafkaError(ifError: result.err, "\(result.name)") { failures[result.name] = error }
            }
            return failures
        }
    }

    func settings(ofTopic name: String) throws(KafkaError) -> [String: String] {
        var asked: [OpaquePointer?] = [rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name)]
        defer { rd_kafka_ConfigResource_destroy_array(&asked, asked.count) }
        return try call("DescribeConfigs", RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS) { options in
            rd_kafka_DescribeConfigs(client, &asked, asked.count, options, queue)
        } read: { event throws(KafkaError) in
            var count = 0
            let answer = rd_kafka_event_DescribeConfigs_result(event)
            guard let resources = rd_kafka_DescribeConfigs_result_resources(answer, &count), count == 1 else {
                throw KafkaError(.invalidArgument, "no answer about topic \(name)")
            }
            return try Self.settings(of: resources[0], name)
        }
    }

    private static func settings(of resource: OpaquePointer?, _ name: String) throws(KafkaError) -> [String: String] {
        if let error = KafkaError(ifError: rd_kafka_ConfigResource_error(resource), "topic \(name)") { throw error }
        var count = 0
        let entries = rd_kafka_ConfigResource_configs(resource, &count)
        var settings: [String: String] = [:]
        for entry in UnsafeBufferPointer(start: entries, count: count) {
            guard let key = rd_kafka_ConfigEntry_name(entry), let value = rd_kafka_ConfigEntry_value(entry) else {
                continue
            }
            settings[String(cString: key)] = String(cString: value)
        }
        return settings
    }

    private static func failures(
        _ results: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int
    ) -> [String: KafkaError] {
        var failures: [String: KafkaError] = [:]
        for result in UnsafeBufferPointer(start: results, count: count) {
            let code = rd_kafka_topic_result_error(result)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR, let name = rd_kafka_topic_result_name(result) else { continue }
            let text = rd_kafka_topic_result_error_string(result).map { String(cString: $0) }
            failures[String(cString: name)] = KafkaError(
                KafkaError.Code(code), text ?? KafkaError.Code(code).explanation)
        }
        return failures
    }

    private func call<Answer>(
        _ name: String, _ operation: rd_kafka_admin_op_t, _ start: (OpaquePointer?) -> Void,
        read: (OpaquePointer) throws(KafkaError) -> Answer
    ) throws(KafkaError) -> Answer {
        let options = rd_kafka_AdminOptions_new(client, operation)
        defer { rd_kafka_AdminOptions_destroy(options) }
        rd_kafka_AdminOptions_set_request_timeout(options, timeoutMilliseconds, nil, 0)
        start(options)
        // The answer comes within the request's timeout; the margin is for librdkafka itself.
        guard let event = rd_kafka_queue_poll(queue, timeoutMilliseconds + 5_000) else {
            throw KafkaError(.timedOut, "\(name): no answer")
        }
        defer { rd_kafka_event_destroy(event) }
        let code = KafkaError.Code(rd_kafka_event_error(event))
        guard code.rawValue != 0 else { return try read(event) }
        let hint = [.timedOut, .unsupported].contains(code) ? " (librdkafka's in-memory broker has no Admin API)" : ""
        throw KafkaError(code, "\(name): \(KafkaError(event: event).reason)\(hint)")
    }
}
