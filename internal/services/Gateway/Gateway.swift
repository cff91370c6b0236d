internal import Cryptography
internal import GRPC
internal import Ingestion
public import LifeCycle
internal import Logs
public import ServiceSupport

/// The API: users log in here, manage their tenant's webhooks, send events, and ask what became of them.
///
/// ```
///  /auth/login ───────────────► users in PostgreSQL
///  /api/v1/webhooks ──gRPC────► webhook-registry
///  POST /api/v1/events ───────► Kafka, as event-ingestion does
///  /api/v1/events, /deliveries,
///     /webhooks/{id}/…,
///     /dead-letters ───HTTP───► observability
///  retry, cancel, resend,
///     test, requeue ──────────► Kafka, by what observability tells
/// ```
///
/// Each of these may be away: only the routes that need it answer 503 then.
public enum Gateway {
    /// The parts of the process, in the order in which they depend on each other.
    public static func services(_ context: ServiceContext) throws -> [any Service] {
        let configuration = context.configuration
        let tokens = try BearerTokens(configuration.auth)
        let access = Access(tokens: tokens, logger: context.logger)
        let registry = try RegistryCalls(configuration)
        let history = try HistoryCalls(configuration)
        let kafka = SteeringKafka(context)
        let steering = Steering(
            configuration, kafka: kafka, history: history, registry: registry, logger: context.logger)
        let hasher = PasswordHasher()
        let pool = try GatewayDatabase.pool(context)
        let users = UserStore(pool: pool, hasher: hasher)
        GRPCLog.forward { [logger = context.logger] message in
            logger.debug("gRPC", metadata: [LogKey.reason: "\(message)"])
        }
        context.readiness.register("registry", isRequired: false) { await registry.readiness }
        context.readiness.register("observability", isRequired: false) { await history.readiness }
        let routes =
            Login(context, users: users, hasher: hasher, authority: tokens.authority).routes
            + WebhookRoutes(registry: registry, access: access).routes
            + [try BreakerRoute(configuration, registry: registry, access: access).route]
            + HistoryRoutes(history: history, registry: registry, access: access).routes
            + steering.routes(access)
        let events = try eventRoutes(context, at: "/api/v1/events", isOpen: false, isRequired: false)
        let server = ServiceServer(
            context, listen: configuration.gateway.listen, routes: routes, directRoutes: events)
        let registryLife = ClosureService(name: "RegistryCalls") {
            await gracefulShutdown()
            await registry.close()
        }
        return [
            TopicsService(context), GatewayDatabase(context, pool: pool, users: users), registryLife, kafka, server,
        ]
    }
}
