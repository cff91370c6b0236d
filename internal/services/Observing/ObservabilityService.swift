internal import Delivering
internal import HTTPServing
public import LifeCycle
internal import Logs
internal import Metrics
internal import Postgres
public import ServiceSupport

/// The observability service: history, and the questions about it.
public struct ObservabilityService: Service {
    public let name = "history"
    private let context: ServiceContext
    private let storing: PostgresPool
    private let asking: PostgresPool
    private let health = HistoryHealth()

    /// How long a question may take: less than the gateway waits.
    private static let questionLimitMs: UInt64 = 5_000
    /// How long a stop waits for the last transactions.
    private static let closeMs: UInt64 = 500

    /// What the process runs: history, and the server in front of it.
    public static func services(_ context: ServiceContext) throws -> [any Service] {
        let history = try ObservabilityService(context)
        let access = InternalAccess(token: context.configuration.internalCalls.token, log: context.logger)
        let server = ServiceServer(
            context, listen: context.configuration.observability.listen,
            routes: Self.routes(asking: history.asking, access, context.configuration.classification.rules))
        return [history, server]
    }

    static func routes(asking pool: PostgresPool, _ access: InternalAccess, _ rules: ClassificationRules) -> [HTTPRoute]
    {
        let queries = HistoryQueries(pool)
        return HistoryRoutes(queries: queries, access: access, rules: rules).routes
            + DeliveryRoutes(
                queries: queries, table: OpenDeliveryTable(pool), letters: DeadLetterTable(pool), access: access,
                rules: rules
            ).routes
            + DeadLetterRoutes(table: DeadLetterTable(pool), access: access).routes
    }

    /// Throws `SystemError` where the process has no descriptors left.
    private init(_ context: ServiceContext) throws {
        self.context = context
        var store = context.configuration.postgres.pool("martlet-observability")
        let connections = store.maximumConnections
        store.maximumConnections = max(1, connections / 2)
        var ask = store
        ask.session = HistoryQueries.session
        ask.maximumConnections = max(1, connections - connections / 2)
        ask.statementTimeoutMilliseconds = Self.questionLimitMs
        ask.acquireTimeoutMilliseconds = 2_000
        let logger = context.logger
        storing = try PostgresPool(store) { Self.log($0, logger) }
        asking = try PostgresPool(ask) { Self.log($0, logger) }
        registerReadiness()
        registerMetrics()
    }

    private static func log(_ event: PostgresPoolEvent, _ logger: Logger) {
        switch event {
        case .connected: break
        case .connectFailed(let error, let delay):
            logger.warning(
                "PostgreSQL cannot be reached",
                metadata: [LogKey.error: "\(error)", "retry_ms": .stringConvertible(delay)])
        case .lost(let error): logger.warning("a connection was lost", metadata: [LogKey.error: "\(error)"])
        }
    }

    /// Ready once history is being read for the first time; from then on Kafka and PostgreSQL may go and come.
    private func registerReadiness() {
        context.readiness.register("history") { [health] in
            health.hasBegun ? .ready : .unavailable(health.error ?? "starting")
        }
        context.readiness.register("kafka", isRequired: false) { [health] in
            health.isReading ? .ready : .unavailable("no partitions are being read")
        }
        context.readiness.register("postgres", isRequired: false) { [health, storing] in
            if let error = storing.status.lastError, !storing.status.isAvailable { return .unavailable(error.message) }
            return health.error.map { .unavailable($0) } ?? .ready
        }
    }

    private func registerMetrics() {
        let connections = context.metrics.gauge(
            "webhook_postgres_connections", help: "Connections to PostgreSQL.", labels: ["pool", "state"])
        context.metrics.onScrape { [storing, asking] in
            for (name, pool) in [("store", storing), ("ask", asking)] {
                let status = pool.status
                connections.labelled(name, "leased").set(status.leased)
                connections.labelled(name, "idle").set(status.open - status.leased)
                connections.labelled(name, "awaited").set(status.waiting)
            }
        }
    }

    /// Runs until shutdown. Throws where topics, schema or configuration are not as they must be; what is merely away is waited for.
    public func run() async throws {
        storing.start()
        asking.start()
        do {
            if let settings = try await prepare() {
                let pipeline = HistoryPipeline(
                    settings, pool: storing, metrics: HistoryMetrics(context.metrics), health: health,
                    log: context.logger)
                try await pipeline.run()
            }
        } catch {
            await close()
            throw error
        }
        await close()
    }

    private func close() async {
        await storing.close(graceMilliseconds: Self.closeMs)
        await asking.close(graceMilliseconds: 0)
    }

    /// Waits for topics and schema; nil where shutdown came first.
    private func prepare() async throws -> HistorySettings? {
        do {
            return try await cancelWhenGracefulShutdown { [self] in
                let keeper = try TopicKeeper(
                    context.configuration, clientID: "martlet-observability", logger: context.logger)
                try await keeper.ensure()
                try await verifySchema()
                return settings(logID: try await keeper.logID())
            }
        } catch is CancellationError {
            return nil
        }
    }

    private func verifySchema() async throws {
        let migrator = SchemaMigrations.of("observability")
        while true {
            do {
                return try await migrator.verify(storing)
            } catch let error as PostgresError where error.isConnectionFailure {
                health.failed(error.description)
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    private func settings(logID: String) -> HistorySettings {
        let kafka = context.configuration.kafka
        let observability = context.configuration.observability
        var settings = HistorySettings(
            kafka: kafka.client("martlet-observability", logger: context.logger), attemptsTopic: kafka.topics.attempts,
            deliveriesTopic: kafka.topics.deliveries, groupID: kafka.topicPrefix + "martlet-observability",
            logID: logID, retentionMs: Int64(observability.retention.milliseconds),
            maxSizeBytes: Int64(observability.maxSizeBytes),
            deadLetterRetentionMs: Int64(kafka.retention.deadLetters.milliseconds),
            maxDeliveryAgeMs: Int64(context.configuration.retry.maxAge.milliseconds))
        settings.ledger = LedgerSettings(
            eventsTopic: kafka.topics.events, dispatcherGroup: context.configuration.dispatcher.group)
        settings.fetchWaitMs = min(settings.fetchWaitMs, kafka.fetchWaitMilliseconds)
        return settings
    }
}
