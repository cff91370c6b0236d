internal import CLinux
internal import EventLoops
internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import Redis
internal import Scheduling
internal import ServiceSupport

/// The retry-manager's thread: its membership in the consumer group, its connections, and the partitions it owns. Confined to its
/// loop's thread, and everything it holds with it.
///
/// ```
/// assign ─► each partition opens its index ─► all of them seek ─► records, claims, flights
/// revoke ─► nothing more is claimed, flights come to their end ─► unassign
/// ```
/// `@unchecked Sendable` so that the service can hand it work through its loop.
final class RetryLoop: @unchecked Sendable {
    let options: RetryManagerOptions
    let loop: EventLoop
    let log: Logger
    let metrics: RetryMetrics
    let redis: RedisConnection
    private(set) var reader: LogReader!
    private(set) var retries: ProducerTopic!
    private(set) var deliveries: ProducerTopic!
    private var consumer: Consumer!
    private var producer: Producer!
    private var partitions: [TopicPartition: RetryPartition] = [:]
    /// Where partitions that have opened their index shall be read from; assigned once all have.
    private var seeks: [TopicPartition: Int64] = [:]
    private var isAssigned = false
    private var starving: [RetryPartition] = []
    private var writes = WriteTable()
    private var complaints: [String: UInt64] = [:]
    /// Bytes of payloads of all partitions.
    var held = 0 { didSet { metrics.heldBytes.set(held) } }
    let onChange: @Sendable (RetryLoopState) -> Void
    private var state = RetryLoopState()

    init(
        _ options: RetryManagerOptions, loop: EventLoop, redis: RedisConfiguration, metrics: RetryMetrics, log: Logger,
        onChange: @escaping @Sendable (RetryLoopState) -> Void
    ) {
        self.options = options
        self.loop = loop
        self.metrics = metrics
        self.log = log
        self.onChange = onChange
        self.redis = RedisConnection(loop: loop, configuration: redis) { event in
            log.info("redis", metadata: ["event": "\(event)"])
        }
    }

    /// How many more deliveries may be in flight. What a partition asks Redis for is taken into account before the answer, so that two
    /// that ask at the same time do not get a batch each.
    var room: Int { options.batch - partitions.values.reduce(0) { $0 + $1.owner.inFlight + $1.owner.claiming } }

    /// Partitions that have something due and found no room for it are next where there is some, before the one that made it.
    func starves(_ partition: RetryPartition) {
        if !starving.contains(where: { $0 === partition }) { starving.append(partition) }
    }

    func feed() {
        guard !starving.isEmpty, room > 0 else { return }
        let waiting = starving
        starving = []
        for partition in waiting { partition.pump() }
    }

    /// On the loop's thread: connects, and joins the group.
    func begin(
        _ consumer: ConsumerConfiguration, _ producer: ProducerConfiguration, _ reader: LogReaderConfiguration
    ) throws {
        redis.connect()
        self.reader = try LogReader(reader, on: loop) { [log] error in
            log.warning("the reader of retries reports an error", metadata: ["error": "\(error)"])
        }
        self.producer = try Producer(
            producer, on: loop,
            handlers: ProducerHandlers(
                report: { [unowned self] token, report in reported(token, report) },
                healthChanged: { [unowned self] isHealthy in change { $0.canProduce = isHealthy } },
                failed: { [log] error in log.warning("the producer reports an error", metadata: ["error": "\(error)"]) }
            ))
        retries = try self.producer.topic(options.topicRetries)
        deliveries = try self.producer.topic(options.topicDeliveries)
        self.consumer = try Consumer(consumer, on: loop) { [unowned self] event in handle(event) }
        try self.consumer.subscribe([options.topicRetries])
        tick()
    }

    private func change(_ body: (inout RetryLoopState) -> Void) {
        body(&state)
        onChange(state)
    }

    /// What happens over and over is said once in ten seconds.
    func complain(_ message: String, _ partition: TopicPartition, _ reason: String) {
        guard loop.now >= complaints[message] ?? 0 else { return }
        complaints[message] = loop.now + 10_000_000_000
        log.warning("\(message)", metadata: ["partition": "\(partition)", "error": "\(reason)"])
    }

