internal import CKafka
public import EventLoops
internal import Glibc

/// What a group member is told, on its control loop.
public enum ConsumerEvent {
    /// The group gives this member exactly these partitions. Answer with `assign`, soon or (after reading committed offsets, say)
    /// later; heartbeats go on meanwhile.
    case assign([TopicPartition])
    /// The group takes all partitions. Stop the queues, settle and commit within the session, then answer with `unassign`.
    /// `lost`: they belong to others already, so committing is wrong.
    case revoke([TopicPartition], lost: Bool)
    /// For the log; after a fatal one (fenced by a twin with the same instance id, say) close and make a new consumer.
    case failed(KafkaError)
}

/// A member of a consumer group, with the range assignor: every rebalance takes all partitions from everybody first.
/// It belongs to its control loop's thread; the records come through `PartitionQueue`s, on other loops.
///
/// ```
/// subscribe ─► .assign ─► assign(positions) ─► PartitionQueue, PartitionQueue, …
///                ▲                                     │ group changes, or close
///                └──── unassign() ◄── .revoke ◄────────┘
/// ```
/// Nothing is committed but by `commit`, and a position outside the log is reported, not corrected.
public final class Consumer {
    private let handle: ClientHandle
    private let loop: EventLoop
    private let handler: (ConsumerEvent) -> Void
    private var watch: QueueWatch?
    private var queues: [PartitionQueue] = []
    private var commits: [UInt: ([TopicPartition: KafkaError]) -> Void] = [:]
    private var pendingCommits: [UInt: [TopicPartition]] = [:]
    private var commitsStarted: UInt = 0
    private var closing: [() -> Void] = []
    private var isClosed = false
    /// Where partitions are to be read from once the assignment is repeated.
    private var wanted: [TopicPartition: Int64] = [:]
    /// When an assignment last replaced another one.
    private var replaced: ContinuousClock.Instant?

    /// Replacing an assignment stops its partitions, and librdkafka aborts the process (an assertion in
    /// `rd_kafka_assignment_partition_stopped`, seen with 2.0.2) where that happens again before they have stopped: usually a
    /// matter of microseconds, of which it tells nothing.
    private static let settling = Duration.milliseconds(100)

    /// librdkafka gives a member up whose queue nobody polls for `max.poll.interval.ms`. An idle queue causes no events, so it
    /// is polled this often: a control loop that hangs stops doing so and loses its partitions, as it should.
    private static let pulseMilliseconds: UInt64 = 2_000

    /// Connects; joins the group only with `subscribe`. Throws where a property is wrong, naming it.
    public init(
        _ configuration: ConsumerConfiguration, on loop: EventLoop, handler: @escaping (ConsumerEvent) -> Void
    ) throws(KafkaError) {
        self.loop = loop
        self.handler = handler
        handle = try ClientHandle(
            configuration.properties, client: configuration.client,
            events: RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_ERROR)
        // A queue of our own, because closing forwards the consumer's queue to one that must be another.
        guard let events = rd_kafka_queue_new(handle.pointer) else {
            throw KafkaError(.systemResource, "cannot make a queue")
        }
        Self.forward(rd_kafka_queue_get_main(handle.pointer), to: events)
        Self.forward(rd_kafka_queue_get_consumer(handle.pointer), to: events)
        rd_kafka_set_log_queue(handle.pointer, events)
        watch = try QueueWatch(events, of: handle, on: loop) { [unowned self] in drain() }
        pulse()
    }

    private static func forward(_ source: OpaquePointer?, to queue: OpaquePointer) {
        guard let source else { return }
        rd_kafka_queue_forward(source, queue)
        rd_kafka_queue_destroy(source)
    }

    // MARK: Membership

    /// Joins the group for these topics.
    public func subscribe(_ topics: [String]) throws(KafkaError) {
        let list = PartitionList(topics.map { TopicPartition($0, -1) })
        if let error = KafkaError(ifError: rd_kafka_subscribe(handle.pointer, list.pointer), "subscribe") {
            throw error
        }
    }

    /// Answers `.assign`: fetching begins at these positions. Each queue waits to be `start`ed on a loop.
    public func assign(_ positions: [PartitionPosition]) throws(KafkaError) -> [PartitionQueue] {
        var made: [PartitionQueue] = []
        for position in positions {
            let name = position.partition
            guard let queue = rd_kafka_queue_get_partition(handle.pointer, name.topic, name.partition) else {
                throw KafkaError(.unknownTopic, "\(name) is not known")
            }
            // Before the assignment, so that no record takes the way to the control loop.
            rd_kafka_queue_forward(queue, nil)
            made.append(PartitionQueue(name, queue: queue, handle: handle, offset: position.offset))
        }
        settle()
        try assign(list: positions)
        queues = made
        return made
    }

