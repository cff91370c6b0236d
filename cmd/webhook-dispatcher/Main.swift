import Dispatching
import LifeCycle
import ServiceSupport

@main struct Main: ServiceProgram {
    static let name = "webhook-dispatcher"
    static let abstract = "Sends events to the webhooks that subscribed, and records what became of each."
    static let needs: Configuration.Needs = [.sealing, .internalCalls]

    static func services(_ context: ServiceContext) async throws -> [any Service] { try dispatcherServices(context) }

    static func stopsWithin(_ configuration: Configuration) -> Duration { Dispatcher.stopsWithin(configuration) }
}
