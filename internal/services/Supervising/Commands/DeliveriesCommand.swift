internal import Flags
internal import HTTPSending
internal import JSONScanning

/// How an undelivered delivery stands.
enum UndeliveredState: String, CaseIterable, ExpressibleByArgument {
    case pending, retrying, parked, dead
}

struct DeliveriesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deliveries", abstract: "List what is not delivered: what waits, or what was given up.",
        discussion: "Newest first. Without --status: all that waits.")
    @Option(help: "How they stand; dead: given up, and neither requeued nor discarded.")
    var status: UndeliveredState?
    @Option(valueName: "id", help: "To this webhook.") var webhook: String?
    @Option(valueName: "n", help: "At most so many; default: as the API decides.") var limit: Int?
    @Option(help: "Go on where a list ended.") var cursor: String?
    @Flag(help: "As JSON: the API's answer.") var json = false
    @OptionGroup var gateway: GatewayOptions

    func run() async throws {
        let query = [
            ("state", status?.rawValue), ("webhook", webhook), ("limit", limit.map { "\($0)" }), ("cursor", cursor),
        ]
        let result = try await gateway.connect().call(.get, "/api/v1/deliveries", query: query)
        let output = CommandOutput.standard
        guard !json else { return output.result(result.text) }
        let answer = try result.object()
        guard let deliveries = answer["data"]?.elements else { throw GatewayClient.unexpected(result) }
        for delivery in deliveries { output.result(text(of: delivery)) }
        if deliveries.isEmpty { output.result("There are no such deliveries.") }
        if let next = answer["next"]?.text { output.note("There are more: --cursor \(oneLine(next))") }
    }

    private func text(of delivery: JSONValue) -> String {
        columns([
            delivery["first_seen_at"]?.text, delivery["id"]?.text, delivery["webhook_id"]?.text,
            delivery["event_type"]?.text, delivery["status"]?.text, delivery["explanation"]?.text,
        ])
    }
}
