internal import CLinux
internal import Cryptography
internal import Delivering
internal import EventLoops
internal import HTTPSending
internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import Settling
internal import StandardWebhooks
internal import Synchronization
internal import WireFormat

/// One thread of the dispatcher, and everything that belongs to its partitions: their queues, one HTTP sender with its own
/// connections, one producer. Confined to its loop's thread; other threads reach it by `loop.execute`.
///
/// ```
/// queue ─► take (Worker+Intake) ─► ready ─► start (Worker+Sending) ─► finished ─► write (Worker+Writing) ─► settle
///                                    └─► short queue of the webhook ─┘
/// ```
/// `@unchecked Sendable` so that the coordinator can hold it and hand it work through its loop.
final class Worker: @unchecked Sendable {
    let number: Int
    let settings: DispatchSettings
    let loop: EventLoop
    let metrics: DispatcherMetrics
    private let gauges: DispatcherMetrics.WorkerGauges
    let log: Logger
    let open: OpenRequests
    let currentTable: @Sendable () -> DispatchTable
    /// Set once by the coordinator before the thread starts.
    var events = WorkerEvents()

    let signer: WebhookSigner
    let random = BufferedRandom()
    let held = HeldBytes()
    var producer: Producer!
    var sender: HTTPSender!
    var topics: WorkerTopics!
    var partitions: [TopicPartition: OwnedPartition] = [:]
    /// Taken, and waiting for the crash bound to let them start.
    var ready = ShortQueue<Delivery>(bounds: ShortQueueBounds(bytes: .max, wait: .max))
    /// Waiting for their webhook's gate; only webhooks that have something waiting.
    var waiting: [String: WaitingDeliveries] = [:]
    var running = Slab<Delivery>()
    var unacknowledged = Unacknowledged()
    var window: StartWindow
    var writes = Slab<Write>()
    /// The highest end of each partition of `attempts` that an acknowledgement told.
    var attemptsEnd: [Int32: Int64] = [:]
    var resolver = ResolverHealth()
    var releases: [Release] = []
    /// False after a sleep, until a commit has confirmed the assignment.
    var isConfirmed = true
    var isStalled = false
    /// Whether it held as much as it may at the end of the last turn.
    private var wasFull = false
    var lastTurn: UInt64 = 0
    var lastCommit: UInt64 = 0
    /// Reused for every request and record.
    var lines = HeaderLines()
    var headers = RecordHeaders()
    var writer = WireWriter()
    /// The webhooks that the record at hand is for.
    var routed: [CompiledWebhook?] = []

    init(
        number: Int, settings: DispatchSettings, loop: EventLoop, metrics: DispatcherMetrics, log: Logger,
        open: OpenRequests, currentTable: @escaping @Sendable () -> DispatchTable
    ) throws {
        self.number = number
        self.settings = settings
        self.loop = loop
        self.metrics = metrics
        gauges = metrics.gauges(ofWorker: number)
        self.log = log
        self.open = open
        self.currentTable = currentTable
        signer = try WebhookSigner()
        window = StartWindow(maximum: settings.bound.maxOpen)
    }

    /// On the loop's thread, once, before anything else.
    func begin(_ configuration: ProducerConfiguration) throws {
        producer = try Producer(
            configuration, on: loop,
            handlers: ProducerHandlers(
                report: { [unowned self] token, report in reported(token, report) },
                healthChanged: { [unowned self] isHealthy in events.healthChanged(isHealthy) },
                failed: { [unowned self] error in
                    log.warning("the producer reports an error", metadata: ["error": "\(error)"])
                }))
        topics = try WorkerTopics(producer, settings)
        sender = try HTTPSender(loop: loop, configuration: settings.sender)
        lastTurn = loop.now
        loop.atEndOfTurn { [unowned self] in endTurn() }
        heartbeat()
    }

    private func heartbeat() {
        let isIdle = ready.isEmpty && waiting.isEmpty && releases.isEmpty
        let delay = isIdle ? DispatchSettings.commitIntervalMs : DispatchSettings.heartbeatMs
        loop.after(milliseconds: delay) { [weak self] in
            guard let self else { return }
            parkExpired()
            for webhook in Array(waiting.keys) { startWaiting(of: webhook) }
            heartbeat()
        }
    }

