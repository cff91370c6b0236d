internal import GRPC
internal import Glibc
public import LifeCycle
internal import Logs
public import ServiceSupport
internal import Validation

/// The registry of webhooks: gRPC in front, PostgreSQL behind, topic `webhooks` as what the rest of the system sees.
///
/// ```
/// gRPC ─► handlers ─► one transaction: webhook, version, outbox record ─► PostgreSQL
///            ▲ acknowledged                                                  │ notification
///            └────────── published ◄── relay (one leader) ◄──────────────────┘
///                                        └─► topic webhooks          topic signals ─► SignalReader ─► a change like others
/// ```
public enum Registry {
    /// The parts of the process, in the order in which they depend on each other.
    public static func services(_ context: ServiceContext) throws -> [any Service] {
        let configuration = context.configuration
        let metrics = RegistryMetrics(context.metrics)
        let database = try Database(context)
        let store = WebhookStore(pool: database.pool, limit: configuration.registry.maxWebhooksPerTenant)
        let published = PublishedRecords()
        let relay = try OutboxRelay(context, store: store, published: published, metrics: metrics)
        let handlers = RegistryHandlers(
            store: store, published: published, sealer: try SecretSealer(configuration.sealing),
            rules: WebhookRules(
                allowsLoopback: configuration.isDevelopment, allowedPorts: configuration.endpoints.allowedPorts),
            overlap: configuration.registry.secretOverlap, metrics: metrics, logger: context.logger, clock: now)
        let methods = RegistryMethods(
            handlers: handlers, token: configuration.internalCalls.token, logger: context.logger)
        GRPCLog.forward { [logger = context.logger] message in
            logger.debug("gRPC", metadata: [LogKey.reason: "\(message)"])
        }
        // Changes are taken without Kafka too, and published when it is back.
        context.readiness.register("kafka", isRequired: false) {
            await relay.isHealthy ? .ready : .unavailable("no broker answers; changes wait in the outbox")
        }
        return [
            ServiceServer(context, listen: configuration.registry.listen), database, relay,
            OutboxListener(context, pool: database.pool, relay: relay, published: published),
            SignalReader(context, store: store, metrics: metrics, clock: now),
            try RegistryServer(context, methods: methods, published: published, metrics: metrics),
        ]
    }

    /// Milliseconds since 1970.
    @Sendable private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}
