internal import Kafka
public import LifeCycle
internal import Logs

/// Sees to it, while the service starts, that its topics are there and as they must be. A wrong one ends the service with what to do;
/// a Kafka that is away is waited for.
public final class TopicsService: Service {
    public let name = "TopicsService"
    private let context: ServiceContext
    private let whenReady: @Sendable () -> Void

    /// - Parameter whenReady: Called when the topics are there and right.
    public init(_ context: ServiceContext, whenReady: @escaping @Sendable () -> Void = {}) {
        self.context = context
        self.whenReady = whenReady
    }

    public func run() async throws {
        let keeper = try TopicKeeper(context.configuration, clientID: context.name, logger: context.logger)
        do {
            try await cancelWhenGracefulShutdown { try await keeper.ensure() }
        } catch is CancellationError {
            return
        }
        whenReady()
        await gracefulShutdown()
    }
}
