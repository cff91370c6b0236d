internal import Flags
internal import Glibc
public import LifeCycle
public import Logs
public import Metrics
internal import Settings

/// Which release this is.
public let martletVersion = "0.1.0"

/// What a service is made from.
public struct ServiceContext: Sendable {
    /// `event-ingestion`
    public let name: String
    public let configuration: Configuration
    public let logger: Logger
    public let metrics: MetricsRegistry
    /// What `/ready` asks.
    public let readiness: Readiness
    /// What `/health` asks.
    public let liveness = Liveness()

    public init(
        name: String, configuration: Configuration, logger: Logger, metrics: MetricsRegistry = MetricsRegistry(),
        readiness: Readiness = Readiness()
    ) {
        self.name = name
        self.configuration = configuration
        self.logger = logger
        self.metrics = metrics
        self.readiness = readiness
    }
}

/// One of the executables: what its `@main` type conforms to.
///
///     @main struct Main: ServiceProgram {
///         static let name = "event-ingestion"
///         static let abstract = "Takes events in over HTTP."
///         static let needs: Configuration.Needs = [.authentication]
///         static func services(_ context: ServiceContext) async throws -> [any Service] { … }
///     }
public protocol ServiceProgram: SendableMetatype {
    static var name: String { get }
    /// One sentence for `--help`.
    static var abstract: String { get }
    /// The secrets without which it must not start in production.
    static var needs: Configuration.Needs { get }
    /// Makes the services, in the order in which they depend on each other. Nothing runs yet, so nothing is waited for here.
    static func services(_ context: ServiceContext) async throws -> [any Service]
    /// How long stopping may take altogether.
    static func stopsWithin(_ configuration: Configuration) -> Duration
}

extension ServiceProgram {
    public static func stopsWithin(_ configuration: Configuration) -> Duration { .seconds(10) }

    /// Runs until a signal or a failure. Exit codes: 0 stopped as asked, 1 failed, 64 wrong words, 78 wrong configuration.
    public static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        MainThread.run { await ServiceCommand<Self>.execute(words) }
    }
}

/// The command line of a service.
struct ServiceCommand<Program: ServiceProgram>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: Program.name, abstract: Program.abstract,
            discussion: "Every key of the configuration can be overridden by an environment variable: see config.yaml.",
            version: martletVersion)
    }

    @Option(name: .customLong("config"), valueName: "file", help: "The YAML file with the configuration.")
    var file: String?

    func run() async throws {
        let output = LogOutput(service: Program.name)
        LoggingSystem.bootstrap(output)
        let logger = Logger(label: Program.name)
        let configuration = try load(logger)
        output.level = configuration.logLevel
        let metrics = MetricsRegistry()
        metrics.registerProcessMetrics()
        metrics.gauge("webhook_build_info", help: "1, for the release that runs.", labels: ["service", "version"])
            .labelled(Program.name, martletVersion).set(1)
        let context = ServiceContext(
            name: Program.name, configuration: configuration, logger: logger, metrics: metrics)
        do {
            // Last, so that it stops first: no new work is sent to what begins to stop.
            let gate = ClosureService(name: "ReadinessGate") {
                await gracefulShutdown()
                context.readiness.stop()
            }
            let services = try await Program.services(context) + [gate]
            logger.info("starting", metadata: [LogKey.profile: "\(configuration.profile)"])
            try await ServiceGroup(
                services: services, stopsWithin: Program.stopsWithin(configuration), logger: logger
            ).run()
            logger.info("stopped")
        } catch {
            logger.critical("failed", metadata: [LogKey.error: "\(error)"])
            Self.complain("\(error)")
            throw ExitCode.failure
        }
    }

    private func load(_ logger: Logger) throws(ExitCode) -> Configuration {
        do {
            return try Configuration.load(file: file, needs: Program.needs)
        } catch {
            for problem in error.problems {
                logger.critical("the configuration is wrong", metadata: [LogKey.error: "\(problem)"])
                Self.complain("configuration: \(problem)")
            }
            throw ExitCode(EX_CONFIG)
        }
    }

    /// One line for whoever looks at the terminal; the log says the same for machines.
    private static func complain(_ text: String) {
        let line = Array("\(Program.name): \(text)\n".utf8)
        _ = write(2, line, line.count)
    }
}
