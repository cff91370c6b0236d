internal import LifeCycle
internal import Logs
internal import Postgres
internal import ServiceSupport

/// The pool's life, and the check that its schema is this program's.
final class Database: Service {
    let name = "Database"
    let pool: PostgresPool
    private let logger: Logger
    private let readiness: ReadinessFlag

    /// Makes the pool; nothing connects before it is used.
    init(_ context: ServiceContext) throws {
        logger = context.logger
        let limiter = LogLimiter(every: .seconds(5))
        var configuration = context.configuration.postgres.pool(context.name)
        // While the database is away callers shall hear so soon, and try again.
        configuration.acquireTimeoutMilliseconds = 2_000
        // One listens and one holds the relay's lock, for as long as the process lives.
        configuration.maximumConnections += 2
        pool = try PostgresPool(configuration) { [logger] event in
            switch event {
            case .connected: break
            case .lost(let error) where error.kind == .cancelled: break
            case .connectFailed(let error, _), .lost(let error):
                logger.warning("the database is away", metadata: [LogKey.error: "\(error)"], limit: limiter)
            }
        }
        readiness = context.readiness.register("schema")
        context.readiness.register("postgres") { [pool] in
            do {
                try await pool.query("SELECT 1", timeoutMilliseconds: 1_500)
                return .ready
            } catch {
                return .unavailable("\(error)")
            }
        }
    }

    /// Throws `MigrationError` where the schema is not what this program needs.
    func run() async throws {
        pool.start()
        try await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                do {
                    try await SchemaMigrations.of("registry").verify(pool)
                    readiness.set(.ready)
                    return
                } catch is PostgresError {
                    try? await Task.sleep(for: .milliseconds(500))
                }
            }
        }
        await gracefulShutdown()
        await pool.close(graceMilliseconds: 1_000)
    }
}
