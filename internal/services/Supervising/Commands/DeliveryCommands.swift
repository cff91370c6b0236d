internal import Flags
internal import HTTPSending
internal import JSONScanning

struct RetryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Try a waiting delivery now instead of when it is due.")
    @OptionGroup var delivery: SteeredDelivery

    func validate() throws { try checkDeliveryID(delivery.id) }
    func run() async throws { try await delivery.ask(for: "retry") }
}

struct CancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Close a waiting delivery: nothing more is sent for it.")
    @OptionGroup var delivery: SteeredDelivery

    func validate() throws { try checkDeliveryID(delivery.id) }
    func run() async throws { try await delivery.ask(for: "cancel") }
}

struct ResendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resend", abstract: "Deliver an event to its webhook once more, as a new delivery.",
        discussion: "For a delivery that has ended, however it did. Prints the new delivery's id.")
    @OptionGroup var delivery: SteeredDelivery

    func validate() throws { try checkDeliveryID(delivery.id) }
    func run() async throws { try await delivery.ask(for: "resend") }
}

/// One delivery that the user wants something done with.
struct SteeredDelivery: ParsableArguments {
    @Argument(valueName: "delivery-id", help: "dlv_…") var id: String
    @Flag(help: "As JSON: the API's answer.") var json = false
    @OptionGroup var gateway: GatewayOptions

    /// - Parameter what: the last part of the request's path.
    func ask(for what: String) async throws {
        let client = try await gateway.connect()
        let result = try await client.call(.post, "/api/v1/deliveries/\(id)/\(what)")
        CommandOutput.standard.result(json ? result.text : Self.text(of: try result.object()))
    }

    /// `dlv_…  pending  What that means.`, and which delivery a new one repeats.
    static func text(of answer: JSONValue) -> String {
        columns([
            answer["delivery_id"]?.text, answer["status"]?.text, answer["parent"]?.text.map { "repeats \($0)" },
            answer["explanation"]?.text,
        ])
    }
}
