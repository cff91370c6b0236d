internal import CKafka
internal import CLinux
internal import EventLoops
internal import Glibc

/// Watches one of librdkafka's queues from an event loop, through an eventfd that librdkafka writes to when the queue
/// stops being empty. Belongs to the loop's thread.
///
/// librdkafka writes once per empty → non-empty, and again only after the queue was read. So whoever leaves something in
/// the queue calls `rearm` to be called again next turn, or remembers to come back.
final class QueueWatch {
    let handle: ClientHandle
    let queue: OpaquePointer
    private let loop: EventLoop
    private let descriptor: Int32
    private var isWatching = true

    /// Takes ownership of `queue`. `onReadable` is called once at the start, for what is in the queue already.
    init(
        _ queue: OpaquePointer, of handle: ClientHandle, on loop: EventLoop, onReadable: @escaping () -> Void
    ) throws(KafkaError) {
        let descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        let errorNumber = errno
        guard descriptor >= 0 else {
            rd_kafka_queue_destroy(queue)
            throw KafkaError(.systemResource, "\(SystemError(call: "eventfd", code: errorNumber))")
        }
        self.handle = handle
        self.queue = queue
        self.loop = loop
        self.descriptor = descriptor
        var one: UInt64 = 1
        rd_kafka_queue_io_event_enable(queue, descriptor, &one, MemoryLayout<UInt64>.size)
        do {
            try loop.watch(descriptor, for: .readable) { _ in
                var count: UInt64 = 0
                _ = read(descriptor, &count, MemoryLayout<UInt64>.size)
                onReadable()
            }
        } catch {
            isWatching = false
            rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
            throw KafkaError(.systemResource, "\(error)")
        }
        rearm()
    }

    deinit {
        cancel()
        rd_kafka_queue_destroy(queue)
        close(descriptor)
    }

    /// Calls the handler again in the next turn.
    func rearm() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Ends the watching; the handler is not called again.
    func cancel() {
        guard isWatching else { return }
        isWatching = false
        rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
        loop.unwatch(descriptor)
    }

    /// Takes up to `limit` events out of the queue, and comes back next turn if that was not all.
    func drainEvents(limit: Int = 256, _ body: (OpaquePointer) -> Void) {
        for _ in 0..<limit {
            guard let event = rd_kafka_queue_poll(queue, 0) else { return }
            body(event)
            rd_kafka_event_destroy(event)
        }
        rearm()
    }
}