    private func assign(list positions: [PartitionPosition]) throws(KafkaError) {
        let list = PartitionList(positions: positions)
        if let error = KafkaError(ifError: rd_kafka_assign(handle.pointer, list.pointer), "assign") { throw error }
    }

    /// Answers `.revoke`. The queues must have been stopped.
    public func unassign() throws(KafkaError) {
        queues = []
        settle()
        if let error = KafkaError(ifError: rd_kafka_assign(handle.pointer, nil), "unassign") { throw error }
    }

    /// Whether the group has taken the partitions away already. May stay false after the process slept through its session:
    /// only a confirmed commit proves that the assignment holds.
    public var isAssignmentLost: Bool { rd_kafka_assignment_lost(handle.pointer) != 0 }

    /// Where a partition reported `.offsetOutOfRange`, or is to be read again: reads it from `offset` on, in a moment; until then it
    /// delivers nothing.
    ///
    /// librdkafka cannot seek a partition that it stopped for this reason, so the whole assignment is repeated, the others
    /// at their present positions; what their queues prefetched is fetched again, and pauses end. Several at a time are one
    /// repetition.
    public func reposition(_ partition: TopicPartition, to offset: Int64) throws(KafkaError) {
        guard let queue = queues.first(where: { $0.partition == partition }) else {
            throw KafkaError(.wrongState, "\(partition) is not assigned")
        }
        queue.reposition(to: .max)
        wanted[partition] = offset
        if wanted.count == 1 { repeatAssignment(in: max(.milliseconds(5), unsettled)) }
    }

    private func repeatAssignment(in delay: Duration) {
        loop.after(milliseconds: UInt64(delay / .milliseconds(1)) + 1) { [weak self] in
            guard let self, !wanted.isEmpty, !isClosed else { return }
            do throws(KafkaError) {
                try assign(
                    list: queues.map { queue in
                        PartitionPosition(queue.partition, offset: wanted[queue.partition] ?? queue.nextOffset)
                    })
                for queue in queues { wanted[queue.partition].map { queue.reposition(to: $0) } }
                wanted = [:]
                replaced = .now
            } catch {
                handler(.failed(error))
                repeatAssignment(in: .milliseconds(500))
            }
        }
    }

    /// How long the partitions of an assignment that was replaced may take to stop.
    private var unsettled: Duration { replaced.map { max(.zero, Self.settling - (.now - $0)) } ?? .zero }

    /// Before the assignment ends: what was to be repeated is not, and what was just repeated is waited for, blocking.
    private func settle() {
        wanted = [:]
        usleep(UInt32(unsettled / .microseconds(1)))
        replaced = nil
    }

    /// The offset of the record that an assigned partition reads next; nil where it is not assigned.
    public func position(of partition: TopicPartition) -> Int64? {
        wanted[partition] ?? queues.first { $0.partition == partition }?.nextOffset
    }

    // MARK: Offsets

    /// Commits offsets with their metadata. `completion` gets the partitions that failed and why: none, if all is well. It is
    /// proof that this member still is in the group, `.unknownMember` or `.illegalGeneration` that it is not.
    public func commit(_ offsets: [OffsetCommit], completion: @escaping ([TopicPartition: KafkaError]) -> Void) {
        guard !offsets.isEmpty, let watch else { return completion([:]) }
        commitsStarted += 1
        let list = PartitionList(commits: offsets)
        commits[commitsStarted] = completion
        pendingCommits[commitsStarted] = offsets.map(\.partition)
        let code = ckafka_commit(handle.pointer, list.pointer, watch.queue, commitsStarted)
        if let error = KafkaError(ifError: code, "commit") { finishCommit(commitsStarted, error, nil) }
    }

    private func finishCommit(
        _ token: UInt, _ error: KafkaError?, _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
    ) {
        guard let completion = commits.removeValue(forKey: token) else { return }
        let partitions = pendingCommits.removeValue(forKey: token) ?? []
        var failures: [TopicPartition: KafkaError] = [:]
        for entry in list?.entries ?? UnsafeBufferPointer(start: nil, count: 0) {
            if let error = KafkaError(ifError: entry.err) { failures[entry.name] = error }
        }
        if let error, failures.isEmpty { for partition in partitions { failures[partition] = error } }
        completion(failures)
    }

