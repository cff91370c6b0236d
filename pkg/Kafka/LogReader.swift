internal import CKafka
public import EventLoops

/// How logs are read outside a consumer group.
public struct LogReaderConfiguration: Sendable {
    public var client: KafkaConfiguration
    /// How long a broker may hold an empty fetch. The in-memory broker always waits that long: give it 10.
    public var fetchWaitMilliseconds = 100
    /// Prefetched bytes, for each partition that is being read.
    public var queuedMaxKilobytes = 4_096
    public var isolationLevel = ConsumerConfiguration.IsolationLevel.readCommitted

    public init(_ client: KafkaConfiguration) { self.client = client }
}

/// What a finished read has covered: every record that there is in `from..<to`.
public struct LogRange: Equatable, Sendable {
    /// The wanted start, or the log's where that is higher.
    public let from: Int64
    /// The wanted end, or the log's where that is lower.
    public let to: Int64
    /// Fewer than the offsets where the log has gaps (compaction, transactions).
    public let records: Int
    /// The log's bounds as they were at the start.
    public let bounds: Watermarks
    public init(from: Int64, to: Int64, records: Int, bounds: Watermarks) {
        self.from = from
        self.to = to
        self.records = records
        self.bounds = bounds
    }
}

/// A read in progress.
public final class LogRead {
    fileprivate(set) var onCancel: (() -> Void)?
    /// Ends it; neither handler is called again. On the reader's loop thread.
    public func cancel() {
        onCancel?()
        onCancel = nil
    }
}

/// Reads ranges of partitions' logs: no group, no commits. One reader can read many partitions at once over the same
/// connections; a partition that is being read already waits its turn. Confined to its loop's thread.
public final class LogReader {
    private let handle: ClientHandle
    private let loop: EventLoop
    private let failed: (KafkaError) -> Void
    private var watch: QueueWatch?
    /// For each partition the reads in their order: the first is the one that runs.
    private var reads: [TopicPartition: [RangeRead]] = [:]

    /// Connects. `failed` is told of what concerns no single read: for the log. Throws where a property is wrong, naming it.
    public init(
        _ configuration: LogReaderConfiguration, on loop: EventLoop, failed: @escaping (KafkaError) -> Void = { _ in }
    ) throws(KafkaError) {
        self.loop = loop
        self.failed = failed
        handle = try ClientHandle(
            configuration.properties, client: configuration.client, events: RD_KAFKA_EVENT_ERROR)
        watch = try handle.watchMainQueue(on: loop, failed: failed)
    }

    /// Reads what is in `from..<to`. Both are clamped to the log as it is now; without `to`, its end. `record` gets each record
    /// in order and must not keep it; then `completion` is called, once. A read that makes no progress for the timeout fails.
    @discardableResult
    public func read(
        _ partition: TopicPartition, from: Int64, to: Int64? = nil, timeoutMilliseconds: UInt64 = 30_000,
        record: @escaping (borrowing Record) -> Void,
        completion: @escaping (Result<LogRange, KafkaError>) -> Void
    ) -> LogRead {
        guard watch != nil else {
            completion(.failure(Self.closed))
            return LogRead()
        }
        let read = RangeRead(
            partition, from: from, to: to, timeoutMilliseconds: timeoutMilliseconds, of: handle, on: loop,
            onRecord: record)
        let ticket = LogRead()
        read.onEnd = { [weak self, unowned read] result in
            ticket.onCancel = nil
            self?.finished(read)
            completion(result)
        }
        ticket.onCancel = { [weak self, weak read] in
            guard let self, let read else { return }
            read.cancel()
            finished(read)
        }
        reads[partition, default: []].append(read)
        if reads[partition]?.count == 1 { read.begin() }
        return ticket
    }

    private static let closed = KafkaError(.closed, "the reader was closed")

    private func finished(_ read: RangeRead) {
        let wasRunning = reads[read.partition]?.first === read
        reads[read.partition]?.removeAll { $0 === read }
        guard let next = reads[read.partition]?.first else {
            reads[read.partition] = nil
            return
        }
        if wasRunning { next.begin() }
    }

    /// Fails every read and disconnects.
    public func close() {
        let ended = reads.values.joined()
        reads = [:]
        for read in ended { read.end(.failure(Self.closed)) }
        watch?.cancel()
        watch = nil
    }
}

extension ClientHandle {
    /// Serves the log lines and errors of a client that has no other use for its main queue.
    func watchMainQueue(on loop: EventLoop, failed: @escaping (KafkaError) -> Void) throws(KafkaError) -> QueueWatch {
        rd_kafka_set_log_queue(pointer, nil)
        guard let queue = rd_kafka_queue_get_main(pointer) else {
            throw KafkaError(.systemResource, "the client has no main queue")
        }
        // The watch owns the closure: the closure must not own the watch.
        let weakly = WeakReference()
        let watch = try QueueWatch(queue, of: self, on: loop) { [unowned self] in
            weakly.watch?.drainEvents { event in
                switch rd_kafka_event_type(event) {
                case RD_KAFKA_EVENT_LOG: write(logEvent: event)
                case RD_KAFKA_EVENT_ERROR: failed(KafkaError(event: event))
                default: break
                }
            }
        }
        weakly.watch = watch
        return watch
    }
}

private final class WeakReference {
    weak var watch: QueueWatch?
}

extension LogReaderConfiguration {
    var properties: ClientProperties {
        var properties = ClientProperties(client, RD_KAFKA_CONSUMER)
        properties.fix("enable.auto.commit", "false")
        // Without this each record read would be stored as a position to commit.
        properties.fix("enable.auto.offset.store", "false")
        properties.fix("enable.partition.eof", "true")
        properties.fix("auto.offset.reset", "error")
        properties.set("fetch.wait.max.ms", fetchWaitMilliseconds)
        properties.set("queued.max.messages.kbytes", queuedMaxKilobytes)
        properties.set("isolation.level", isolationLevel.rawValue)
        return properties
    }
}