    private func endTurn() {
        noticeSleep()
        updateStall()
        takeUnread()
        startReady()
        advanceReleases()
        if loop.now - lastCommit >= DispatchSettings.commitIntervalMs * 1_000_000 {
            lastCommit = loop.now
            handOverCommits()
        }
        gauges.inFlight.set(running.count)
        gauges.heldBytes.set(held.bytes)
        if isFull, !wasFull { metrics.memoryPauses.increment() }
        wasFull = isFull
        gauges.paused.set(pausedPartitions)
        window.turned(nanoseconds: EventLoop.monotonicNanoseconds() - loop.now)
    }

    /// Sends what is still queued and disconnects. Its partitions have been released.
    func close(flushMs: UInt64, completion: @escaping @Sendable () -> Void) {
        sender.close()
        producer.close(timeoutMilliseconds: flushMs, completion: completion)
    }

    /// Whether this turn is the first one after a sleep.
    var hasSlept: Bool { loop.now - lastTurn > settings.maxSleep }

    /// After a sleep (the process was stopped, the machine suspended) the partitions may belong to others.
    private func noticeSleep() {
        defer { lastTurn = loop.now }
        guard hasSlept, isConfirmed else { return }
        log.warning(
            "the loop slept; no request starts before a commit confirms the assignment",
            metadata: ["milliseconds": "\((loop.now - lastTurn) / 1_000_000)"])
        isConfirmed = false
        // Without any there is nothing to ask for; an assignment that was on its way is confirmed when it comes (`own`).
        if !partitions.isEmpty { events.slept(self, commitPoints(of: Array(partitions.values))) }
    }

    private func updateStall() {
        let tooOld = !settings.bound.allowsStart(open: 0, oldest: unacknowledged.oldest, now: loop.now)
        guard tooOld != isStalled else { return }
        isStalled = tooOld
        open.worker(becameStalled: tooOld)
    }

    /// Offers the coordinator what can be committed and was not before.
    private func handOverCommits() {
        let points = partitions.values.compactMap { partition in
            partition.isClosing ? nil : partition.newCommitPoint().map { commit(partition, $0) }
        }
        if !points.isEmpty { events.commit(points) }
    }

    /// What was handed over last is not committed: it is handed over again, though nothing may have been settled since.
    func commitFailed(_ name: TopicPartition) { partitions[name]?.committed = nil }

    func commitPoints(of partitions: [OwnedPartition]) -> [OffsetCommit] {
        partitions.map { commit($0, $0.settlement.commitPoint()) }
    }

    private func commit(_ partition: OwnedPartition, _ point: CommitPoint) -> OffsetCommit {
        OffsetCommit(partition.name, offset: point.offset, metadata: point.metadata)
    }
}

/// What a worker tells the coordinator, from its own thread.
struct WorkerEvents {
    var commit: ([OffsetCommit]) -> Void = { _ in }
    var slept: (Worker, [OffsetCommit]) -> Void = { _, _ in }
    var outOfRange: (Worker, TopicPartition) -> Void = { _, _ in }
    var healthChanged: (Bool) -> Void = { _ in }
}

/// The topics that a worker writes to.
struct WorkerTopics {
    let attempts: ProducerTopic
    let retries: ProducerTopic
    let deadLetters: ProducerTopic
    let signals: ProducerTopic

    init(_ producer: Producer, _ settings: DispatchSettings) throws {
        attempts = try producer.topic(settings.topicAttempts)
        retries = try producer.topic(settings.topicRetries)
        deadLetters = try producer.topic(settings.topicDeadLetters)
        signals = try producer.topic(settings.topicSignals)
    }
}

/// Values under small numbers that are used again, such as a producer's tokens.
struct Slab<Element> {
    private var elements: [Element?] = []
    private var free: [Int] = []

    var count: Int { elements.count - free.count }
    var all: [Element] { elements.compactMap { $0 } }

    mutating func insert(_ element: Element) -> UInt64 {
        if let index = free.popLast() {
            elements[index] = element
            return UInt64(index)
        }
        elements.append(element)
        return UInt64(elements.count - 1)
    }

    mutating func remove(_ number: UInt64) -> Element? {
        let index = Int(number)
        guard let element = elements[index] else { return nil }
        elements[index] = nil
        free.append(index)
        return element
    }
}