    // MARK: The group

    private func handle(_ event: ConsumerEvent) {
        switch event {
        case .assign(let names): assign(names)
        case .revoke(_, let lost): giveBack(lost: lost) { [self] in unassign() }
        case .failed(let error):
            log.warning("the consumer reports an error", metadata: ["error": "\(error)", "fatal": "\(error.isFatal)"])
        }
    }

    private func assign(_ names: [TopicPartition]) {
        log.info("partitions were assigned", metadata: ["count": "\(names.count)"])
        isAssigned = false
        seeks = [:]
        partitions = Dictionary(uniqueKeysWithValues: names.map { ($0, RetryPartition($0, self)) })
        metrics.partitions.set(names.count)
        if names.isEmpty { assignConsumer() }
        for partition in partitions.values { partition.pump() }
    }

    /// The first positions are assigned together: each later one interrupts all.
    func seek(_ partition: RetryPartition, to position: Int64) {
        guard isAssigned else {
            seeks[partition.name] = position
            if seeks.count == partitions.count { assignConsumer() }
            return
        }
        do { try consumer.reposition(partition.name, to: position) } catch {
            loop.after(milliseconds: RetryManagerOptions.retryDelayMs) { [weak partition] in
                partition?.failed("\(error)")
            }
        }
    }

    private func assignConsumer() {
        do {
            let queues = try consumer.assign(seeks.map { PartitionPosition($0.key, offset: $0.value) })
            isAssigned = true
            for queue in queues { partitions[queue.partition]?.begin(queue) }
            change { $0.isAssigned = true }
        } catch {
            log.warning("partitions cannot be assigned", metadata: ["error": "\(error)"])
            loop.after(milliseconds: 500) { [weak self] in
                guard let self, !isAssigned, seeks.count == partitions.count else { return }
                assignConsumer()
            }
        }
    }

    private func unassign() {
        do { try consumer.unassign() } catch {
            log.warning("partitions cannot be unassigned", metadata: ["error": "\(error)"])
        }
    }

    /// Lets flights come to their end, for a while, and lets go of everything.
    private func giveBack(lost: Bool, then done: @escaping () -> Void) {
        change { $0.isAssigned = false }
        for partition in partitions.values {
            partition.owner.drain()
            partition.pump()
        }
        let deadline = loop.now + (lost ? 0 : RetryManagerOptions.drainMs * 1_000_000)
        func check() {
            let left = options.batch - room
            guard left > 0, loop.now < deadline else {
                if left > 0 {
                    log.info(
                        "partitions were given back with deliveries in flight: they may be fired again",
                        metadata: ["deliveries": "\(left)"])
                }
                for partition in partitions.values { partition.close() }
                partitions = [:]
                starving = []
                isAssigned = false
                metrics.partitions.set(0)
                return done()
            }
            loop.after(milliseconds: 10) { check() }
        }
        check()
    }

    /// Only a commit that the group accepts proves that a partition is still ours.
    func confirm(_ partition: RetryPartition) {
        consumer.commit([OffsetCommit(partition.name, offset: partition.owner.position)]) { [weak self] failures in
            guard let self, partitions[partition.name] === partition else { return }
            guard let error = failures.values.first else { return partition.confirmed(true) }
            if error.isFatal || error.code == .unknownMember || error.code == .illegalGeneration {
                partition.confirmed(false)
            } else {
                partition.failed("\(error)")
            }
        }
    }

    /// The position lies outside the log: what is gone below is gone; a log that ends before it was made anew.
    func reposition(_ partition: RetryPartition) {
        consumer.watermarks([partition.name]) { [weak self] result in
            guard let self, partitions[partition.name] === partition else { return }
            guard case .success(let bounds) = result, let log = bounds[partition.name] else {
                loop.after(milliseconds: 500) { [weak self] in self?.reposition(partition) }
                return
            }
            if partition.owner.position < log.low {
                seek(partition, to: log.low)
            } else {
                partition.failed("the index lies beyond the log's end")
            }
        }
    }

