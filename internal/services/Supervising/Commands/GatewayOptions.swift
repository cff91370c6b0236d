internal import Flags
internal import HTTPSending
internal import JSONScanning
internal import Records

/// Which gateway is meant, and who asks it.
struct GatewayOptions: ParsableArguments {
    @Option(valueName: "url", help: "The gateway; default: the local one.") var url: String?
    @Option(help: "Who logs in.") var username = "admin"
    @Option(help: "With which password.") var password = "password"
    @Option(help: "Shown instead of logging in.") var token: String?
    @OptionGroup var system: SystemOptions

    func connect() async throws(GatewayError) -> GatewayClient {
        var gateway = try GatewayClient(baseURL: localURL(url, system.local, \.gateway), token: token ?? "")
        guard token == nil else { return gateway }
        do throws(GatewayError) {
            try await gateway.logIn(username: username, password: password)
        } catch {
            throw GatewayError(description: "logging in as \(username): \(error)")
        }
        return gateway
    }
}

/// Where the local system's services are, for commands that talk to them.
func localURL(_ given: String?, _ state: LocalState, _ port: KeyPath<LocalPorts, UInt16>) -> String {
    given ?? "http://127.0.0.1:\((state.running()?.ports ?? LocalPorts())[keyPath: port])"
}

/// Throws `ValidationError` for what is no delivery's id, before anybody is asked.
func checkDeliveryID(_ text: String) throws(ValidationError) {
    guard DeliveryID(text) != nil else {
        throw ValidationError("'\(oneLine(text))' is no delivery's id: expected dlv_ and 32 hexadecimal digits")
    }
}

extension HTTPSendResult {
    /// The answer's body as it came, without a line end.
    var text: String { String(decoding: body, as: UTF8.self).trimmingLineEnd }

    /// Throws `GatewayError` where it is no JSON object.
    func object() throws(GatewayError) -> JSONValue {
        guard let answer = JSONValue(answer: body), case .object = answer else { throw GatewayClient.unexpected(self) }
        return answer
    }
}

extension String {
    fileprivate var trimmingLineEnd: String { last == "\n" ? String(dropLast()) : self }
}
