import LifeCycle
import Retrying
import ServiceSupport

@main struct Main: ServiceProgram {
    static let name = "retry-manager"
    static let abstract = "Fires the deliveries that wait for another attempt when they are due."
    static let needs: Configuration.Needs = []

    static func services(_ context: ServiceContext) async throws -> [any Service] { retryServices(context) }
}
