internal import EventLoops
internal import Kafka
internal import Logs
internal import Metrics
internal import ServiceSupport

/// The membership in the consumer group of `attempts`: takes partitions over at the positions that the database holds and moves their records to
/// the inbox. Confined to its loop's thread.
///
/// ```
/// assigned ─► bounds of the logs ─► positions ─► reading ─► inbox
///    ▲                                              │ conflict, or outside the log
///    └────────── is the membership still good? ◄────┘
/// revoked ─► the writer finishes ─► unassign
/// ```
/// Each takeover is an epoch; what belongs to an earlier one is dropped.
///
/// `@unchecked Sendable` because the writer reaches it, through the loop only.
final class Intake: @unchecked Sendable {
    private let settings: HistorySettings
    private let loop: EventLoop
    private let inbox: Inbox
    private let positions: Positions
    private let metrics: HistoryMetrics
    private let health: HistoryHealth
    private let log: Logger
    private var consumer: Consumer!
    private var ledger: LedgerWatch?
    private var epoch = 0
    private var assigned: [TopicPartition] = []
    private var owned: [Int32: OwnedPartition] = [:]
    /// The next offset to store, as far as it is stored, and whether Kafka was told.
    private var stored: [Int32: Int64] = [:]
    private var isCommitDue = false
    private var whenWritten: [() -> Void] = []
    private var isStopping = false
    /// How often in a row a position has lain past the log's end.
    private var doubts = 0

    /// Between two tries of a step of the takeover.
    private static let retryMs: UInt64 = 500
    private static let commitEveryMs: UInt64 = 1_000
    private static let lagEveryMs: UInt64 = 5_000
    /// How long a revocation waits for the running transaction.
    private static let revokeMs: UInt64 = 2_000
    private static let drainMax = 1_000
    private static let doubtsBelieved = 3

    /// Connects. Throws where a property of librdkafka is wrong.
    init(
        _ settings: HistorySettings, loop: EventLoop, inbox: Inbox, positions: Positions, metrics: HistoryMetrics,
        health: HistoryHealth, log: Logger
    ) throws(KafkaError) {
        self.settings = settings
        self.loop = loop
        self.inbox = inbox
        self.positions = positions
        self.metrics = metrics
        self.health = health
        self.log = log
        var configuration = ConsumerConfiguration(settings.kafka, groupID: settings.groupID)
        configuration.fetchWaitMilliseconds = settings.fetchWaitMs
        let minimum = configuration.client.properties["fetch.min.bytes"] ?? "\(settings.fetchMinBytes)"
        configuration.client.properties["fetch.min.bytes"] = minimum
        consumer = try Consumer(configuration, on: loop) { [unowned self] event in handle(event) }
        if let watched = settings.ledger { ledger = try LedgerWatch(watched, settings, metrics.ledger, log) }
    }

    func begin() throws(KafkaError) {
        try consumer.subscribe([settings.attemptsTopic])
        every(Self.commitEveryMs) { $0.commit() }
        every(Self.lagEveryMs) { $0.measureLag() }
        if let ledger { every(ledger.lookMs) { $0.look() } }
    }

    private func every(_ milliseconds: UInt64, _ work: @escaping (Intake) -> Void) {
        loop.after(milliseconds: milliseconds) { [weak self] in
            guard let self, !isStopping else { return }
            work(self)
            every(milliseconds, work)
        }
    }

    private func handle(_ event: ConsumerEvent) {
        switch event {
        case .assign(let partitions):
            log.info("partitions were assigned", metadata: [LogKey.count: "\(partitions.count)"])
            assigned = partitions
            takeOver()
        case .revoke(let partitions, let lost):
            log.info(
                "partitions are revoked", metadata: [LogKey.count: "\(partitions.count)", "lost": "\(lost)"])
            letGo()
            assigned = []
            afterWriting { [self] in
                if !lost { commit() }
                do throws(KafkaError) { try consumer.unassign() } catch {
                    report("partitions cannot be unassigned", error)
                }
            }
        case .failed(let error): report("the consumer reports an error", error)
        }
    }

    private func report(_ message: Logger.Message, _ error: KafkaError) {
        log.warning(message, metadata: [LogKey.error: "\(error)"])
    }

    // MARK: Taking over

    private func letGo() {
        epoch += 1
        inbox.begin(epoch: epoch)
        for partition in owned.values { partition.queue.stop() }
        owned = [:]
        ledger?.end()
        health.isReading = false
    }

    private func takeOver() {
        letGo()
        let epoch = epoch
        guard !assigned.isEmpty else { return assign([:]) }
        // A running transaction moves positions yet.
        afterWriting { [self] in
            if epoch == self.epoch { readPositions(epoch) }
        }
    }

