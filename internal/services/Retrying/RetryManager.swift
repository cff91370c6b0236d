internal import EventLoops
internal import Kafka
public import LifeCycle
public import ServiceSupport
internal import Synchronization

/// The retry-manager: keeps the index of what waits in `retries`, and fires what is due into `deliveries`.
public final class RetryManager: Service {
    public let name = "RetryManager"
    private let context: ServiceContext
    private let metrics: RetryMetrics
    private let state = Mutex(RetryLoopState())

    public init(_ context: ServiceContext) {
        self.context = context
        metrics = RetryMetrics(context.metrics)
    }

    /// Whether its group has told it which partitions are its own, and their indexes are open.
    var isAssigned: Bool { state.withLock { $0.isAssigned } }
    /// Whether every index has all that the log had when it was opened: before that, nothing is fired.
    var isCaughtUp: Bool { state.withLock { $0.isCaughtUp } }
    /// Whether Kafka is reached.
    var canProduce: Bool { state.withLock { $0.canProduce } }

    public func run() async throws {
        let configuration = context.configuration
        let keeper = try TopicKeeper(configuration, clientID: context.name, logger: context.logger)
        guard let logID = try await identify(keeper) else { return }
        let thread = try EventLoopThread()
        let loop = RetryLoop(
            RetryManagerOptions(configuration, logID: logID), loop: thread.loop,
            redis: configuration.redis.client(context.name), metrics: metrics, log: context.logger
        ) { [self] new in state.withLock { $0 = new } }
        thread.start(name: "retry")
        let instanceID = configuration.retryManager.instanceID
        let consumer = configuration.consumer(
            context.name, group: configuration.retryManager.group,
            instanceID: instanceID.isEmpty ? nil : instanceID, logger: context.logger)
        var producer = configuration.producer(context.name, logger: context.logger)
        // A record that Kafka takes after its claim has lapsed could be fired by another, too.
        producer.messageTimeoutMilliseconds = min(
            producer.messageTimeoutMilliseconds, configuration.retryManager.lease.milliseconds / 2)
        let (settings, reader) = (producer, configuration.logReader("\(context.name)-reader", logger: context.logger))
        try await thread.run { _ in Result { try loop.begin(consumer, settings, reader) } }.get()
        await gracefulShutdown()
        await withCheckedContinuation { continuation in
            thread.loop.execute { loop.stop { continuation.resume() } }
        }
        await thread.stop()
    }

    /// Sees to the topics and names their log; nil where the service is to stop meanwhile.
    private func identify(_ keeper: TopicKeeper) async throws -> String? {
        do {
            return try await cancelWhenGracefulShutdown {
                try await keeper.ensure()
                return try await keeper.logID()
            }
        } catch is CancellationError {
            return nil
        }
    }
}

/// What the executable runs: the manager, and the server that tells about it.
public func retryServices(_ context: ServiceContext) -> [any Service] {
    let manager = RetryManager(context)
    context.readiness.register("assignment") {
        manager.isAssigned ? .ready : .unavailable("the consumer group has not assigned partitions, or Redis is away")
    }
    context.readiness.register("index", isRequired: false) {
        manager.isCaughtUp ? .ready : .unavailable("the index is being read; retries wait until it is complete")
    }
    context.readiness.register("kafka") { manager.canProduce ? .ready : .unavailable("no broker answers") }
    return [manager, ServiceServer(context, listen: context.configuration.retryManager.listen)]
}
