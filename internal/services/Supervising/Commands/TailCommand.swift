internal import Flags
internal import LifeCycle
internal import Logs
internal import ServiceSupport

struct TailCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail", abstract: "Show attempts, dead letters or events as they come, straight from Kafka.",
        discussion: """
            One line a record, on standard output; what cannot be read is reported on standard error. It joins no consumer group: \
            looking on disturbs nobody.
            """)
    @Argument(help: "What to follow.") var topic: TailTopic
    @Flag(help: "One JSON object a record.") var json = false
    @Flag(help: "First what is there already.") var fromBeginning = false
    @Option(help: "Of this tenant only.") var tenant: String?
    @Option(valueName: "id", help: "Of this webhook only (attempts and dead letters).") var webhook: String?
    @Option(valueName: "n", help: "End after n records.") var count: Int?
    @OptionGroup var source: ConfigurationOptions

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count \(count): expected 1 or more") }
        if topic == .events, webhook != nil {
            throw ValidationError("events belong to no webhook: leave --webhook out, or follow attempts")
        }
    }

    func run() async throws {
        // What librdkafka has to say comes as errors, too.
        LoggingSystem.bootstrap(LogOutput(service: "martlet", level: .critical, descriptor: 2))
        let configuration = try source.load()
        let reader = configuration.logReader("martlet-tail", logger: Logger(label: "martlet"))
        let tail = Tail(options, topic: topic.name(in: configuration.kafka.topics))
        let group = GroupBox()
        let service = ClosureService(name: "tail") {
            try await cancelWhenGracefulShutdown { try await tail.run(reader) }
            group.stop()
            await gracefulShutdown()
        }
        let made = ServiceGroup(services: [service], logger: Logger(label: "martlet"))
        group.set(made)
        try await made.run()
    }

    private var options: TailOptions {
        TailOptions(
            topic: topic, json: json, fromBeginning: fromBeginning, tenant: tenant, webhook: webhook, count: count)
    }
}

extension TailTopic {
    func name(in topics: Topics) -> String {
        switch self {
        case .attempts: topics.attempts
        case .deadLetters: topics.deadLetters
        case .events: topics.events
        }
    }
}
