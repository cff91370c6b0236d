internal import Flags
internal import HTTPSending
internal import JSONScanning

struct DeadLetterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlq", abstract: "Dead letters: deliveries that were given up.",
        subcommands: [DeadLetterListCommand.self, DeadLetterRequeueCommand.self, DeadLetterDiscardCommand.self])
}

/// Which dead letters are meant.
struct DeadLetterFilters: ParsableArguments {
    @Option(valueName: "id", help: "Of this webhook.") var webhook: String?
    @Option(help: "Of events of this type.") var type: String?
    @Option(help: "Given up for this reason.") var reason: String?
    @Option(valueName: "time", help: "Given up at this time or later, such as 2026-05-06T07:00:00Z.") var from: String?
    @Option(valueName: "time", help: "Given up before this time.") var to: String?

    /// As the API names them.
    var members: [(String, String?)] {
        [("webhook_id", webhook), ("type", type), ("reason", reason), ("from", from), ("to", to)]
    }

    var isEmpty: Bool { members.allSatisfy { $0.1 == nil } }
}

/// What has become of a dead letter.
enum DeadLetterState: String, CaseIterable, ExpressibleByArgument {
    case open, requeued, discarded
}

struct DeadLetterListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List dead letters.")
    @OptionGroup var filters: DeadLetterFilters
    @Option(help: "What became of them.") var status = DeadLetterState.open
    @Option(valueName: "n", help: "At most so many; default: as the API decides.") var limit: Int?
    @Option(help: "Go on where a list ended.") var cursor: String?
    @Flag(help: "As JSON: the API's answer.") var json = false
    @OptionGroup var gateway: GatewayOptions

    func run() async throws {
        let query =
            filters.members + [("state", status.rawValue), ("limit", limit.map { "\($0)" }), ("cursor", cursor)]
        let result = try await gateway.connect().call(.get, "/api/v1/dead-letters", query: query)
        let output = CommandOutput.standard
        guard !json else { return output.result(result.text) }
        let answer = try result.object()
        guard let letters = answer["data"]?.elements else { throw GatewayClient.unexpected(result) }
        for letter in letters { output.result(text(of: letter)) }
        if letters.isEmpty { output.result("There are no such dead letters.") }
        if let next = answer["next"]?.text { output.note("There are more: --cursor \(oneLine(next))") }
    }

    private func text(of letter: JSONValue) -> String {
        let requests = letter["attempt_count"]?.integer.map { $0 == 1 ? "1 request" : "\($0) requests" }
        let (reason, failure) = (letter["reason"]?.text, letter["failure"]?.text)
        return columns([
            letter["dead_at"]?.text, letter["delivery_id"]?.text, letter["webhook_id"]?.text,
            letter["event_type"]?.text, letter["last_status"]?.integer.map { "status \($0)" }, requests, reason,
            failure == reason ? nil : failure, letter["requeued_as"]?.text.map { "requeued as \($0)" },
        ])
    }
}

struct DeadLetterRequeueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "requeue",
        abstract: "Deliver dead letters again: those with these ids, or all that filters match.",
        discussion: "Each becomes a new delivery. Exit code 1 where one could not be requeued.")
    @Argument(valueName: "delivery-id", help: "dlv_…; repeatable.") var ids: [String] = []
    @OptionGroup var filters: DeadLetterFilters
    @Flag(help: "All that are open, where no filter is given.") var all = false
    @Flag(help: "Only count what the filters match.") var dryRun = false
    @Option(valueName: "n", help: "Requeue at most so many; default: as the API decides.") var limit: Int?
    @Flag(help: "As JSON: the API's answer, one a line.") var json = false
    @OptionGroup var gateway: GatewayOptions

    func validate() throws {
        for id in ids { try checkDeliveryID(id) }
        if ids.isEmpty, filters.isEmpty, !all {
            throw ValidationError("give ids, a filter (--webhook, --type, --reason, --from, --to), or --all")
        }
        if !ids.isEmpty, !filters.isEmpty || all || dryRun || limit != nil {
            throw ValidationError("filters, --all, --dry-run and --limit go without ids")
        }
    }

    func run() async throws {
        let client = try await gateway.connect()
        guard ids.isEmpty else {
            return try await forEach(ids) { id in
                let result = try await client.call(.post, "/api/v1/dead-letters/\(id)/requeue")
                return json ? result.text : "\(id)  requeued as \(try result.object()["delivery_id"]?.text ?? "?")"
            }
        }
        let result = try await client.call(.post, "/api/v1/dead-letters/requeue", body: body)
        let answer = try result.object()
        CommandOutput.standard.result(json ? result.text : try text(of: answer, result))
        if let failed = answer["failed"]?.integer, failed > 0 { throw ExitCode.failure }
    }

    private var body: String {
        jsonLine { writer in
            writer.object { writer in
                for case (let name, let value?) in filters.members { writer.member(name, value) }
                // The API takes it only where nothing narrows the choice.
                if filters.isEmpty { writer.member("all", true) }
                writer.member("dry_run", dryRun)
                if let limit { writer.member("limit", limit) }
            }
        }
    }

    private func text(of answer: JSONValue, _ result: HTTPSendResult) throws -> String {
        guard let matched = answer["matched"]?.integer, let requeued = answer["requeued"]?.integer else {
            throw GatewayClient.unexpected(result)
        }
        let letters = matched == 1 ? "1 dead letter" : "\(matched) dead letters"
        if dryRun { return "\(letters) would be requeued." }
        let failed = answer["failed"]?.integer ?? 0
        let rest = matched - requeued - failed
        return "Requeued \(requeued) of \(letters)." + (failed > 0 ? " \(failed) could not be." : "")
            + (rest > 0 ? " Run it again for the other \(rest)." : "")
    }
}

struct DeadLetterDiscardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard", abstract: "Close dead letters for good: they are not delivered.",
        discussion: "Exit code 1 where one could not be discarded.")
    @Argument(valueName: "delivery-id", help: "dlv_…; repeatable.") var ids: [String]
    @Flag(help: "As JSON, one a line.") var json = false
    @OptionGroup var gateway: GatewayOptions

    func validate() throws { for id in ids { try checkDeliveryID(id) } }

    func run() async throws {
        let client = try await gateway.connect()
        try await forEach(ids) { id in
            _ = try await client.call(.post, "/api/v1/dead-letters/\(id)/discard")
            return json ? #"{"delivery_id":"\#(id)","state":"discarded"}"# : "\(id)  discarded"
        }
    }
}

/// Does something with each dead letter and prints what comes of it; those that fail are reported, and the exit code is 1.
private func forEach(_ ids: [String], _ body: (String) async throws -> String) async throws {
    var hasFailed = false
    for id in ids {
        do {
            CommandOutput.standard.result(try await body(id))
        } catch let error as GatewayError {
            CommandOutput.standard.note("Error: \(id): \(error)")
            hasFailed = true
        }
    }
    if hasFailed { throw ExitCode.failure }
}
