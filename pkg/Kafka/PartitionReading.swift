internal import CKafka
internal import EventLoops

/// Reads one partition from an offset on, without a group, until it is stopped. Belongs to the loop's thread.
final class PartitionReading {
    enum Event {
        /// The log's end was reached: the next record will have this offset or a higher one. Comes again each time.
        case end(offset: Int64)
        /// The position is not in the log (any more); nothing more comes.
        case outOfRange(KafkaError)
        /// The broker refuses; librdkafka goes on trying.
        case failed(KafkaError)
    }

    /// How many records are handled before the loop gets another turn.
    private static let recordsPerTurn = 512

    private let source: RecordSource
    private let topic: OpaquePointer
    private var watch: QueueWatch?
    private let onRecord: (borrowing Record) -> Void
    private let onEvent: (Event) -> Void

    init(
        _ partition: TopicPartition, from offset: Int64, of handle: ClientHandle, on loop: EventLoop,
        onRecord: @escaping (borrowing Record) -> Void, onEvent: @escaping (Event) -> Void
    ) throws(KafkaError) {
        source = RecordSource(partition, handle)
        self.onRecord = onRecord
        self.onEvent = onEvent
        guard let topic = rd_kafka_topic_new(handle.pointer, partition.topic, nil),
            let queue = rd_kafka_queue_new(handle.pointer)
        else { throw KafkaError(KafkaError.Code(rd_kafka_last_error()), "cannot read topic \"\(partition.topic)\"") }
        self.topic = topic
        watch = try QueueWatch(queue, of: handle, on: loop) { [unowned self] in drain() }
        guard rd_kafka_consume_start_queue(topic, partition.partition, offset, queue) == 0 else {
            watch?.cancel()
            watch = nil
            throw KafkaError(KafkaError.Code(rd_kafka_last_error()), "cannot read \(partition) from \(offset)")
        }
    }

    deinit {
        stop()
        rd_kafka_topic_destroy(topic)
    }

    /// Ends the reading; neither handler is called again.
    func stop() {
        guard let watch else { return }
        watch.cancel()
        self.watch = nil
        rd_kafka_consume_stop(topic, source.partition.partition)
    }

    private func drain() {
        // A handler may drop the last other reference to this reading.
        withExtendedLifetime(self) {
            for _ in 0..<Self.recordsPerTurn {
                guard let watch, let message = rd_kafka_consume_queue(watch.queue, 0) else { return }
                guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                    report(message)
                    continue
                }
                onRecord(Record(message, from: source))
            }
            watch?.rearm()
        }
    }

    private func report(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        let code = message.pointee.err
        let offset = message.pointee.offset
        let text = rd_kafka_message_errstr(message).map { String(cString: $0) }
        rd_kafka_message_destroy(message)
        let error = KafkaError(KafkaError.Code(code), text ?? KafkaError.Code(code).explanation)
        switch code {
        case RD_KAFKA_RESP_ERR__PARTITION_EOF: onEvent(.end(offset: offset))
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: onEvent(.outOfRange(error))
        default: onEvent(.failed(error))
        }
    }
}
