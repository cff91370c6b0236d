internal import GRPC
internal import LifeCycle
internal import Logs
internal import Metrics
internal import Records
internal import ServiceSupport
internal import Settings
internal import Synchronization

/// The gRPC side: serves until shutdown, then answers what is under way.
final class RegistryServer: Service {
    let name = "RegistryServer"
    private let server: GRPCServer
    private let address: HostPort
    private let published: PublishedRecords
    private let logger: Logger
    private let health: Health

    private final class Health: Sendable {
        let isServing = Atomic<Bool>(false)
    }

    /// Throws where a certificate's file cannot be read.
    init(
        _ context: ServiceContext, methods: RegistryMethods, published: PublishedRecords, metrics: RegistryMetrics
    ) throws {
        let settings = context.configuration.registry
        let logger = context.logger
        let health = Health()
        self.logger = logger
        self.health = health
        self.published = published
        address = settings.listenGRPC
        var configuration = GRPCServer.Configuration()
        configuration.host = address.host
        configuration.port = address.port
        configuration.maxMessageBytes = 1 << 20
        configuration.identity = try settings.tls.map { files in
            GRPCIdentity(
                roots: try TLSFiles.read(files.authority), certificate: try TLSFiles.read(files.certificate),
                privateKey: try TLSFiles.read(files.key))
        }
        configuration.observe = { Self.observe($0, metrics, logger) }
        var all = methods.methods
        GRPCHealth(services: [RegistryMethod.service]) { health.isServing.load(ordering: .acquiring) }
            .register(in: &all)
        server = GRPCServer(configuration, methods: all)
    }

    /// Throws `GRPCListenError` where it cannot listen.
    func run() async throws {
        let port = try server.start()
        health.isServing.store(true, ordering: .releasing)
        logger.info(
            "listening for gRPC", metadata: [LogKey.address: "\(HostPort(host: address.host, port: port))"])
        await gracefulShutdown()
        health.isServing.store(false, ordering: .releasing)
        // Changes are stored: who waits for Kafka's acknowledgement is answered now, that it is pending.
        published.stopWaiting()
        await server.shutdown(grace: .seconds(3))
    }

    private static func observe(_ report: GRPCCallReport, _ metrics: RegistryMetrics, _ logger: Logger) {
        let method = report.method.map { String($0[($0.lastIndex(of: "/").map($0.index(after:)) ?? $0.startIndex)...]) }
        let label = method ?? "unknown"
        metrics.calls.labelled(label, "\(report.status.code)").increment()
        metrics.callDuration.labelled(label).observe(report.duration / .seconds(1))
        guard report.status.code == .internal else { return }
        logger.error(
            "a call failed",
            metadata: [
                LogKey.method: "\(label)", LogKey.error: "\(report.error.map { "\($0)" } ?? report.status.message)",
            ])
    }
}