    // MARK: Writing

    /// Until Kafka has it: what it did not take is written again, as long as the partition is ours.
    func write(
        _ purpose: RetryWrite.Purpose, to topic: ProducerTopic, _ partition: Int32, key: String, value: [UInt8]?,
        headers: RecordHeaders = .none
    ) {
        write(
            RetryWrite(purpose: purpose, topic: topic, partition: partition, key: key, value: value, headers: headers))
    }

    private func write(_ write: RetryWrite) {
        guard !write.partitionIsClosed else { return }
        let token = writes.insert(write)
        var key = write.key
        let result = key.withUTF8 { key in
            func produce(_ value: UnsafeRawBufferPointer?) -> ProduceResult {
                producer.produce(
                    to: write.topic, partition: write.partition, key: UnsafeRawBufferPointer(key), value: value,
                    headers: write.headers, token: token)
            }
            return write.value.map { value in value.withUnsafeBytes { produce($0) } } ?? produce(nil)
        }
        switch result {
        case .queued: break
        case .queueFull, .failed: again(token, "\(result)")
        case .tooLarge: lost(token)
        }
    }

    private func again(_ token: UInt64, _ reason: String) {
        guard let write = writes.remove(token), !write.partitionIsClosed else { return }
        metrics.rewrites.increment()
        complain("Kafka did not take a record; it is written again", TopicPartition("", write.partition), reason)
        if case .fence(let owner) = write.purpose { return owner.failed(reason) }
        loop.after(milliseconds: RetryManagerOptions.retryDelayMs) { [weak self] in self?.write(write) }
    }

    /// A payload that `retries` took and `deliveries` does not: its limit was lowered. The dispatcher closes it.
    private func lost(_ token: UInt64) {
        guard var write = writes.remove(token) else { return }
        log.error("a payload is too large for deliveries", metadata: ["key": "\(write.key)"])
        metrics.lost.increment()
        write.value = nil
        self.write(write)
    }

    private func reported(_ token: UInt64, _ report: DeliveryReport) {
        guard case .acknowledged(_, let offset) = report else { return again(token, "\(report)") }
        guard let write = writes.remove(token), !write.partitionIsClosed else { return }
        switch write.purpose {
        case .fence(let owner): owner.fenced(at: offset)
        case .owed(let owner): owner.owedRetired()
        case .flight(let owner, let id): owner.flightFired(id)
        case .tombstone(let owner, let id): owner.flightRetired(id)
        }
    }

    // MARK: Housekeeping

    /// Every second: payloads ahead of need, and figures.
    private func tick() {
        loop.after(milliseconds: RetryManagerOptions.aheadIntervalMs) { [weak self] in
            guard let self else { return }
            for partition in partitions.values { partition.readAhead() }
            count()
            change { $0.isCaughtUp = self.isAssigned && self.partitions.values.allSatisfy(\.owner.isCaughtUp) }
            tick()
        }
    }

    private func count() {
        metrics.inFlight.set(options.batch - room)
        var left = partitions.count
        metrics.lanes.set(partitions.values.reduce(0) { $0 + $1.owner.laneCount })
        guard left > 0 else { return metrics.set(IndexCommands.Counts()) }
        var sum = IndexCommands.Counts()
        for partition in partitions.values {
            partition.commands.counts(nowMs: clinux_realtime_ms()) { [metrics] result in
                if case .success(let counts) = result {
                    sum.pending += counts.pending
                    sum.due += counts.due
                    sum.parked += counts.parked
                }
                left -= 1
                if left == 0 { metrics.set(sum) }
            }
        }
    }

    /// Gives everything back, and leaves the group.
    func stop(completion: @escaping @Sendable () -> Void) {
        giveBack(lost: false) { [self] in
            consumer.close { [self] in
                reader.close()
                redis.close()
                producer.close(timeoutMilliseconds: 3_000, completion: completion)
            }
        }
    }
}

/// What `/ready` needs to know.
struct RetryLoopState: Equatable, Sendable {
    var isAssigned = false
    var isCaughtUp = false
    var canProduce = false
}
