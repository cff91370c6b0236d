internal import LifeCycle
internal import Logs
internal import Postgres
internal import ServiceSupport

/// The pool's life, the check that its schema is this program's, and in the development profile its user. While the database is away
/// nobody can log in; everything else goes on.
final class GatewayDatabase: Service {
    let name = "GatewayDatabase"
    let pool: PostgresPool
    private let users: UserStore
    private let logger: Logger
    private let isDevelopment: Bool
    /// In the development profile it is told when its user is there, so that whoever waits for `/ready` can log in.
    private let seeding: ReadinessFlag?

    /// Makes the pool; nothing connects before it is used.
    init(_ context: ServiceContext, pool: PostgresPool, users: UserStore) {
        self.pool = pool
        self.users = users
        logger = context.logger
        isDevelopment = context.configuration.isDevelopment
        seeding = isDevelopment ? context.readiness.register("users") : nil
        context.readiness.register("postgres", isRequired: false) {
            do {
                try await pool.query("SELECT 1", timeoutMilliseconds: 1_500)
                return .ready
            } catch {
                return .unavailable("\(error)")
            }
        }
    }

    static func pool(_ context: ServiceContext) throws -> PostgresPool {
        var configuration = context.configuration.postgres.pool(context.name)
        // While the database is away, who logs in shall hear so soon.
        configuration.acquireTimeoutMilliseconds = 2_000
        configuration.statementTimeoutMilliseconds = 5_000
        let limiter = LogLimiter(every: .seconds(5))
        return try PostgresPool(configuration) { [logger = context.logger] event in
            switch event {
            case .connected: break
            case .lost(let error) where error.kind == .cancelled: break
            case .connectFailed(let error, _), .lost(let error):
                logger.warning("the database is away", metadata: [LogKey.error: "\(error)"], limit: limiter)
            }
        }
    }

    /// Throws `MigrationError` where the schema is not what this program needs.
    func run() async throws {
        pool.start()
        do {
            try await cancelWhenGracefulShutdown { [self] in try await prepare() }
            await gracefulShutdown()
        } catch is CancellationError {}
        await pool.close(graceMilliseconds: 1_000)
    }

    private func prepare() async throws {
        while true {
            do {
                try await SchemaMigrations.of("gateway").verify(pool)
                if isDevelopment { try await users.addDefault(Self.defaultUser, password: Self.defaultPassword) }
                seeding?.set(.ready)
                return
            } catch let error as PostgresError {
                seeding?.set(.unavailable("\(error)"))
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    static let defaultUser = User(username: "admin", tenant: "default")
    static let defaultPassword = "password"
}
