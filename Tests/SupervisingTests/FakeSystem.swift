import Glibc
import HTTPSending
import HTTPServing
import JSONScanning
import StandardWebhooks
import Synchronization
import TestSupport

@testable import Supervising

/// A stand-in for the whole system: gateway and ingestion, which deliver what they accept, with retries and dead letters.
final class FakeSystem: Sendable {
    struct Behaviour: Sendable {
        var password = "password"
        var signsWith: WebhookSecret?
        /// Events before this one are accepted and go nowhere.
        var deliversFrom = 1
        /// What the API says of a delivery that arrived.
        var status = "delivered"
        var retries = true
        /// Whether what is given up can be found.
        var keepsDeadLetters = true
        /// Whether what is requeued is sent.
        var requeues = true
    }

    fileprivate struct Webhook {
        var url: String
        var description: String
        var prefix: String
        var scheduleMs: [Int]
        var secret = WebhookSecret()
    }

    fileprivate struct Delivery {
        var id: String
        var webhookID: String
        var eventID: String
        var body: [UInt8]
        var status = "pending"
        var attempts: [String] = []
    }

    fileprivate struct State {
        var webhooks = [
            "wh_old": Webhook(url: "http://x", description: "made by martlet demo", prefix: "", scheduleMs: [])
        ]
        var made = 0
        var events = 0
        var deliveries: [String: Delivery] = [:]
        var asked = 0
    }

    fileprivate final class Box: Sendable {
        let behaviour: Behaviour
        let client: HTTPClient
        let state = Mutex(State())

        init(_ behaviour: Behaviour) throws {
            self.behaviour = behaviour
            client = try HTTPClient()
        }
    }

    private let box: Box
    private let server: HTTPServer
    let url: String

    /// Those that are there.
    var webhooks: [String] { box.state.withLock { Array($0.webhooks.keys) } }

    init(_ behaviour: Behaviour = Behaviour()) async throws {
        let box = try Box(behaviour)
        self.box = box
        server = HTTPServer(HTTPServerConfiguration(), routes: box.webhookRoutes + box.historyRoutes)
        url = "http://127.0.0.1:\(try await server.start())"
    }

    func stop() async { await server.stop(withinMilliseconds: 300) }
}

private func json(_ text: String, status: Int = 200) -> HTTPResponse { .json(status: status, Array(text.utf8)) }

