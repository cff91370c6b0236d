import Ingestion
import LifeCycle
import ServiceSupport

@main struct Main: ServiceProgram {
    static let name = "event-ingestion"
    static let abstract = "Takes events in over HTTP and answers when Kafka has them."
    static let needs: Configuration.Needs = [.authentication]

    static func services(_ context: ServiceContext) async throws -> [any Service] { try ingestionServices(context) }
}
