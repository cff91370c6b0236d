import EventLoops
import Synchronization
import TestSupport
import Testing

@testable import Kafka

/// A record's content, copied.
struct Copied: Equatable, Sendable {
    var partition: TopicPartition
    var offset: Int64
    var key: String?
    var value: String?
    var headers: [String: String?]

    init(_ record: borrowing Record) {
        func text(_ bytes: UnsafeRawBufferPointer?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
        partition = record.topicPartition
        offset = record.offset
        key = text(record.key)
        value = text(record.value)
        var found: [String: String?] = [:]
        record.forEachHeader { name, value in found[String(decoding: name, as: UTF8.self)] = .some(text(value)) }
        headers = found
    }
}

/// A group member with a control loop and a worker loop, that starts each partition where it was committed, else at 0, and
/// remembers everything.
final class ConsumerProbe: Sendable {
    struct State {
        var assigned: [TopicPartition]?
        var assignments = 0
        var revocations: [Bool] = []
        var records: [Copied] = []
        var outOfRange: [TopicPartition] = []
        var errors: [KafkaError] = []
    }

    /// What lives on the control loop.
    final class Control {
        let loop: EventLoop
        let worker: EventLoopThread
        let box: Box
        let start: Int64
        var consumer: Consumer?
        var queues: [PartitionQueue] = []

        init(_ loop: EventLoop, _ worker: EventLoopThread, _ box: Box, start: Int64) {
            self.loop = loop
            self.worker = worker
            self.box = box
            self.start = start
        }

        func handle(_ event: ConsumerEvent) {
            switch event {
            case .assign(let partitions):
                consumer?.committed(partitions) { [self] result in
                    let committed = (try? result.get()) ?? [:]
                    assign(partitions.map { PartitionPosition($0, offset: committed[$0]?.offset ?? start) })
                }
            case .revoke(_, let lost):
                box.mutex.withLock {
                    $0.revocations.append(lost)
                    $0.assigned = nil
                }
                release()
            case .failed(let error): box.mutex.withLock { $0.errors.append(error) }
            }
        }

        private func assign(_ positions: [PartitionPosition]) {
            do {
                queues = try consumer?.assign(positions) ?? []
            } catch {
                box.mutex.withLock { $0.errors.append(error) }
            }
            let queues = queues
            worker.loop.execute { [worker, box] in
                for queue in queues { ConsumerProbe.start(queue, on: worker.loop, box) }
            }
            box.mutex.withLock {
                $0.assigned = positions.map(\.partition)
                $0.assignments += 1
            }
        }

        private func release() {
            let queues = queues
            self.queues = []
            let control = Confined(self)
            worker.loop.execute { [loop] in
                for queue in queues { queue.stop() }
                loop.execute {
                    do throws(KafkaError) { try control.value.consumer?.unassign() } catch {
                        control.value.box.mutex.withLock { $0.errors.append(error) }
                    }
                }
            }
        }
    }

    final class Box: Sendable {
        let mutex = Mutex(State())
    }

    let box = Box()
    let control: OnLoop<Control>
    let worker: EventLoopThread

    var state: State { box.mutex.withLock { $0 } }

    init(
        _ broker: KafkaBroker, group: String, topics: [String], start: Int64 = 0, instance: String? = nil
    ) async throws {
        let worker = try EventLoopThread()
        worker.start(name: "test-worker")
        self.worker = worker
        let client = broker.configuration()
        control = try await OnLoop { [box] loop in
            let control = Control(loop, worker, box, start: start)
            var configuration = ConsumerConfiguration(client, groupID: group, groupInstanceID: instance)
            configuration.fetchWaitMilliseconds = 10
            control.consumer = try Consumer(configuration, on: loop) { [unowned control] in control.handle($0) }
            try control.consumer?.subscribe(topics)
            return control
        }
    }

    private static func start(_ queue: PartitionQueue, on loop: EventLoop, _ box: Box) {
        do {
            try queue.start(on: loop) { [unowned queue] event in
                switch event {
                case .readable:
                    queue.drain(max: 7) { record in
                        let copied = Copied(record)
                        box.mutex.withLock { $0.records.append(copied) }
                    }
                case .offsetOutOfRange: box.mutex.withLock { $0.outOfRange.append(queue.partition) }
                case .failed(let error): box.mutex.withLock { $0.errors.append(error) }
                }
            }
        } catch {
            box.mutex.withLock { $0.errors.append(error) }
        }
    }

    func commit(_ offsets: [OffsetCommit]) async -> [TopicPartition: KafkaError] {
        await control.await { control, done in control.consumer?.commit(offsets, completion: done) }
    }

    func committed(_ partitions: [TopicPartition]) async throws -> [TopicPartition: OffsetCommit] {
        try await control.await { control, done in control.consumer?.committed(partitions, completion: done) }.get()
    }

    func watermarks(_ partitions: [TopicPartition]) async throws -> [TopicPartition: Watermarks] {
        try await control.await { control, done in control.consumer?.watermarks(partitions, completion: done) }.get()
    }

    func values(of partition: TopicPartition) -> [String] {
        state.records.filter { $0.partition == partition }.compactMap(\.value)
    }

    /// Leaves the group.
    func close() async {
        let _: Bool = await control.await { control, done in control.consumer?.close { done(true) } }
        await control.stop()
        await worker.stop()
    }
}
