internal import CKafka
internal import EventLoops

/// One librdkafka client. Destroyed, on a thread of its own because that blocks, when the last reference goes: queues,
/// records and calls in progress each hold one.
///
/// `@unchecked Sendable` because librdkafka's client functions may be called from any thread and `pointer` never changes.
final class ClientHandle: @unchecked Sendable {
    let pointer: OpaquePointer
    private let log: (@Sendable (KafkaLogLine) -> Void)?

    init(_ properties: ClientProperties, client: KafkaConfiguration, events: Int32) throws(KafkaError) {
        let configuration = try properties.build(user: client.properties, events: events | RD_KAFKA_EVENT_LOG)
        var made: OpaquePointer?
        let explanation = withErrorText { text, size in
            made = rd_kafka_new(properties.type, configuration, text, size)
            return made != nil
        }
        guard let made else {
            rd_kafka_conf_destroy(configuration)
            throw KafkaError(KafkaError.Code(rd_kafka_last_error()), "cannot make a Kafka client: \(explanation ?? "")")
        }
        pointer = made
        log = client.log
    }

    /// A consumer that did not `close` leaves like a crashed one: its group notices when the session ends.
    deinit {
        nonisolated(unsafe) let pointer = pointer
        NativeThread.start(name: "kafka-destroy") {
            rd_kafka_destroy_flags(pointer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        }
    }

    /// Runs a blocking call on a thread of its own.
    func onOwnThread(_ work: @escaping @Sendable (OpaquePointer) -> Void) {
        NativeThread.start(name: "kafka-call") { [self] in work(pointer) }
    }

    /// Hands a log event's line to the sink.
    func write(logEvent event: OpaquePointer) {
        guard let log else { return }
        var facility: UnsafePointer<CChar>?
        var text: UnsafePointer<CChar>?
        var level: Int32 = 0
        guard rd_kafka_event_log(event, &facility, &text, &level) == 0, let facility, let text else { return }
        log(KafkaLogLine(level: Int(level), facility: String(cString: facility), text: String(cString: text)))
    }

    /// Empties the log of a client whose main queue no loop watches.
    func writeLog() {
        guard let queue = rd_kafka_queue_get_main(pointer) else { return }
        defer { rd_kafka_queue_destroy(queue) }
        while let event = rd_kafka_queue_poll(queue, 0) {
            if rd_kafka_event_type(event) == RD_KAFKA_EVENT_LOG { write(logEvent: event) }
            rd_kafka_event_destroy(event)
        }
    }

    /// The fatal error that this instance has met, if any.
    var fatalError: KafkaError? {
        var code = RD_KAFKA_RESP_ERR_NO_ERROR
        let reason = withErrorText { text, size in
            code = rd_kafka_fatal_error(pointer, text, size)
            return code == RD_KAFKA_RESP_ERR_NO_ERROR
        }
        return reason.map { KafkaError(KafkaError.Code(code), $0, isFatal: true) }
    }
}

/// Carries a loop-confined value through another thread, which must not touch it, back to its loop.
struct Confined<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