    /// Runs `work` off the loop and gives `then` its result on it, unless the epoch is over by then. What fails is tried again from the start.
    private func perform<Value: Sendable>(
        _ epoch: Int, _ work: @escaping @Sendable () async throws -> Value,
        then: @escaping @Sendable (Intake, Value) -> Void
    ) {
        Task { [self, loop] in
            do {
                let value = try await work()
                loop.execute { [self] in
                    if epoch == self.epoch { then(self, value) }
                }
            } catch {
                let reason = "\(error)"
                loop.execute { [self] in retry(epoch, reason) { $0.takeOver() } }
            }
        }
    }

    private func readPositions(_ epoch: Int) {
        perform(epoch) { [positions] in
            try await positions.read()
        } then: { intake, stored in
            intake.readBounds(stored, epoch)
        }
    }

    /// After the positions: see `PositionPlan`.
    private func readBounds(_ stored: [Int32: PositionPlan.Stored], _ epoch: Int) {
        consumer.watermarks(assigned) { [self] result in
            guard epoch == self.epoch else { return }
            switch result {
            case .failure(let error): retry(epoch, "\(error)") { $0.takeOver() }
            case .success(let bounds):
                let logs = bounds.reduce(into: [Int32: Watermarks]()) { $0[$1.key.partition] = $1.value }
                resolve(logs, stored, epoch)
            }
        }
    }

    private func resolve(_ logs: [Int32: Watermarks], _ stored: [Int32: PositionPlan.Stored], _ epoch: Int) {
        let isPastEnd = logs.contains { partition, log in
            PositionPlan.isPastEnd(stored: stored[partition], log: log, logID: settings.logID)
        }
        doubts = isPastEnd ? doubts + 1 : 0
        guard !isPastEnd || doubts > Self.doubtsBelieved else {
            return retry(epoch, "a position lies past the log's end") { $0.takeOver() }
        }
        perform(epoch) { [positions] in
            try await positions.resolve(logs, stored: stored)
        } then: { intake, next in
            intake.beginLedger(epoch) { $0.assign(next, logs) }
        }
    }

    private func retry(_ epoch: Int, _ reason: String, _ step: @escaping (Intake) -> Void) {
        guard epoch == self.epoch else { return }
        log.warning("reading history is delayed", metadata: [LogKey.reason: "\(reason)"], limit: delays)
        health.failed(reason)
        loop.after(milliseconds: Self.retryMs) { [weak self] in
            if let self, epoch == self.epoch, !isStopping { step(self) }
        }
    }
    private let delays = LogLimiter(every: .seconds(5))

    private func assign(_ next: [Int32: Int64], _ logs: [Int32: Watermarks] = [:]) {
        let starts = assigned.map { name in
            let remembered = (next[name.partition] ?? 0) - Int64(settings.dedupWindow)
            let start = max(logs[name.partition]?.low ?? 0, min(remembered, ledger?.note(of: name.partition) ?? .max))
            return PartitionPosition(name, offset: start)
        }
        stored = next
        do throws(KafkaError) {
            for queue in try consumer.assign(starts) {
                let begin = next[queue.partition.partition] ?? 0
                owned[queue.partition.partition] = OwnedPartition(queue, begin: begin, settings, metrics, ledger)
                try queue.start(on: loop) { [unowned self, unowned queue] event in
                    handle(event, of: queue.partition.partition)
                }
            }
            health.isReading = true
            health.succeeded()
            measureLag()
        } catch {
            retry(epoch, "\(error)") { $0.takeOver() }
        }
    }

    /// The positions that were read do not hold any more: another instance stores the same partitions. Where Kafka confirms that they are ours,
    /// they are taken over anew; else the group will say so.
    func retake(_ epoch: Int) {
        guard epoch == self.epoch else { return }
        letGo()
        prove(self.epoch)
    }

    private func prove(_ epoch: Int) {
        consumer.commit(offsets) { [self] failures in
            guard epoch == self.epoch else { return }
            guard let error = failures.values.first else { return takeOver() }
            retry(epoch, "\(error)") { $0.prove(epoch) }
        }
    }

    // MARK: Reading

    private func handle(_ event: PartitionEvent, of number: Int32) {
        guard let partition = owned[number] else { return }
        switch event {
        case .readable: drain(partition)
        case .offsetOutOfRange(let error):
            report("a position lies outside the log", error)
            takeOver()
        case .failed(let error): report("a partition cannot be read", error)
        }
    }

    private func drain(_ partition: OwnedPartition) {
        partition.isWaiting = inbox.isFull
        if !partition.isWaiting { partition.drain(max: Self.drainMax, to: inbox) }
    }

