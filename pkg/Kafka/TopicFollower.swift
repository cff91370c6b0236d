internal import CKafka
public import EventLoops

/// Reads all partitions of a topic from their start or their end, says when it has reached the end that they had when it began,
/// and goes on with what is written from then on: for tables that live in a compacted topic, and for looking on. No group, no
/// commits. Confined to its loop's thread.
public final class TopicFollower {
    public enum Event: Equatable, Sendable {
        /// Everything that was in the topic at the start has been handed over. Once for each beginning.
        case caughtUp
        /// The log was truncated or made anew: forget everything, the reading begins again.
        case restarted(KafkaError)
        /// For the log; it goes on trying.
        case failed(KafkaError)
    }

    /// Where the reading begins. Where it has to begin again, that is the beginning.
    public enum Start: Sendable {
        case beginning
        /// What is written from now on: nothing of what is there.
        case end
    }

    private static let retryMilliseconds: UInt64 = 1_000
    private static let queryTimeoutMilliseconds: Int32 = 10_000

    private let topic: String
    private var start: Start
    private let loop: EventLoop
    private let handle: ClientHandle
    private let onRecord: (borrowing Record) -> Void
    private let onEvent: (Event) -> Void
    private var watch: QueueWatch?
    private var readings: [PartitionReading] = []
    /// For each partition still to be caught up with, the offset to reach.
    private var goals: [Int32: Int64] = [:]
    private var isStopped = false

    /// Begins at once. `record` gets each record, in order within its partition, and must not keep it.
    public init(
        _ configuration: LogReaderConfiguration, topic: String, from start: Start = .beginning, on loop: EventLoop,
        record: @escaping (borrowing Record) -> Void, event: @escaping (Event) -> Void
    ) throws(KafkaError) {
        self.topic = topic
        self.start = start
        self.loop = loop
        onRecord = record
        onEvent = event
        handle = try ClientHandle(
            configuration.properties, client: configuration.client, events: RD_KAFKA_EVENT_ERROR)
        watch = try handle.watchMainQueue(on: loop) { error in event(.failed(error)) }
        begin()
    }

    /// Ends it; no handler is called again.
    public func stop() {
        isStopped = true
        stopReadings()
        watch?.cancel()
        watch = nil
    }

    private func stopReadings() {
        for reading in readings { reading.stop() }
        readings = []
        goals = [:]
    }

    private func begin() {
        let confined = Confined(WeakBox(self))
        handle.onOwnThread { [loop, topic] client in
            let result = Self.lookUp(client, topic)
            loop.execute { confined.value.object?.learned(result) }
        }
    }

    private static func lookUp(
        _ client: OpaquePointer, _ topic: String
    ) -> Result<[TopicPartition: Watermarks], KafkaError> {
        do throws(KafkaError) {
            guard let description = try describeTopic(client, topic, queryTimeoutMilliseconds) else {
                throw KafkaError(.unknownTopic, "topic \(topic) does not exist")
            }
            let partitions = (0..<Int32(description.partitions)).map { TopicPartition(topic, $0) }
            return queryWatermarks(client, partitions, queryTimeoutMilliseconds)
        } catch {
            return .failure(error)
        }
    }

    private func learned(_ result: Result<[TopicPartition: Watermarks], KafkaError>) {
        guard !isStopped else { return }
        do throws(KafkaError) {
            let bounds = try result.get()
            for (partition, bounds) in bounds {
                let from = start == .end ? bounds.high : bounds.low
                if from < bounds.high { goals[partition.partition] = bounds.high }
                readings.append(try read(partition, from: from))
            }
            if goals.isEmpty { onEvent(.caughtUp) }
        } catch {
            stopReadings()
            onEvent(.failed(error))
            loop.after(milliseconds: Self.retryMilliseconds) { [weak self] in
                guard let self, !isStopped else { return }
                begin()
            }
        }
    }

    private func read(_ partition: TopicPartition, from offset: Int64) throws(KafkaError) -> PartitionReading {
        try PartitionReading(
            partition, from: offset, of: handle, on: loop,
            onRecord: { [unowned self] record in
                onRecord(record)
                reached(record.offset + 1, in: partition.partition)
            },
            onEvent: { [unowned self] event in
                switch event {
                case .end(let offset): reached(offset, in: partition.partition)
                case .failed(let error): onEvent(.failed(error))
                case .outOfRange(let error): restart(because: error)
                }
            })
    }

    private func reached(_ offset: Int64, in partition: Int32) {
        guard let goal = goals[partition], offset >= goal else { return }
        goals[partition] = nil
        if goals.isEmpty { onEvent(.caughtUp) }
    }

    private func restart(because error: KafkaError) {
        stopReadings()
        start = .beginning
        onEvent(.restarted(error))
        if !isStopped { begin() }
    }
}
