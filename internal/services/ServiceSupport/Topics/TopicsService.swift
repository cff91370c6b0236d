internal import Kafka
public import LifeCycle
internal import Logs

/// Sees to it, while the service starts, that its topics are there and as they must be. A wrong one ends the service with what to do;
/// a Kafka that is away is waited for.
public final class TopicsService: Service {
    public let name = "TopicsService"
    private let context: ServiceContext

    public init(_ context: ServiceContext) { self.context = context }

    public func run() async throws {
        let keeper = try TopicKeeper(context.configuration, clientID: context.name, logger: context.logger)
        do {
            try await cancelWhenGracefulShutdown { try await keeper.ensure() }
        } catch is CancellationError {
            return
        }
        await gracefulShutdown()
    }
}
