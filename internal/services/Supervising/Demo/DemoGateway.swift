internal import HTTPSending
internal import JSONScanning

/// The gateway's API as the demo uses it. Each call throws a `DemoError` that names its step.
struct DemoGateway: Sendable {
    private var client: GatewayClient

    init(baseURL: String) throws(DemoError) {
        do throws(GatewayError) {
            client = try GatewayClient(baseURL: baseURL)
        } catch {
            throw DemoError(step: "starting", reason: "\(error)")
        }
    }

    /// The token is for the calls that follow; returns it for other services.
    mutating func logIn(username: String, password: String) async throws(DemoError) -> String {
        do throws(GatewayError) {
            try await client.logIn(username: username, password: password)
        } catch {
            throw DemoError(step: "logging in", reason: error.description)
        }
        return client.token
    }

    struct CreatedWebhook: Sendable {
        var id: String
        /// `whsec_…`: shown this once.
        var secret: String
    }

    /// - Parameter scheduleMs: when failures are tried again; nil: as the configuration says.
    func createWebhook(
        url: String, eventType: String, scheduleMs: [Int]?, description: String
    ) async throws(DemoError) -> CreatedWebhook {
        let body = jsonLine { writer in
            writer.object { writer in
                writer.member("url", url)
                writer.key("event_types")
                writer.array { $0.string(eventType) }
                writer.member("description", description)
                guard let scheduleMs else { return }
                writer.key("retry")
                writer.object { writer in
                    writer.key("schedule_ms")
                    writer.array { writer in for delay in scheduleMs { writer.integer(delay) } }
                }
            }
        }
        return try await call("creating a webhook", .post, "/api/v1/webhooks", body: body) { answer in
            guard let id = answer["id"]?.text, let secret = answer["secret"]?.text else { return nil }
            return CreatedWebhook(id: id, secret: secret)
        }
    }

    /// Removes the webhooks of this description: what an earlier demo that was interrupted left.
    func deleteWebhooks(description: String) async throws(DemoError) {
        var found: [String] = []
        var query: String? = ""
        for _ in 0..<100 {
            guard let next = query else { break }
            let page = try await call("listing webhooks", .get, "/api/v1/webhooks" + next) { answer in
                answer["data"]?.elements.map { (entries: $0, next: answer["next"]?.text) }
            }
            found += page.entries.filter { $0["description"]?.text == description }.compactMap { $0["id"]?.text }
            query = page.next.map { "?cursor=\($0)" }
        }
        for id in found { try await deleteWebhook(id: id) }
    }

    func deleteWebhook(id: String) async throws(DemoError) {
        let step = "deleting the webhook"
        let result = try await send(step, .delete, "/api/v1/webhooks/\(id)")
        guard (200...299).contains(result.status) || result.status == 404 else {
            throw DemoError(step: step, reason: problemText(status: result.status, body: result.body))
        }
    }

    struct Delivery: Sendable {
        var id: String
        var status: String
        var lastReason: String?
    }

    /// An event's delivery to one webhook; nil: not seen yet.
    func delivery(eventID: String, webhookID: String) async throws(DemoError) -> Delivery? {
        let step = "asking for the event's deliveries"
        let result = try await send(step, .get, "/api/v1/events/\(eventID)")
        if result.status == 404 || result.status == 503 { return nil }
        let deliveries = try read(step, result) { $0["deliveries"]?.elements }
        guard let found = deliveries.first(where: { $0["webhook_id"]?.text == webhookID }), let id = found["id"]?.text,
            let status = found["status"]?.text
        else { return nil }
        return Delivery(id: id, status: status, lastReason: found["last_reason"]?.text)
    }

    /// nil: not seen yet.
    func delivery(id: String) async throws(DemoError) -> Delivery? {
        let step = "asking for the delivery"
        let result = try await send(step, .get, "/api/v1/deliveries/\(percentEncoded(id))")
        if result.status == 404 || result.status == 503 { return nil }
        return try read(step, result) { answer in
            guard let id = answer["id"]?.text, let status = answer["status"]?.text else { return nil }
            return Delivery(id: id, status: status, lastReason: answer["last_reason"]?.text)
        }
    }

    /// Why a delivery was given up; nil: there is no dead letter of it yet.
    func deadLetterReason(id: String) async throws(DemoError) -> String? {
        let step = "asking for the dead letter"
        let result = try await send(step, .get, "/api/v1/dead-letters/\(percentEncoded(id))")
        if result.status == 404 || result.status == 503 { return nil }
        return try read(step, result) { $0["reason"]?.text }
    }

    /// The new delivery's id.
    func requeue(id: String) async throws(DemoError) -> String {
        try await call("requeuing the dead letter", .post, "/api/v1/dead-letters/\(percentEncoded(id))/requeue") {
            $0["delivery_id"]?.text
        }
    }

    func attempts(deliveryID: String) async throws(DemoError) -> [DemoResult.Attempt] {
        try await call("asking for the attempts", .get, "/api/v1/deliveries/\(deliveryID)") { answer in
            answer["attempts"]?.elements?.compactMap { DemoResult.Attempt($0) }
        }
    }

    // MARK: Requests

    /// `value` is nil where the answer lacks what it takes.
    private func call<Value>(
        _ step: String, _ method: HTTPSendMethod, _ path: String, body: String? = nil,
        _ value: (JSONValue) -> Value?
    ) async throws(DemoError) -> Value {
        try read(step, try await send(step, method, path, body: body), value)
    }

    private func read<Value>(_ step: String, _ result: HTTPSendResult, _ value: (JSONValue) -> Value?)
        throws(DemoError) -> Value
    {
        guard (200...299).contains(result.status) else {
            throw DemoError(step: step, reason: problemText(status: result.status, body: result.body))
        }
        guard let answer = JSONValue(answer: result.body), let value = value(answer) else {
            throw DemoError(step: step, reason: GatewayClient.unexpected(result).description)
        }
        return value
    }

    private func send(_ step: String, _ method: HTTPSendMethod, _ path: String, body: String? = nil)
        async throws(DemoError) -> HTTPSendResult
    {
        do throws(GatewayError) {
            return try await client.send(method, path, body: body)
        } catch {
            throw DemoError(step: step, reason: error.description)
        }
    }
}