extension FakeSystem.Box {
    fileprivate var webhookRoutes: [HTTPRoute] {
        [
            HTTPRoute("POST", "/auth/login") { [self] request in
                JSONValue(answer: request.body)?["password"]?.text == behaviour.password
                    ? json(#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#)
                    : json(#"{"code":"unauthorized","detail":"wrong user or password"}"#, status: 401)
            },
            HTTPRoute("GET", "/api/v1/webhooks") { [self] _ in
                let entries = state.withLock { $0.webhooks }.map { id, webhook in
                    #"{"id":"\#(id)","description":"\#(webhook.description)"}"#
                }
                return json(#"{"data":[\#(entries.joined(separator: ","))],"next":null}"#)
            },
            HTTPRoute("POST", "/api/v1/webhooks") { [self] request in
                guard request.header("authorization") == "Bearer t", let new = JSONValue(answer: request.body),
                    let url = new["url"]?.text, let description = new["description"]?.text,
                    let type = new["event_types"]?.elements?.first?.text, type.hasSuffix(".*")
                else { return json("{}", status: 422) }
                let webhook = FakeSystem.Webhook(
                    url: url, description: description, prefix: String(type.dropLast()),
                    scheduleMs: new["retry"]?["schedule_ms"]?.elements?.compactMap(\.integer) ?? [])
                let id = state.withLock { state in
                    state.made += 1
                    state.webhooks["wh_\(state.made)"] = webhook
                    return "wh_\(state.made)"
                }
                return json(#"{"id":"\#(id)","secret":"\#(webhook.secret.text)"}"#, status: 201)
            },
            HTTPRoute("DELETE", "/api/v1/webhooks/{id}") { [self] request in
                state.withLock { $0.webhooks[request.parameters["id"] ?? ""] = nil }
                return HTTPResponse(status: 204)
            },
        ]
    }

    fileprivate var historyRoutes: [HTTPRoute] {
        [
            HTTPRoute("POST", "/events") { [self] request in
                let event = JSONValue(answer: request.body)
                let (id, type) = (event?["id"]?.text ?? "", event?["type"]?.text ?? "")
                route(id, type, request.body)
                return json(#"{"id":"\#(id)","status":"accepted","duplicate":false}"#, status: 202)
            },
            HTTPRoute("GET", "/api/v1/events/{id}") { [self] request in
                let (asked, found) = state.withLock { state in
                    state.asked += 1
                    return (state.asked, state.deliveries.values.filter { $0.eventID == request.parameters["id"] })
                }
                if asked < 3 { return json(#"{"code":"not_seen_yet","detail":"wait"}"#, status: 404) }
                return json(#"{"deliveries":[\#(found.map(text).joined(separator: ","))]}"#)
            },
            HTTPRoute("GET", "/api/v1/deliveries/{id}") { [self] request in
                guard let found = delivery(request) else { return json(#"{"code":"not_found"}"#, status: 404) }
                return json(text(found))
            },
            HTTPRoute("GET", "/api/v1/dead-letters/{id}") { [self] request in
                guard behaviour.keepsDeadLetters, let found = delivery(request), found.status == "dead" else {
                    return json(#"{"code":"not_found"}"#, status: 404)
                }
                return json(#"{"delivery_id":"\#(found.id)","reason":"retries_spent"}"#)
            },
            HTTPRoute("POST", "/api/v1/dead-letters/{id}/requeue") { [self] request in
                guard var again = delivery(request), again.status == "dead" else { return json("{}", status: 404) }
                again = FakeSystem.Delivery(
                    id: "again-" + again.id, webhookID: again.webhookID, eventID: again.eventID, body: again.body)
                start(again, sends: behaviour.requeues)
                return json(#"{"delivery_id":"\#(again.id)"}"#, status: 202)
            },
        ]
    }

    private func delivery(_ request: HTTPRequest) -> FakeSystem.Delivery? {
        state.withLock { $0.deliveries[request.parameters["id"] ?? ""] }
    }

    private func text(_ delivery: FakeSystem.Delivery) -> String {
        #"{"id":"\#(delivery.id)","webhook_id":"\#(delivery.webhookID)","status":"\#(delivery.status)","last_reason":"r","#
            + #""attempts":[\#(delivery.attempts.joined(separator: ","))]}"#
    }

    /// Begins the event's delivery to each webhook that takes its type.
    private func route(_ id: String, _ type: String, _ body: [UInt8]) {
        let (number, takers) = state.withLock { state in
            state.events += 1
            return (state.events, state.webhooks.filter { !$1.prefix.isEmpty && type.hasPrefix($1.prefix) })
        }
        guard number >= behaviour.deliversFrom else { return }
        for webhookID in takers.keys {
            start(
                FakeSystem.Delivery(id: "dlv_\(number)-\(webhookID)", webhookID: webhookID, eventID: id, body: body))
        }
    }

    private func start(_ delivery: FakeSystem.Delivery, sends: Bool = true) {
        state.withLock { $0.deliveries[delivery.id] = delivery }
        guard sends else { return }
        Task { await deliver(delivery) }
    }

    /// Makes requests by the webhook's schedule until one succeeds.
    private func deliver(_ delivery: FakeSystem.Delivery) async {
        guard let webhook = state.withLock({ $0.webhooks[delivery.webhookID] }) else { return }
        for number in 1...(webhook.scheduleMs.count + 1) {
            let answer = await send(delivery, webhook)
            let isDelivered = answer == 200
            // A quicker schedule than the real one: tests do not wait for seconds.
            let delay = number <= webhook.scheduleMs.count ? webhook.scheduleMs[number - 1] / 20 : nil
            let due = isDelivered ? nil : delay.map { Int64(time(nil)) * 1_000 + Int64($0) }
            let outcome = isDelivered ? "delivered" : delay == nil ? "dead" : "failed"
            state.withLock { state in
                state.deliveries[delivery.id]?.status =
                    isDelivered ? behaviour.status : delay == nil ? "dead" : "retrying"
                state.deliveries[delivery.id]?.attempts.append(
                    #"{"outcome":"\#(outcome)","attempt":\#(number),"status":\#(answer),"duration_ms":1.5,"#
                        + #""due_at":\#(due.map { "\"\(rfc3339($0))\"" } ?? "null")}"#)
            }
            guard !isDelivered, let delay, behaviour.retries else { return }
            try? await Task.sleep(for: .milliseconds(delay))
        }
    }

    private func send(_ delivery: FakeSystem.Delivery, _ webhook: FakeSystem.Webhook) async -> Int {
        let now = Int64(time(nil))
        var headers = HeaderLines()
        headers.append("webhook-id", delivery.eventID)
        headers.append("webhook-timestamp", String(now))
        let keys = WebhookSigningKeys(secrets: [behaviour.signsWith ?? webhook.secret])
        guard let endpoint = try? Endpoint(webhook.url),
            let signature = try? WebhookSigner().sign(
                id: delivery.eventID, timestampSeconds: now, body: delivery.body, keys: keys)
        else { return 0 }
        headers.append("webhook-signature", signature)
        return await client.send(.post, to: endpoint, headers: headers, body: delivery.body).status
    }
}
