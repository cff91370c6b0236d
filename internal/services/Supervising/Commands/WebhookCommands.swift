internal import Flags
internal import HTTPSending
internal import JSONScanning

struct PauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Hold back what is for a webhook, until it is resumed.")
    @OptionGroup var webhook: HeldWebhook

    func run() async throws { try await webhook.ask(for: "pause") }
}

struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Send to a paused webhook again; what waited follows within a minute or so.")
    @OptionGroup var webhook: HeldWebhook

    func run() async throws { try await webhook.ask(for: "resume") }
}

/// One webhook that the user wants something done with.
struct HeldWebhook: ParsableArguments {
    @Argument(valueName: "webhook-id", help: "wh_…") var id: String
    @Flag(help: "As JSON: the API's answer.") var json = false
    @OptionGroup var gateway: GatewayOptions

    /// - Parameter what: the last part of the request's path.
    func ask(for what: String) async throws {
        let client = try await gateway.connect()
        let result = try await client.call(.post, "/api/v1/webhooks/\(percentEncoded(id))/\(what)")
        CommandOutput.standard.result(json ? result.text : Self.text(of: try result.object()))
    }

    /// `wh_…  paused  https://example.org/hook`
    private static func text(of answer: JSONValue) -> String {
        let state = answer["paused"] == .boolean(true) ? "paused" : "not paused"
        return columns([answer["id"]?.text, state, answer["url"]?.text])
    }
}
