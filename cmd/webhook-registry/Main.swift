import LifeCycle
import Registry
import ServiceSupport

@main struct Main: ServiceProgram {
    static let name = "webhook-registry"
    static let abstract =
        "Keeps the webhooks: gRPC in front, PostgreSQL behind, and Kafka's topic webhooks told of every change."
    static let needs: Configuration.Needs = [.postgres, .sealing, .internalCalls]

    static func services(_ context: ServiceContext) async throws -> [any Service] { try Registry.services(context) }
}
