internal import HTTPSending

/// The gateway's API as the demo uses it. Each call throws a `DemoError` that names its step.
struct DemoGateway: Sendable {
    private let client: HTTPClient
    private let baseURL: String
    private var token = ""

    init(baseURL: String) throws(DemoError) {
        do {
            client = try HTTPClient()
        } catch {
            throw DemoError(step: "starting", reason: "\(error)")
        }
        self.baseURL = baseURL
    }

    /// The token is for the calls that follow; returns it for other services.
    mutating func logIn(username: String, password: String) async throws(DemoError) -> String {
        let answer = try await call(
            "logging in", .post, "/auth/login", body: ["username": username, "password": password], Login.self)
        token = answer.token
        return token
    }

    private struct Login: Decodable {
        let token: String

        private enum Keys: String, CodingKey {
            case token
            case accessToken = "access_token"
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Keys.self)
            token =
                try values.decodeIfPresent(String.self, forKey: .accessToken)
                ?? values.decode(
                    String.self, forKey: .token)
        }
    }

    struct CreatedWebhook: Decodable, Sendable {
        var id: String
        /// `whsec_…`: shown this once.
        var secret: String
    }

    private struct NewWebhook: Encodable {
        var url: String
        var event_types: [String]
        var description: String
    }

    func createWebhook(url: String, eventTypes: [String], description: String) async throws(DemoError) -> CreatedWebhook
    {
        try await call(
            "creating a webhook", .post, "/api/v1/webhooks",
            body: NewWebhook(url: url, event_types: eventTypes, description: description), CreatedWebhook.self)
    }

    private struct WebhookPage: Decodable {
        struct Entry: Decodable {
            var id: String
            var description: String?
        }
        var data: [Entry]
        var next: String?
    }

    /// Removes the webhooks of this description: what an earlier demo that was interrupted left.
    func deleteWebhooks(description: String) async throws(DemoError) {
        var found: [String] = []
        var cursor: String?
        for _ in 0..<100 {
            let query = cursor.map { "?cursor=\($0)" } ?? ""
            let page = try await call(
                "listing webhooks", .get, "/api/v1/webhooks" + query, body: String?.none, WebhookPage.self)
            found += page.data.filter { $0.description == description }.map(\.id)
            guard let next = page.next else { break }
            cursor = next
        }
        for id in found { try await deleteWebhook(id: id) }
    }

    func deleteWebhook(id: String) async throws(DemoError) {
        let step = "deleting the webhook"
        let result = try await send(step, .delete, "/api/v1/webhooks/\(id)", body: String?.none)
        guard (200...299).contains(result.status) || result.status == 404 else {
            throw DemoError(step: step, reason: ProblemAnswer.text(status: result.status, body: result.body))
        }
    }

    struct EventStatus: Decodable, Sendable {
        struct Delivery: Decodable, Sendable {
            var id: String
            var webhook_id: String
            var status: String
            var last_reason: String?
        }
        var deliveries: [Delivery]
    }

    /// nil: not seen yet.
    func event(id: String) async throws(DemoError) -> EventStatus? {
        let step = "asking for the event's deliveries"
        let result = try await send(step, .get, "/api/v1/events/\(id)", body: String?.none)
        if result.status == 404 || result.status == 503 { return nil }
        return try decode(step, result, EventStatus.self)
    }

    private struct DeliveryAnswer: Decodable {
        var attempts: [DemoResult.Attempt]
    }

    func attempts(deliveryID: String) async throws(DemoError) -> [DemoResult.Attempt] {
        try await call(
            "asking for the attempts", .get, "/api/v1/deliveries/\(deliveryID)", body: String?.none,
            DeliveryAnswer.self
        ).attempts
    }

    // MARK: Requests

    private func call<Answer: Decodable>(
        _ step: String, _ method: HTTPSendMethod, _ path: String, body: (some Encodable)?, _ answer: Answer.Type
    ) async throws(DemoError) -> Answer {
        try decode(step, try await send(step, method, path, body: body), answer)
    }

    private func decode<Answer: Decodable>(_ step: String, _ result: HTTPSendResult, _ answer: Answer.Type)
        throws(DemoError) -> Answer
    {
        guard (200...299).contains(result.status) else {
            throw DemoError(step: step, reason: ProblemAnswer.text(status: result.status, body: result.body))
        }
        guard let value = decodedJSON(answer, result.body) else {
            let text = printable(String(decoding: result.body.prefix(200), as: UTF8.self))
            throw DemoError(step: step, reason: "the answer is not what it should be: \(text)")
        }
        return value
    }

    private func send(_ step: String, _ method: HTTPSendMethod, _ path: String, body: (some Encodable)?)
        async throws(DemoError) -> HTTPSendResult
    {
        var headers = HeaderLines()
        if !token.isEmpty { headers.append("authorization", "Bearer \(token)") }
        if body != nil { headers.append("content-type", "application/json") }
        let endpoint: Endpoint
        do {
            endpoint = try Endpoint(baseURL + path)
        } catch {
            throw DemoError(step: step, reason: "\(baseURL + path): \(error)")
        }
        let bytes = body.map { Array(jsonText($0).utf8) } ?? []
        let result = await client.send(method, to: endpoint, headers: headers, body: bytes)
        guard result.failure == nil else {
            throw DemoError(step: step, reason: "\(endpoint.url): \(result.message)")
        }
        return result
    }
}
