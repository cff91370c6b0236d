internal import CKafka
internal import Glibc

/// What a record's memory depends on: one for each queue that records come from.
final class RecordSource {
    let partition: TopicPartition
    let handle: ClientHandle
    init(_ partition: TopicPartition, _ handle: ClientHandle) {
        self.partition = partition
        self.handle = handle
    }
}

/// A consumed record, owned: its memory is librdkafka's and lives exactly as long as this value. Drop it when done, or
/// keep it (in a class's field, say) to go on using the bytes without copying them.
///
/// A kept record pins the fetch response that it came in, up to a megabyte or so, until the last record of that
/// response is dropped. Belongs to the thread that drained it.
public struct Record: ~Copyable {
    private let message: UnsafeMutablePointer<rd_kafka_message_t>
    private let source: RecordSource

    /// Takes ownership of `message`.
    init(_ message: UnsafeMutablePointer<rd_kafka_message_t>, from source: RecordSource) {
        self.message = message
        self.source = source
    }

    deinit { rd_kafka_message_destroy(message) }

    public var topicPartition: TopicPartition { source.partition }
    public var topic: String { source.partition.topic }
    public var partition: Int32 { source.partition.partition }
    public var offset: Int64 { message.pointee.offset }

    /// Milliseconds since 1970, or -1 where the record has none.
    public var timestamp: Int64 { rd_kafka_message_timestamp(message, nil) }

    /// nil for Kafka's null. Valid while this record lives.
    public var key: UnsafeRawBufferPointer? {
        message.pointee.key.map { UnsafeRawBufferPointer(start: $0, count: message.pointee.key_len) }
    }

    /// nil for Kafka's null, a tombstone. Valid while this record lives.
    public var value: UnsafeRawBufferPointer? {
        message.pointee.payload.map { UnsafeRawBufferPointer(start: $0, count: message.pointee.len) }
    }

    /// The value of the last header of that name; nil where there is none or it is null. Valid while this record lives.
    public func header(_ name: StaticString) -> UnsafeRawBufferPointer? {
        guard let headers else { return nil }
        var value: UnsafeRawPointer?
        var count = 0
        let found = name.withUTF8Buffer { name in
            name.withMemoryRebound(to: CChar.self) { name in
                rd_kafka_header_get_last(headers, name.baseAddress, &value, &count) == RD_KAFKA_RESP_ERR_NO_ERROR
            }
        }
        guard found, let value else { return nil }
        return UnsafeRawBufferPointer(start: value, count: count)
    }

    /// Visits the headers in order. The buffers are valid while this record lives.
    public func forEachHeader(_ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?) -> Void) {
        guard let headers else { return }
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var count = 0
        while rd_kafka_header_get_all(headers, index, &name, &value, &count) == RD_KAFKA_RESP_ERR_NO_ERROR {
            if let name {
                let name = UnsafeRawBufferPointer(start: name, count: strlen(name))
                body(name, value.map { UnsafeRawBufferPointer(start: $0, count: count) })
            }
            index += 1
        }
    }

    private var headers: OpaquePointer? {
        var headers: OpaquePointer?
        guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        return headers
    }
}
