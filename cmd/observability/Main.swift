internal import LifeCycle
internal import Observing
internal import ServiceSupport

@main struct Main: ServiceProgram {
    static let name = "observability"
    static let abstract = "Keeps the history of deliveries and answers questions about it."
    static let needs: Configuration.Needs = [.postgres, .internalCalls]

    static func services(_ context: ServiceContext) async throws -> [any Service] {
        try ObservabilityService.services(context)
    }
}
