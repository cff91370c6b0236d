internal import Delivering
public import LifeCycle
internal import Logs
public import ServiceSupport
internal import Synchronization

/// The webhook-dispatcher: takes events and deliveries from Kafka, sends them, and writes what became of each.
public final class Dispatcher: Service {
    public let name = "Dispatcher"
    private let context: ServiceContext
    private let metrics: DispatcherMetrics
    private let compiler: Mutex<DispatchTableCompiler>
    private let table = CurrentTable()
    private let firstTable = AsyncStream.makeStream(of: Void.self)
    private let status = Mutex(Status())

    private struct Status {
        var isAssigned = false
        var unhealthyWorkers: Set<Int> = []
        /// Empty while nothing runs.
        var heartbeats: [Heartbeat] = []
    }

    /// Throws where the sealing keys cannot be used.
    public init(_ context: ServiceContext) throws {
        self.context = context
        metrics = DispatcherMetrics(context.metrics)
        let defaults = WebhookDefaults(context.configuration)
        let sealer = try SecretSealer(context.configuration.sealing)
        let log = context.logger
        compiler = Mutex(DispatchTableCompiler(sealer: sealer, defaults: defaults, log: log))
    }

    /// Takes each new snapshot of the webhooks; on the webhook table's thread.
    public func webhooksChanged(_ snapshot: WebhookSnapshot) {
        table.value = compiler.withLock { $0.compile(snapshot) }
        firstTable.continuation.yield()
    }

    /// Whether its group has told it which partitions are its own, and it has taken them over.
    public var hasAssignment: Bool { status.withLock { $0.isAssigned } }

    /// Whether every worker reaches Kafka.
    public var canProduce: Bool { status.withLock { $0.unhealthyWorkers.isEmpty } }

    /// How the gate of the tenant's webhook stands here; nil where this process does not know the webhook.
    func standing(ofWebhook id: String, tenant: String, now: UInt64) -> GateStanding? {
        guard let webhook = table.value.byID[id], webhook.tenant == tenant else { return nil }
        return webhook.gate.standing(now: now)
    }

    /// What is stuck; nil: nothing.
    func problem(limit: Duration) -> String? {
        let problems = status.withLock { $0.heartbeats }.compactMap { $0.problem(limit: limit) }
        return problems.isEmpty ? nil : problems.joined(separator: "; ")
    }

    /// How long stopping may take: the longest request that a webhook may ask for, and what follows it.
    public static func stopsWithin(_ configuration: Configuration) -> Duration {
        .milliseconds(longestRequestMs(configuration)) + .seconds(10)
    }

    private static func longestRequestMs(_ configuration: Configuration) -> Int {
        max(configuration.dispatcher.requestTimeout.milliseconds, 30_000)
    }

    public func run() async throws {
        let keeper = try TopicKeeper(context.configuration, clientID: context.name, logger: context.logger)
        guard let logID = try await identify(keeper) else { return }
        // Nothing is routed before the webhooks are known.
        for await _ in firstTable.stream { break }
        guard !Task.isShuttingDownGracefully else { return }
        let process = try await DispatchProcess.start(
            DispatchSettings(context.configuration, logID: logID), context, metrics, table,
            onAssigned: { [self] isAssigned in status.withLock { $0.isAssigned = isAssigned } },
            onHealth: { [self] worker, isHealthy in
                status.withLock { status in
                    if isHealthy {
                        status.unhealthyWorkers.remove(worker)
                    } else {
                        status.unhealthyWorkers.insert(worker)
                    }
                }
            })
        status.withLock { $0.heartbeats = process.heartbeats }
        await gracefulShutdown()
        status.withLock { ($0.isAssigned, $0.heartbeats) = (false, []) }
        await process.stop(graceMs: UInt64(Self.longestRequestMs(context.configuration)))
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
