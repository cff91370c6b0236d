internal import CKafka
internal import EventLoops

/// One librdkafka producer, from its making to the last of its reports. A `Producer` has one at a time, and after a fatal
/// error retiring ones too. Belongs to the loop's thread.
final class ProducerInstance {
    enum Event {
        case reports
        case failed(KafkaError)
    }

    let handle: ClientHandle
    /// Records that were queued and have no report yet.
    private(set) var outstanding = 0
    private var watch: QueueWatch?
    private var topics: [OpaquePointer] = []
    private let onReport: (UInt64, DeliveryReport) -> Void
    private let onEvent: (ProducerInstance, Event) -> Void

    init(
        _ configuration: ProducerConfiguration, topics names: [String], on loop: EventLoop,
        onReport: @escaping (UInt64, DeliveryReport) -> Void,
        onEvent: @escaping (ProducerInstance, Event) -> Void
    ) throws(KafkaError) {
        handle = try ClientHandle(
            configuration.properties, client: configuration.client,
            events: RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR)
        self.onReport = onReport
        self.onEvent = onEvent
        for name in names { try add(topic: name) }
        rd_kafka_set_log_queue(handle.pointer, nil)
        watch = try QueueWatch(rd_kafka_queue_get_main(handle.pointer), of: handle, on: loop) { [unowned self] in
            drain()
        }
    }

    deinit {
        for topic in topics { rd_kafka_topic_destroy(topic) }
    }

    func add(topic name: String) throws(KafkaError) {
        guard let topic = rd_kafka_topic_new(handle.pointer, name, nil) else {
            throw KafkaError(KafkaError.Code(rd_kafka_last_error()), "cannot use topic \"\(name)\"")
        }
        topics.append(topic)
    }

    func produce(_ topic: Int, _ record: inout ckafka_record) -> rd_kafka_resp_err_t {
        let code = ckafka_produce(handle.pointer, topics[topic], &record)
        if code == RD_KAFKA_RESP_ERR_NO_ERROR { outstanding += 1 }
        return code
    }

    /// Fails what has not been sent and, on request, what has: the reports follow.
    func purge(inFlight: Bool) {
        let flags = RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING
        rd_kafka_purge(handle.pointer, inFlight ? flags | RD_KAFKA_PURGE_F_INFLIGHT : flags)
    }

    private func drain() {
        // A handler may drop the last other reference to this instance.
        withExtendedLifetime(self) {
            watch?.drainEvents { event in process(event) }
        }
    }

    private func process(_ event: OpaquePointer) {
        switch rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_DR:
            while let message = rd_kafka_event_message_next(event) {
                outstanding -= 1
                onReport(UInt64(ckafka_token(message)), Self.report(message.pointee, status: message))
            }
            onEvent(self, .reports)
        case RD_KAFKA_EVENT_LOG: handle.write(logEvent: event)
        case RD_KAFKA_EVENT_ERROR: onEvent(self, .failed(KafkaError(event: event)))
        default: break
        }
    }

    private static func report(
        _ message: rd_kafka_message_t, status pointer: UnsafePointer<rd_kafka_message_t>
    ) -> DeliveryReport {
        guard message.err != RD_KAFKA_RESP_ERR_NO_ERROR else {
            return .acknowledged(partition: message.partition, offset: message.offset >= 0 ? message.offset : nil)
        }
        let status = rd_kafka_message_status(pointer)
        return .failed(
            KafkaError(message.err), possiblyPersisted: status != RD_KAFKA_MSG_STATUS_NOT_PERSISTED)
    }
}

extension ProducerConfiguration {
    var properties: ClientProperties {
        var properties = ClientProperties(client, RD_KAFKA_PRODUCER)
        properties.fix("enable.idempotence", "true")
        properties.fix("acks", "all")
        properties.fix("partitioner", "murmur2_random")
        properties.set("message.timeout.ms", messageTimeoutMilliseconds)
        properties.set("linger.ms", lingerMilliseconds)
        properties.set("queue.buffering.max.messages", queueMaxMessages)
        properties.set("queue.buffering.max.kbytes", queueMaxKilobytes)
        properties.set("message.max.bytes", messageMaxBytes)
        properties.set("compression.type", compression)
        return properties
    }
}
