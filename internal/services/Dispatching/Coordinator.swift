internal import EventLoops
internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import Settling

/// The dispatcher's membership in its consumer group: takes partitions over, hands them to workers, gives them back, commits.
/// Confined to the control loop's thread.
///
/// ```
/// assign ─► committed offsets ─► bounds of the logs ─► attempts since the notes ─► (first commit) ─► workers
/// revoke ─► workers let go ─► last commit ─► unassign
/// ```
/// Each assignment is an epoch; an answer that belongs to an earlier one is dropped.
///
/// `@unchecked Sendable` so that workers can hand it work through its loop.
final class Coordinator: @unchecked Sendable {
    private let settings: DispatchSettings
    private let loop: EventLoop
    private let log: Logger
    private let metrics: DispatcherMetrics
    private let workers: [Worker]
    private var attemptsReader: AttemptsReader!
    private var consumer: Consumer!
    private var epoch = 0
    private var owned: [TopicPartition] = []
    /// Of a stop: how long running requests may go on.
    private var stopGraceMs: UInt64?
    private let onReady: @Sendable (Bool) -> Void

    /// Between two tries of a step of the takeover.
    private static let retryMs: UInt64 = 500

    init(
        _ settings: DispatchSettings, workers: [Worker], loop: EventLoop, metrics: DispatcherMetrics, log: Logger,
        onReady: @escaping @Sendable (Bool) -> Void
    ) {
        self.settings = settings
        self.loop = loop
        self.log = log
        self.metrics = metrics
        self.workers = workers
        self.onReady = onReady
    }

    /// On the control loop: connects and joins the group.
    func begin(_ consumer: ConsumerConfiguration, _ reader: LogReaderConfiguration) throws {
        let reader = try LogReader(reader, on: loop) { [log] error in
            log.warning("the reader of attempts reports an error", metadata: ["error": "\(error)"])
        }
        attemptsReader = AttemptsReader(topic: settings.topicAttempts, reader: reader, log: log)
        self.consumer = try Consumer(consumer, on: loop) { [unowned self] event in handle(event) }
        try self.consumer.subscribe(settings.topicsEvents + [settings.topicDeliveries])
    }

    /// What a worker calls from its own thread.
    func events(onHealth: @escaping (Bool) -> Void) -> WorkerEvents {
        WorkerEvents(
            commit: { [self] points in loop.execute { [self] in commit(points) } },
            slept: { [self] worker, points in loop.execute { [self] in confirm(worker, points) } },
            outOfRange: { [self] worker, name in loop.execute { [self] in reposition(worker, name) } },
            healthChanged: onHealth)
    }

    private func handle(_ event: ConsumerEvent) {
        switch event {
        case .assign(let partitions):
            epoch += 1
            owned = partitions
            log.info("partitions were assigned", metadata: ["count": "\(partitions.count)", "epoch": "\(epoch)"])
            readCommitted(Takeover(epoch: epoch, partitions: partitions))
        case .revoke(let partitions, let lost):
            epoch += 1
            onReady(false)
            log.info("partitions are revoked", metadata: ["count": "\(partitions.count)", "lost": "\(lost)"])
            giveBack(lost: lost) { [self] in unassign() }
        case .failed(let error):
            log.warning("the consumer reports an error", metadata: ["error": "\(error)", "fatal": "\(error.isFatal)"])
        }
    }

