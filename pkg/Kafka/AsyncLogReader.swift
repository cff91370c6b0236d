internal import EventLoops

/// A record's content, copied out of librdkafka's memory.
public struct CopiedRecord: Equatable, Sendable {
    public struct Header: Equatable, Sendable {
        public let name: String
        public let value: [UInt8]?
    }

    public let topicPartition: TopicPartition
    public let offset: Int64
    /// Milliseconds since 1970.
    public let timestamp: Int64
    public let key: [UInt8]?
    public let value: [UInt8]?
    public let headers: [Header]

    public init(_ record: borrowing Record) {
        topicPartition = record.topicPartition
        offset = record.offset
        timestamp = record.timestamp
        key = record.key.map { Array($0) }
        value = record.value.map { Array($0) }
        var headers: [Header] = []
        record.forEachHeader { name, value in
            headers.append(Header(name: String(decoding: name, as: UTF8.self), value: value.map { Array($0) }))
        }
        self.headers = headers
    }

    /// The value of the last header of that name.
    public func header(_ name: String) -> [UInt8]? { headers.last { $0.name == name }?.value }
}

/// A `LogReader` for code that reads a record or a range now and then and awaits it, from any thread. It owns an event
/// loop's thread.
public final class AsyncLogReader: Sendable {
    private let reader: OwnLoop<LogReader>
    private static let closed = KafkaError(.closed, "the reader was closed")

    private init(_ reader: OwnLoop<LogReader>) { self.reader = reader }

    /// Starts the thread and connects. Throws where a property is wrong, naming it.
    public static func start(
        _ configuration: LogReaderConfiguration, failed: @escaping @Sendable (KafkaError) -> Void = { _ in }
    ) async throws(KafkaError) -> AsyncLogReader {
        AsyncLogReader(
            try await OwnLoop.start(name: "kafka-reader") { loop throws(KafkaError) in
                try LogReader(configuration, on: loop, failed: failed)
            })
    }

    /// See `LogReader.read`; `record` is called on the reader's thread.
    public func read(
        _ partition: TopicPartition, from: Int64, to: Int64? = nil, timeoutMilliseconds: UInt64 = 30_000,
        record: @escaping @Sendable (borrowing Record) -> Void
    ) async throws(KafkaError) -> LogRange {
        let result = await withCheckedContinuation { continuation in
            let isTaken = reader.submit { reader in
                reader.read(
                    partition, from: from, to: to, timeoutMilliseconds: timeoutMilliseconds, record: record
                ) { continuation.resume(returning: $0) }
            }
            if !isTaken { continuation.resume(returning: .failure(Self.closed)) }
        }
        return try result.get()
    }

    /// One record; nil where that offset has none (any more). Costs some milliseconds.
    public func record(
        _ partition: TopicPartition, at offset: Int64, timeoutMilliseconds: UInt64 = 10_000
    ) async throws(KafkaError) -> CopiedRecord? {
        let result = await withCheckedContinuation { continuation in
            let isTaken = reader.submit { reader in
                var found: CopiedRecord?
                reader.read(
                    partition, from: offset, to: offset + 1, timeoutMilliseconds: timeoutMilliseconds,
                    record: { found = CopiedRecord($0) },
                    completion: { continuation.resume(returning: $0.map { _ in found }) })
            }
            if !isTaken { continuation.resume(returning: .failure(Self.closed)) }
        }
        return try result.get()
    }

    /// Fails what is being read, disconnects and ends the thread.
    public func close() async {
        await reader.close { reader, done in
            reader.close()
            done()
        }
    }
}
