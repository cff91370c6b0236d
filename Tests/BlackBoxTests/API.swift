import HTTPSending
import JSONScanning
import ServiceSupport
import TestSupport

/// Martlet's HTTP interfaces, as any client sees them.
struct API: Sendable {
    struct Answer: Sendable {
        var status: Int
        var headers: [HTTPSendHeader]
        var body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }
        /// nil where it is no JSON.
        var json: JSONValue? { try? JSONValue(parsing: body) }
        subscript(key: String) -> JSONValue? { json?[key] }
        func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
    }

    private let client: HTTPClient
    let gateway: String
    let ingestion: String
    private let dispatcher: String
    let token: String

    /// Logs `admin` in, whom the development profile has.
    static func loggedIn(_ configuration: Configuration) async throws -> API {
        let guest = API(
            client: try HTTPClient(), gateway: "http://\(configuration.gateway.listen)",
            ingestion: "http://\(configuration.ingestion.listen)",
            dispatcher: "http://\(configuration.dispatcher.listen)", token: "")
        let answer = try await guest.call(
            .post, guest.gateway + "/auth/login", json: #"{"username":"admin","password":"password"}"#)
        guard let token = answer["token"]?.text else {
            throw ChildProcess.Failure(description: "login answered \(answer.status): \(answer.text)")
        }
        return guest.bearing(token)
    }

    /// The same with another token; with an empty one, none is sent.
    func bearing(_ token: String) -> API {
        API(client: client, gateway: gateway, ingestion: ingestion, dispatcher: dispatcher, token: token)
    }

    func call(
        _ method: HTTPSendMethod, _ url: String, json body: String? = nil, contentType: String = "application/json",
        headers extra: [(String, String)] = []
    ) async throws -> Answer {
        var headers = HeaderLines()
        if !token.isEmpty { headers.append("authorization", "Bearer \(token)") }
        if body != nil { headers.append("content-type", contentType) }
        for (name, value) in extra { headers.append(name, value) }
        let result = await client.send(
            method, to: try Endpoint(url), headers: headers, body: Array((body ?? "").utf8))
        guard result.failure == nil else { throw ChildProcess.Failure(description: "\(url): \(result.message)") }
        return Answer(status: result.status, headers: result.headers, body: result.body)
    }

    func webhooks() async throws -> Answer { try await call(.get, gateway + "/api/v1/webhooks?limit=100") }

    /// A webhook that was made: its id and the secret that is shown once.
    struct Webhook: Sendable {
        var id: String
        var secret: String
    }

    /// Makes a webhook, and returns when the dispatcher knows it.
    func createWebhook(url: String, types: [String], headers: String = "{}", scheduleMs: [Int]? = nil) async throws
        -> Webhook
    {
        let list = types.map { "\"\($0)\"" }.joined(separator: ",")
        let retry = scheduleMs.map { #","retry":{"schedule_ms":\#($0)}"# } ?? ""
        let answer = try await call(
            .post, gateway + "/api/v1/webhooks",
            json: #"{"url":"\#(url)","event_types":[\#(list)],"headers":\#(headers)\#(retry)}"#)
        guard answer.status == 201, let id = answer["id"]?.text, let secret = answer["secret"]?.text else {
            throw ChildProcess.Failure(description: "creating a webhook: \(answer.status) \(answer.text)")
        }
        try await awaitRouting()
        return Webhook(id: id, secret: secret)
    }

    func deleteWebhook(_ id: String) async throws {
        let answer = try await call(.delete, gateway + "/api/v1/webhooks/\(id)")
        guard answer.status == 204 else {
            throw ChildProcess.Failure(description: "deleting a webhook: \(answer.status) \(answer.text)")
        }
        try await awaitRouting()
    }

    /// A change is answered when topic `webhooks` has it, milliseconds before the dispatcher: an event routed between them would miss
    /// it. Returns when the dispatcher has as many webhooks as the API tells, which after every single change proves that it has it.
    private func awaitRouting() async throws {
        let expected = "webhook_table_webhooks \(try await webhooks()["data"]?.elements?.count ?? -1)"
        let isKnown = try await eventually {
            try await call(.get, dispatcher + "/metrics").text.split(separator: "\n").contains { $0 == expected }
        }
        guard isKnown else { throw ChildProcess.Failure(description: "the dispatcher does not tell \(expected)") }
    }

    /// Sends an event to ingestion; returns its id.
    @discardableResult
    func send(_ event: String) async throws -> String {
        let answer = try await call(.post, ingestion + "/events", json: event)
        guard answer.status == 202, let id = answer["id"]?.text else {
            throw ChildProcess.Failure(description: "sending an event: \(answer.status) \(answer.text)")
        }
        return id
    }
}
