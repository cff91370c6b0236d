internal import CKafka
public import EventLoops
internal import Synchronization

/// What a partition's queue tells its owner, on the owner's loop.
public enum PartitionEvent {
    /// Records wait: `drain` them.
    case readable
    /// The position lies outside the log (it was truncated, expired or made anew). Nothing more comes until
    /// `Consumer.reposition`.
    case offsetOutOfRange(KafkaError)
    /// The broker refused to be read from; librdkafka goes on trying.
    case failed(KafkaError)
}

/// One assigned partition's records. Made by `Consumer.assign` and handed to any event loop; everything but `partition` belongs to
/// that loop's thread from `start` on. One object serves one assignment: after a rebalance there is a new one, so
/// its identity is the assignment's epoch.
///
/// `@unchecked Sendable` for the handing over: the control loop only makes it and sets `floor`, which is atomic.
public final class PartitionQueue: @unchecked Sendable {
    public let partition: TopicPartition
    private let source: RecordSource
    private var queue: OpaquePointer?
    private var watch: QueueWatch?
    private var handler: (PartitionEvent) -> Void = { _ in }
    /// Records below it are not delivered: librdkafka reads some again where a partition beside this one is repositioned.
    private let floor: Atomic<Int64>

    /// Takes ownership of `queue`.
    init(_ partition: TopicPartition, queue: OpaquePointer, handle: ClientHandle, offset: Int64) {
        self.partition = partition
        self.queue = queue
        source = RecordSource(partition, handle)
        floor = Atomic(offset)
    }

    deinit {
        if let queue { rd_kafka_queue_destroy(queue) }
    }

    /// The offset after the last record drained; at first the assigned one.
    public var nextOffset: Int64 { floor.load(ordering: .relaxed) }

    /// Begins to watch, on the loop's thread. `.readable` comes when records have arrived in an empty queue and, as long
    /// as the last `drain` met its maximum, in every turn. An owner that does not drain is not told again: it drains by itself when
    /// it has room.
    public func start(on loop: EventLoop, handler: @escaping (PartitionEvent) -> Void) throws(KafkaError) {
        guard let queue else { return }
        self.queue = nil
        self.handler = handler
        watch = try QueueWatch(queue, of: source.handle, on: loop) { [unowned self] in self.handler(.readable) }
    }

    /// Takes up to `max` records, as long as there is room for them, and returns how many. Whatever `body` does not keep is freed when it
    /// returns; `body` may call `stop`.
    @discardableResult
    public func drain(
        max: Int, while hasRoom: () -> Bool = { true }, _ body: (consuming Record) -> Void
    ) -> Int {
        guard let watch else { return 0 }
        var taken = 0
        while taken < max, hasRoom(), self.watch != nil {
            guard let message = rd_kafka_consume_queue(watch.queue, 0) else { return taken }
            guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                report(message)
                continue
            }
            let offset = message.pointee.offset
            guard offset >= nextOffset else {
                rd_kafka_message_destroy(message)
                continue
            }
            floor.store(offset + 1, ordering: .relaxed)
            taken += 1
            body(Record(message, from: source))
        }
        watch.rearm()
        return taken
    }

    private func report(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        let code = KafkaError.Code(message.pointee.err)
        let error = KafkaError(code, rd_kafka_message_errstr(message).map { String(cString: $0) } ?? code.explanation)
        rd_kafka_message_destroy(message)
        handler(code == .offsetReset ? .offsetOutOfRange(error) : .failed(error))
    }

    /// Stops fetching. What waits in the queue is thrown away, and fetched again after `resume`: a cure for
    /// minutes, not for milliseconds (for those, do not drain).
    public func pause() {
        let list = PartitionList([partition])
        rd_kafka_pause_partitions(source.handle.pointer, list.pointer)
    }

    /// Goes on fetching at `nextOffset`.
    public func resume() {
        let list = PartitionList([partition])
        rd_kafka_resume_partitions(source.handle.pointer, list.pointer)
    }

    /// Ends the watching: the handler is not called again. Before the partition is unassigned, on the loop's thread.
    public func stop() {
        watch?.cancel()
        watch = nil
        handler = { _ in }
    }

    /// From the control loop. Where this is another one than the queue's, only while the partition is not being fetched.
    func reposition(to offset: Int64) { floor.store(offset, ordering: .relaxed) }
}
