internal import LifeCycle
internal import Logs
internal import Postgres
internal import ServiceSupport

/// Hears from the database when records come into the outbox and when they have been published, from whatever process. Only for speed:
/// the relay looks by itself every second, and who waits for a publication looks into the table in the end.
final class OutboxListener: Service {
    let name = "OutboxListener"
    private let pool: PostgresPool
    private let relay: OutboxRelay
    private let published: PublishedRecords
    private let logger: Logger
    private let limiter = LogLimiter(every: .seconds(5))

    init(_ context: ServiceContext, pool: PostgresPool, relay: OutboxRelay, published: PublishedRecords) {
        self.pool = pool
        self.relay = relay
        self.published = published
        logger = context.logger
    }

    func run() async throws {
        try await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                do {
                    try await listen()
                } catch {
                    guard !Task.isCancelled else { return }
                    logger.warning(
                        "notifications are not heard", metadata: [LogKey.error: "\(error)"], limit: limiter)
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func listen() async throws {
        try await pool.withConnection { session in
            let notifications = try await session.listen(Outbox.channel)
            relay.wake()
            for await notification in notifications {
                if notification.payload.isEmpty {
                    relay.wake()
                } else {
                    published.published(notification.payload.split(separator: ",").compactMap { Int64($0) })
                }
            }
        }
    }
}