    /// The writer took what waited: there is room again.
    func hasRoom() {
        for partition in owned.values where partition.isWaiting { drain(partition) }
    }

    // MARK: Storing

    /// The writer is done with a batch; `steps` is what it stored.
    func written(_ steps: [Int32: HistoryBatch.Step], _ epoch: Int) {
        if epoch == self.epoch {
            for (partition, step) in steps { stored[partition] = step.next }
            isCommitDue = isCommitDue || !steps.isEmpty
        }
        let waiting = whenWritten
        whenWritten = []
        for work in waiting { work() }
    }

    /// Runs `work` when the running transaction has ended, or after a bounded time: it cannot do harm later.
    private func afterWriting(_ work: @escaping () -> Void) {
        guard inbox.isWriting else { return work() }
        var isDone = false
        let once = {
            if !isDone { work() }
            isDone = true
        }
        whenWritten.append(once)
        loop.after(milliseconds: Self.revokeMs, once)
    }

    private var offsets: [OffsetCommit] {
        stored.map { partition, next in
            OffsetCommit(
                TopicPartition(settings.attemptsTopic, partition), offset: next,
                metadata: ledger?.metadata(of: partition) ?? "")
        }
    }

    /// Tells Kafka what is stored, for its tools, and where a successor's ledger goes on.
    private func commit() {
        guard isCommitDue else { return }
        isCommitDue = false
        consumer.commit(offsets) { [self] failures in
            if let error = failures.values.first {
                log.debug("offsets were not committed", metadata: [LogKey.error: "\(error)"])
            }
        }
    }

    private func measureLag() {
        metrics.buffered.set(inbox.count)
        guard !owned.isEmpty else { return metrics.lag.removeAll() }
        let epoch = epoch
        consumer.watermarks(assigned) { [self] result in
            guard epoch == self.epoch, let bounds = try? result.get() else { return }
            for (name, bounds) in bounds {
                let lag = max(0, bounds.high - (stored[name.partition] ?? bounds.high))
                metrics.lag.labelled("\(name.partition)").set(Int(lag))
            }
        }
    }

    // MARK: The ledger

    /// The dispatcher's commits, then the bounds of the logs, then `found`; what fails is handed to `failed`.
    private func readFacts(
        _ epoch: Int, of partitions: [TopicPartition], failed: @escaping @Sendable (Intake, KafkaError) -> Void,
        found: @escaping @Sendable (Intake, LedgerWatch, LedgerWatch.Facts) -> Void
    ) {
        guard let ledger, !partitions.isEmpty else { return }
        let sources = ledger.sources(of: partitions)
        ledger.offsets.committed(sources) { [loop] committed in
            loop.execute { [self] in
                guard epoch == self.epoch, let ledger = self.ledger else { return }
                switch committed {
                case .failure(let error): failed(self, error)
                case .success(let committed):
                    consumer.watermarks(sources + partitions) { [self] bounds in
                        guard epoch == self.epoch else { return }
                        switch bounds {
                        case .failure(let error): failed(self, error)
                        case .success(let bounds): found(self, ledger, .init(committed: committed, bounds: bounds))
                        }
                    }
                }
            }
        }
    }

    /// Before the first record: where the ledger goes on decides where reading begins.
    private func beginLedger(_ epoch: Int, then next: @escaping @Sendable (Intake) -> Void) {
        guard ledger != nil, !assigned.isEmpty else { return next(self) }
        consumer.committed(assigned) { [self] saved in
            guard epoch == self.epoch else { return }
            guard case .success(let saved) = saved else {
                return retry(epoch, "the group's own commits cannot be read") { $0.takeOver() }
            }
            readFacts(epoch, of: assigned) { intake, error in
                intake.retry(epoch, "\(error)") { $0.takeOver() }
            } found: { intake, ledger, facts in
                ledger.begin(facts, saved: saved)
                next(intake)
            }
        }
    }

    private func look() {
        guard !owned.isEmpty else { return }
        readFacts(epoch, of: assigned) { intake, error in
            intake.report("the dispatcher's commits cannot be looked at", error)
        } found: { intake, ledger, facts in
            ledger.look(facts)
            for partition in intake.owned.values { ledger.taken(partition.number, partition.queue.nextOffset) }
            intake.isCommitDue = true
        }
    }

    // MARK: Ending

    /// Reads no more; what was read can still be written.
    func stopReading() {
        isStopping = true
        for partition in owned.values { partition.queue.stop() }
        owned = [:]
    }

    /// Leaves the group.
    func leave(_ left: @escaping () -> Void) {
        afterWriting { [self] in
            commit()
            consumer.close(completion: left)
        }
    }
}
