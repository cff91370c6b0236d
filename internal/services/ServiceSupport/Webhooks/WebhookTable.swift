internal import EventLoops
public import Kafka
public import LifeCycle
public import Logs
public import Metrics
internal import Records
internal import Synchronization

/// All webhooks in memory, kept current from the compacted topic `webhooks`.
///
///     topic ──records──► WebhookTableBuilder ──changed tenants──► snapshot (replaced, never edited) ──► readers
///            (a loop of its own)               once per turn, at a pace
///
/// Until it has caught up the snapshot stays empty. Where the topic is read anew (it was made again), the old snapshot stays until
/// the new one is complete: events that come meanwhile must not lose their webhooks.
public final class WebhookTable: Service {
    public let name = "WebhookTable"
    private let configuration: LogReaderConfiguration
    private let topic: String
    private let logger: Logger
    private let metrics: WebhookTableMetrics
    private let onChange: @Sendable (WebhookSnapshot) -> Void
    private let current = Mutex(WebhookSnapshot())
    private let currentRevision = Atomic<UInt64>(0)
    private let limiter = LogLimiter()

    /// - Parameter onChange: Gets each new snapshot, on the table's own thread: it must not block.
    public init(
        _ configuration: LogReaderConfiguration, topic: String, logger: Logger, metrics: MetricsRegistry,
        onChange: @escaping @Sendable (WebhookSnapshot) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.topic = topic
        self.logger = logger
        self.metrics = WebhookTableMetrics(metrics)
        self.onChange = onChange
    }

    /// The present snapshot; takes a lock for a moment. Hot paths keep it and look at `revision`.
    public var snapshot: WebhookSnapshot { current.withLock { $0 } }

    /// That of the present snapshot: one atomic load.
    public var revision: UInt64 { currentRevision.load(ordering: .acquiring) }

    /// Whether the snapshot is complete.
    public var isReady: Bool { current.withLock { $0.isComplete } }

    public func run() async throws {
        let thread = try EventLoopThread()
        thread.start(name: "webhook-table")
        let started = await thread.run { [self] loop in
            Result { () throws(KafkaError) in Confined(try following(on: loop)) }
        }
        if case .success = started { await gracefulShutdown() }
        await thread.run { _ in if case .success(let follower) = started { follower.value.stop() } }
        await thread.stop()
        _ = try started.get()
    }

    private func following(on loop: EventLoop) throws(KafkaError) -> TopicFollower {
        let builder = WebhookTableBuilder(logger: logger, metrics: metrics)
        var pace = SnapshotPace()
        var timer: TimerID?
        loop.atEndOfTurn { [self, unowned loop] in
            guard builder.hasNews, timer == nil else { return }
            let start = EventLoop.monotonicNanoseconds()
            if let later = pace.wait(at: start) {
                // The turn in which it fires has an end, too.
                timer = loop.at(later) { timer = nil }
            } else if let snapshot = builder.takeSnapshot() {
                publish(snapshot)
                pace.made(from: start, to: EventLoop.monotonicNanoseconds())
            }
        }
        return try TopicFollower(
            configuration, topic: topic, on: loop, record: { builder.take($0) },
            event: { [logger, limiter] event in
                switch event {
                case .caughtUp: builder.caughtUp()
                case .restarted(let error):
                    logger.error("topic is read anew", metadata: [LogKey.error: "\(error)"])
                    builder.restart()
                case .failed(let error):
                    logger.warning("reading webhooks", metadata: [LogKey.error: "\(error)"], limit: limiter)
                }
            })
    }

    private func publish(_ made: WebhookSnapshot) {
        var snapshot = made
        current.withLock { current in
            snapshot.revision = current.revision + 1
            current = snapshot
        }
        currentRevision.store(snapshot.revision, ordering: .releasing)
        onChange(snapshot)
    }
}

/// Something that belongs to one loop's thread, on its way there and back.
///
/// `@unchecked Sendable` because the holder only passes it on; `value` is touched on the loop's thread alone.
private struct Confined<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