    /// Reads the group's committed offsets and metadata; partitions without any are left out. On a thread of its own.
    public func committed(
        _ partitions: [TopicPartition], timeoutMilliseconds: Int32 = 5_000,
        completion: @escaping (Result<[TopicPartition: OffsetCommit], KafkaError>) -> Void
    ) {
        let completion = Confined(completion)
        handle.onOwnThread { [loop] client in
            let result = queryCommitted(client, partitions, timeoutMilliseconds)
            loop.execute { completion.value(result) }
        }
    }

    /// Asks the brokers for the bounds of the partitions' logs. On a thread of its own.
    public func watermarks(
        _ partitions: [TopicPartition], timeoutMilliseconds: Int32 = 5_000,
        completion: @escaping (Result<[TopicPartition: Watermarks], KafkaError>) -> Void
    ) {
        let completion = Confined(completion)
        handle.onOwnThread { [loop] client in
            let result = queryWatermarks(client, partitions, timeoutMilliseconds)
            loop.execute { completion.value(result) }
        }
    }

    // MARK: Events

    private func pulse() {
        loop.after(milliseconds: Self.pulseMilliseconds) { [weak self] in
            guard let self, !isClosed else { return }
            drain()
            pulse()
        }
    }

    private func drain() {
        watch?.drainEvents { event in process(event) }
        if !closing.isEmpty, rd_kafka_consumer_closed(handle.pointer) != 0 { finishClosing() }
    }

    private func process(_ event: OpaquePointer) {
        switch rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_REBALANCE: rebalance(event)
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
            let error = KafkaError(ifError: rd_kafka_event_error(event))
            finishCommit(ckafka_event_token(event), error, rd_kafka_event_topic_partition_list(event))
        case RD_KAFKA_EVENT_LOG: handle.write(logEvent: event)
        case RD_KAFKA_EVENT_ERROR:
            let error = KafkaError(event: event)
            handler(.failed(error.isFatal ? handle.fatalError ?? error : error))
        default: break
        }
    }

    private func rebalance(_ event: OpaquePointer) {
        let partitions = rd_kafka_event_topic_partition_list(event)?.partitions ?? []
        switch rd_kafka_event_error(event) {
        case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS: handler(.assign(partitions))
        case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS: handler(.revoke(partitions, lost: isAssignmentLost))
        default:
            // Nothing was decided: the protocol asks for an empty assignment all the same.
            handler(.failed(KafkaError(event: event)))
            rd_kafka_assign(handle.pointer, nil)
        }
    }

    // MARK: Ending

    /// Leaves the group (a static member just goes) and calls `completion`. Assigned partitions are revoked first, in the usual way:
    /// the handler must answer.
    public func close(completion: @escaping () -> Void) {
        guard !isClosed, let watch else { return completion() }
        closing.append(completion)
        guard closing.count == 1 else { return }
        guard let error = rd_kafka_consumer_close_queue(handle.pointer, watch.queue) else { return watch.rearm() }
        // A fatal error came first: there is no membership left to end.
        rd_kafka_error_destroy(error)
        finishClosing()
    }

    private func finishClosing() {
        isClosed = true
        queues = []
        watch = nil
        let unanswered = commits.keys.sorted()
        for token in unanswered { finishCommit(token, KafkaError(.closed, "the consumer was closed"), nil) }
        let completions = closing
        closing = []
        for completion in completions { completion() }
    }
}

extension ConsumerConfiguration {
    var properties: ClientProperties {
        var properties = ClientProperties(client, RD_KAFKA_CONSUMER)
        properties.fix("group.id", groupID)
        if let groupInstanceID { properties.fix("group.instance.id", groupInstanceID) }
        properties.fix("partition.assignment.strategy", "range")
        properties.fix("enable.auto.commit", "false")
        properties.fix("enable.auto.offset.store", "false")
        properties.fix("auto.offset.reset", "error")
        properties.set("session.timeout.ms", sessionTimeoutMilliseconds)
        properties.set("heartbeat.interval.ms", max(100, sessionTimeoutMilliseconds / 6))
        properties.set("max.poll.interval.ms", maxPollIntervalMilliseconds)
        properties.set("fetch.wait.max.ms", fetchWaitMilliseconds)
        properties.set("fetch.min.bytes", fetchMinBytes)
        properties.set("queued.max.messages.kbytes", queuedMaxKilobytes)
        // Where the prefetch queue is full the fetcher waits; 1 s on versions that do not know this.
        properties.setIfKnown("fetch.queue.backoff.ms", 20)
        properties.set("isolation.level", isolationLevel.rawValue)
        return properties
    }
}
