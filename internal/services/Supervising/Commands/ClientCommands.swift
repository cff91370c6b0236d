internal import Flags
internal import LifeCycle
internal import Logs

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show an event's way, a retried one's, and a dead letter's, with a receiver of one's own.",
        discussion: "Exit code 0 only if each step happened.")
    @Option(valueName: "url", help: "The gateway; default: the local one.") var gateway: String?
    @Option(valueName: "url", help: "event-ingestion; default: the local one.") var ingestion: String?
    @Option(help: "Who logs in.") var username = "admin"
    @Option(help: "With which password.") var password = "password"
    @Flag(help: "As JSON.") var json = false
    @OptionGroup var system: SystemOptions

    func run() async throws {
        var options = DemoOptions()
        options.gatewayURL = localURL(gateway, system.local, \.gateway)
        options.ingestionURL = localURL(ingestion, system.local, \.ingestion)
        options.username = username
        options.password = password
        options.json = json
        _ = try await runDemo(options)
    }
}

struct SendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send", abstract: "Send one event, a file of them, or JSON lines from standard input.",
        discussion:
            "martlet send --type user.created --source me --data '{\"a\":1}'\nmartlet send events.jsonl\ncat events.jsonl | martlet send -"
    )
    @Argument(valueName: "file", help: "A JSON object or one a line; - is standard input.") var file: FilePath?
    @Option(help: "Of one event: its type.") var type: String?
    @Option(help: "Of one event: where it is from.") var source = "martlet-cli"
    @Option(help: "Of one event: its id; default: drawn.") var id: String?
    @Option(valueName: "json", help: "Of one event: its data.") var data = "{}"
    @Option(valueName: "key", help: "Of one event: its ordering key.") var orderingKey: String?
    @Option(valueName: "url", help: "event-ingestion; default: the local one.") var url: String?
    @Option(help: "Sent as a bearer token.") var token: String?
    @Option(help: "Requests under way at once.") var concurrency = 16
    @Flag(help: "As JSON.") var json = false
    @OptionGroup var system: SystemOptions

    func validate() throws {
        if file == nil, type == nil {
            throw ValidationError("give --type for one event, a file, or - for standard input")
        }
        if file != nil, type != nil { throw ValidationError("--type is for one event: leave it out with a file") }
    }

    func run() async throws {
        var options = SendOptions(input: input)
        options.baseURL = localURL(url, system.local, \.ingestion)
        options.token = token
        options.concurrency = concurrency
        options.json = json
        let summary = try await send(options)
        if !summary.succeeded { throw ExitCode.failure }
    }

    private var input: SendInput {
        if let path = file?.path { return path == "-" ? .standardInput : .file(path: path) }
        return .event(SendEvent(id: id, type: type ?? "", source: source, data: data, orderingKey: orderingKey))
    }
}

struct ListenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen", abstract: "Receive webhooks here, verify their signatures, and print what arrives.")
    @Option(help: "The port to listen on; 0: any.") var port = 9000
    @Option(valueName: "whsec_…", help: "A webhook's secret, or public key; repeatable.") var secret: [String] = []
    @Option(valueName: "n", help: "Answer the first n requests with 500.") var failFirst = 0
    @Option(valueName: "code", help: "What the others are answered with.") var status = 200
    @Option(valueName: "ms", help: "Hold each answer back.") var delay = 0
    @Flag(help: "One JSON object a request.") var json = false

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port \(port): expected 0 to 65535") }
    }

    func run() async throws {
        var options = ListenOptions()
        options.port = UInt16(port)
        options.secrets = secret
        options.failFirst = failFirst
        options.status = status
        options.delayMilliseconds = delay
        options.json = json
        LoggingSystem.bootstrap(LogOutput(service: "martlet", level: .critical, descriptor: 2))
        try await ServiceGroup(services: [ListenService(options)], logger: Logger(label: "martlet")).run()
    }
}
