import Gateway
import LifeCycle
import ServiceSupport

@main struct Main: ServiceProgram {
    static let name = "api-gateway"
    static let abstract = "Serves the API: logins, webhooks, events, and what became of them."
    static let needs: Configuration.Needs = [.postgres, .authentication, .internalCalls]

    static func services(_ context: ServiceContext) async throws -> [any Service] { try Gateway.services(context) }
}