    private func unassign() {
        do { try consumer.unassign() } catch {
            log.warning("partitions cannot be unassigned", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Taking over

    /// What has been learned on the way; a value, so that a later epoch cannot be mixed up with it.
    private struct Takeover {
        var epoch: Int
        var partitions: [TopicPartition]
        var committed: [TopicPartition: OffsetCommit] = [:]
        var resumes: [TopicPartition: Resume] = [:]
    }

    private func isCurrent(_ takeover: Takeover) -> Bool { takeover.epoch == epoch }

    private func retry(_ takeover: Takeover, after error: KafkaError, _ step: @escaping (Takeover) -> Void) {
        log.warning("taking partitions over is delayed", metadata: ["error": "\(error)"])
        loop.after(milliseconds: Self.retryMs) { [weak self] in
            if self?.isCurrent(takeover) == true { step(takeover) }
        }
    }

    private func readCommitted(_ takeover: Takeover) {
        guard !takeover.partitions.isEmpty else { return assign(takeover, [:]) }
        consumer.committed(takeover.partitions) { [self] result in
            guard isCurrent(takeover) else { return }
            switch result {
            case .failure(let error): retry(takeover, after: error) { [self] in readCommitted($0) }
            case .success(let committed):
                var next = takeover
                next.committed = committed
                readBounds(next)
            }
        }
    }

    private func attempts(_ partition: TopicPartition) -> TopicPartition {
        TopicPartition(settings.topicAttempts, partition.partition)
    }

    private func readBounds(_ takeover: Takeover) {
        let changelogs = Set(takeover.partitions.map(attempts))
        consumer.watermarks(takeover.partitions + changelogs) { [self] result in
            guard isCurrent(takeover) else { return }
            switch result {
            case .failure(let error): retry(takeover, after: error) { [self] in readBounds($0) }
            case .success(let bounds): readAttempts(plan(takeover, bounds))
            }
        }
    }

    private func plan(_ takeover: Takeover, _ bounds: [TopicPartition: Watermarks]) -> Takeover {
        var takeover = takeover
        for name in takeover.partitions {
            guard let source = bounds[name], let changelog = bounds[attempts(name)] else { continue }
            let committed = takeover.committed[name].map { ($0.offset, $0.metadata) }
            let resume = Resume(
                committed: committed, source: .init(start: source.low, end: source.high),
                attempts: .init(start: changelog.low, end: changelog.high))
            note(resume, name)
            takeover.resumes[name] = resume
        }
        return takeover
    }

    private func note(_ resume: Resume, _ name: TopicPartition) {
        if resume.lost > 0 {
            metrics.lost.increment(by: Int(resume.lost))
            log.error(
                "retention took records before they were read",
                metadata: ["partition": "\(name)", "records": "\(resume.lost)"])
        }
        if resume.sourceRestarted {
            log.error(
                "the committed offset lies above the log's end: the topic was made anew",
                metadata: ["partition": "\(name)"])
        }
    }

    private func readAttempts(_ takeover: Takeover) {
        var ranges: [Int32: Range<Int64>] = [:]
        for (name, resume) in takeover.resumes where resume.note < resume.attemptsEnd {
            let start = min(resume.note, ranges[name.partition]?.lowerBound ?? .max)
            ranges[name.partition] = start..<resume.attemptsEnd
        }
        let memories = takeover.resumes.map { name, resume in
            SourceMemory(topic: name.topic, partition: name.partition, committed: resume.offset)
        }
        let names = Array(takeover.resumes.keys)
        attemptsReader.read(ranges, memories: memories) { [self] result in
            guard isCurrent(takeover) else { return }
            switch result {
            case .failure(let error): retry(takeover, after: error) { [self] in readAttempts($0) }
            case .success(let memories): assign(takeover, Dictionary(zip(names, memories)) { first, _ in first })
            }
        }
    }

    private func assign(_ takeover: Takeover, _ memories: [TopicPartition: SourceMemory]) {
        do {
            let positions = takeover.resumes.map { PartitionPosition($0.key, offset: $0.value.offset) }
            let queues = try consumer.assign(positions)
            commitFirst(takeover) { [self] in hand(queues, takeover, memories) }
        } catch {
            retry(takeover, after: error) { [self] in assign($0, memories) }
        }
    }

    /// Offset and note, where none were committed, before the first request.
    private func commitFirst(_ takeover: Takeover, then next: @escaping () -> Void) {
        let first = takeover.resumes.filter(\.value.commitsFirst).map { name, resume in
            let point = CommitPoint(offset: resume.offset, note: resume.note)
            return OffsetCommit(name, offset: point.offset, metadata: point.metadata)
        }
        consumer.commit(first) { [self] failures in
            guard isCurrent(takeover) else { return }
            guard let error = failures.values.first else { return next() }
            retry(takeover, after: error) { [self] in commitFirst($0, then: next) }
        }
    }

    private func worker(_ partition: Int32) -> Worker { workers[Int(partition) % workers.count] }

    private func hand(
        _ queues: [PartitionQueue], _ takeover: Takeover, _ memories: [TopicPartition: SourceMemory]
    ) {
        for queue in queues {
            guard let resume = takeover.resumes[queue.partition], let memory = memories[queue.partition] else {
                continue
            }
            let settlement = PartitionSettlement(offset: resume.offset, note: resume.note, memory: memory)
            let worker = worker(queue.partition.partition)
            worker.loop.execute { worker.own(queue, settlement: settlement, attemptsEnd: resume.attemptsEnd) }
        }
        metrics.assigned.set(queues.count)
        onReady(true)
    }

    // MARK: Giving back

    private func giveBack(lost: Bool, then done: @escaping () -> Void) {
        let names = owned
        owned = []
        metrics.assigned.set(0)
        let grace = stopGraceMs ?? DispatchSettings.revokeGraceMs
        var left = workers.count
        var points: [OffsetCommit] = []
        let finished = Confined { [self] (more: [OffsetCommit]) in
            points += more
            left -= 1
            guard left == 0 else { return }
            commitLast(lost ? [] : points, then: done)
        }
        for worker in workers {
            let mine = names.filter { self.worker($0.partition) === worker }
            worker.loop.execute { [loop] in
                worker.release(mine, isLost: lost, graceMs: grace) { points in loop.execute { finished.value(points) } }
            }
        }
    }

    private func commitLast(_ points: [OffsetCommit], then done: @escaping () -> Void) {
        consumer.commit(points) { [self] failures in
            if let failure = failures.first {
                log.warning(
                    "the last commit of a partition failed; its outcomes will be read again",
                    metadata: ["partition": "\(failure.key)", "error": "\(failure.value)"])
            }
            done()
        }
    }

    /// Lets running requests end within their own timeouts, commits, leaves the group.
    func stop(graceMs: UInt64, completion: @escaping () -> Void) {
        stopGraceMs = graceMs
        epoch += 1
        onReady(false)
        giveBack(lost: false) { [self] in
            attemptsReader.close()
            consumer.close(completion: completion)
        }
    }

    // MARK: What workers ask for

    func commit(_ points: [OffsetCommit]) {
        let current = points.filter { owned.contains($0.partition) }
        consumer.commit(current) { [self] failures in
            metrics.commits.increment()
            guard let failure = failures.first else { return }
            metrics.commitFailures.increment()
            log.warning(
                "a commit failed", metadata: ["partition": "\(failure.key)", "error": "\(failure.value)"])
            for name in failures.keys {
                let worker = worker(name.partition)
                worker.loop.execute { worker.commitFailed(name) }
            }
        }
    }

    /// A worker slept: whether this member still owns its partitions shows in a commit.
    func confirm(_ worker: Worker, _ points: [OffsetCommit]) {
        let epochThen = epoch
        consumer.commit(points) { [self] failures in
            guard epochThen == epoch else { return }
            guard let error = failures.values.first else {
                log.info("the assignment is confirmed")
                worker.loop.execute { worker.isConfirmed = true }
                return
            }
            log.warning("the assignment could not be confirmed", metadata: ["error": "\(error)"])
            loop.after(milliseconds: Self.retryMs) { [weak self] in
                if self?.epoch == epochThen { self?.confirm(worker, points) }
            }
        }
    }

    /// The position lies outside the log: below it, retention was faster; above it, the topic was made anew.
    /// A partition may say so twice, for repositioning another begins to read this one again: what counts is where the consumer reads now.
    func reposition(_ worker: Worker, _ name: TopicPartition) {
        let epochThen = epoch
        consumer.watermarks([name]) { [self] result in
            guard epochThen == epoch else { return }
            guard let position = consumer.position(of: name) else { return }
            guard case .success(let bounds) = result, let log = bounds[name] else {
                loop.after(milliseconds: Self.retryMs) { [weak self] in
                    if self?.epoch == epochThen { self?.reposition(worker, name) }
                }
                return
            }
            let resume = Resume(
                committed: (position, "1:0"), source: .init(start: log.low, end: log.high),
                attempts: .init(start: 0, end: 0))
            note(resume, name)
            worker.loop.execute {
                resume.sourceRestarted ? worker.restart(name, at: resume.offset) : worker.skip(name, to: resume.offset)
            }
            do { try consumer.reposition(name, to: resume.offset) } catch {
                self.log.error(
                    "a partition cannot be repositioned", metadata: ["partition": "\(name)", "error": "\(error)"])
            }
        }
    }
}

/// A closure that never leaves the control loop's thread, though it travels through another thread's hands.
/// `@unchecked Sendable`: only that thread calls it.
struct Confined<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
