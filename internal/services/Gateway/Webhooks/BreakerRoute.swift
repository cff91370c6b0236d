internal import HTTPSending
internal import HTTPServing
internal import JSONScanning
internal import Records
internal import ServiceSupport
internal import Settings
internal import Tokens

/// `/api/v1/webhooks/{id}/breaker`: asks every dispatcher, each time. Each has a breaker of its own, and what it says is true when it says
/// so; states that dispatchers published would be old, and those of a dead one would stay.
struct BreakerRoute: Sendable {
    private static let timeoutMs = 2_000

    private let registry: RegistryCalls
    private let access: Access
    private let client: HTTPClient
    private let dispatchers: [HostPort]
    private let authorization: String

    /// Throws where the process has no descriptors left.
    init(_ configuration: Configuration, registry: RegistryCalls, access: Access) throws {
        self.registry = registry
        self.access = access
        client = try HTTPClient()
        dispatchers = configuration.gateway.dispatchers
        authorization = "Bearer \(configuration.internalCalls.token)"
    }

    var route: HTTPRoute {
        access.route("GET", "/api/v1/webhooks/{id}/breaker", .readWebhooks) { request, caller in
            _ = try request.parameters()
            var call = GetWebhookRequest()
            call.tenant = caller.tenant
            call.id = request.parameters["id"] ?? ""
            let webhook = try await registry.read(RegistryMethod.get, call, returning: GetWebhookReply.self).webhook
            let answers = await ask(webhook, requestID: request.requestID)
            return .json(Self.json(webhook, answers))
        }
    }

    /// What each dispatcher says, in the order of the configuration; nil: it does not answer, or does not know the webhook yet.
    private func ask(_ webhook: Webhook, requestID: String) async -> [(address: String, standing: JSONObject?)] {
        await withTaskGroup(of: (Int, JSONObject?).self) { group in
            for (index, dispatcher) in dispatchers.enumerated() {
                group.addTask { (index, await ask(dispatcher, webhook, requestID)) }
            }
            var answers = dispatchers.map { (address: $0.description, standing: JSONObject?.none) }
            for await (index, standing) in group { answers[index].standing = standing }
            return answers
        }
    }

    private func ask(_ dispatcher: HostPort, _ webhook: Webhook, _ requestID: String) async -> JSONObject? {
        let url =
            "http://\(dispatcher)/internal/v1/breakers/\(percentEncoded(webhook.id))?tenant="
            + percentEncoded(webhook.tenant)
        guard let endpoint = try? Endpoint(url) else { return nil }
        var headers = HeaderLines()
        headers.append("authorization", authorization)
        headers.append("x-request-id", requestID)
        let result = await client.send(
            .get, to: endpoint, headers: headers, timeoutMilliseconds: Self.timeoutMs,
            connectTimeoutMilliseconds: Self.timeoutMs)
        let answer = result.status == 200 ? try? JSONValue(parsing: result.body) : nil
        return if case .object(let standing) = answer { standing } else { nil }
    }

    /// The worst state of those that answered comes first; `null` where none did.
    static func json(_ webhook: Webhook, _ answers: [(address: String, standing: JSONObject?)]) -> [UInt8] {
        let states = Set(answers.compactMap { $0.standing?["state"]?.text })
        let worst = ["open", "half_open", "closed"].first(where: states.contains)
        var json = JSONWriter()
        json.object { json in
            json.member("webhook_id", webhook.id)
            json.key("state")
            if let worst { json.string(worst) } else { json.null() }
            json.member("enabled", webhook.enabled)
            json.member("paused", webhook.paused)
            json.key("dispatchers")
            json.array { json in
                for case (let address, let standing?) in answers {
                    json.object { json in
                        json.member("address", address)
                        for member in standing.members {
                            json.key(member.key)
                            json.value(member.value)
                        }
                    }
                }
            }
            json.key("silent")
            json.array { json in
                for answer in answers where answer.standing == nil { json.string(answer.address) }
            }
        }
        return json.bytes
    }
}
