import Glibc
import HTTPSending
import HTTPServing
import JSONScanning
import StandardWebhooks
import Synchronization
import TestSupport
import Testing

@testable import Supervising

/// A stand-in for the whole system: gateway and ingestion, which delivers what it accepts.
final class FakeSystem: Sendable {
    struct Behaviour: Sendable {
        var password = "password"
        var signsWith: WebhookSecret?
        /// Events before this one are accepted and go nowhere.
        var deliversFrom = 1
        var status = "delivered"
    }

    private struct State {
        var webhooks: [String: (url: String, description: String)] = ["wh_old": ("http://x", "made by martlet demo")]
        var events: [String] = []
        var asked = 0
    }

    private final class Box: Sendable { let state = Mutex(State()) }

    private let box = Box()
    private let server: HTTPServer
    let url: String

    var webhooks: [String] { box.state.withLock { Array($0.webhooks.keys) } }

    init(_ behaviour: Behaviour = Behaviour()) async throws {
        let secret = WebhookSecret()
        let client = try HTTPClient()
        let box = box
        server = HTTPServer(
            HTTPServerConfiguration(),
            routes: [
                HTTPRoute("POST", "/auth/login") { request in
                    JSONValue(answer: request.body)?["password"]?.text == behaviour.password
                        ? Self.json(#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#)
                        : Self.json(#"{"code":"unauthorized","detail":"wrong user or password"}"#, status: 401)
                },
                HTTPRoute("GET", "/api/v1/webhooks") { _ in
                    let entries = box.state.withLock { $0.webhooks }.map { id, webhook in
                        #"{"id":"\#(id)","description":"\#(webhook.description)"}"#
                    }
                    return Self.json(#"{"data":[\#(entries.joined(separator: ","))],"next":null}"#)
                },
                HTTPRoute("POST", "/api/v1/webhooks") { request in
                    guard request.header("authorization") == "Bearer t",
                        let new = JSONValue(answer: request.body), let url = new["url"]?.text,
                        let description = new["description"]?.text, new["event_types"] == .array([.string("demo.*")])
                    else { return Self.json("{}", status: 422) }
                    box.state.withLock { $0.webhooks["wh_new"] = (url, description) }
                    return Self.json(#"{"id":"wh_new","secret":"\#(secret.text)"}"#, status: 201)
                },
                HTTPRoute("DELETE", "/api/v1/webhooks/{id}") { request in
                    box.state.withLock { $0.webhooks[request.parameters["id"] ?? ""] = nil }
                    return HTTPResponse(status: 204)
                },
                HTTPRoute("POST", "/events") { request in
                    let id = JSONValue(answer: request.body)?["id"]?.text ?? ""
                    let (count, url) = box.state.withLock { state in
                        state.events.append(id)
                        return (state.events.count, state.webhooks["wh_new"]?.url)
                    }
                    if count >= behaviour.deliversFrom, let url {
                        await Self.deliver(
                            request.body, id: id, to: url, behaviour.signsWith ?? secret, client)
                    }
                    return Self.json(
                        #"{"id":"\#(id)","status":"accepted","duplicate":false}"#, status: 202)
                },
                HTTPRoute("GET", "/api/v1/events/{id}") { _ in
                    let asked = box.state.withLock { state in
                        state.asked += 1
                        return state.asked
                    }
                    if asked < 3 { return Self.json(#"{"code":"not_seen_yet","detail":"wait"}"#, status: 404) }
                    return Self.json(
                        #"{"deliveries":[{"id":"dlv_1","webhook_id":"wh_new","status":"\#(behaviour.status)","last_reason":"r"}]}"#
                    )
                },
                HTTPRoute("GET", "/api/v1/deliveries/dlv_1") { _ in
                    Self.json(
                        #"{"id":"dlv_1","attempts":[{"outcome":"delivered","attempt":1,"status":200,"duration_ms":1.5}]}"#
                    )
                },
            ])
        url = "http://127.0.0.1:\(try await server.start())"
    }

    func stop() async { await server.stop(withinMilliseconds: 300) }

    private static func json(_ text: String, status: Int = 200) -> HTTPResponse {
        .json(status: status, Array(text.utf8))
    }

    private static func deliver(
        _ body: [UInt8], id: String, to url: String, _ secret: WebhookSecret, _ client: HTTPClient
    ) async {
        let now = Int64(time(nil))
        var headers = HeaderLines()
        headers.append("webhook-id", id)
        headers.append("webhook-timestamp", String(now))
        let keys = WebhookSigningKeys(secrets: [secret])
        guard let endpoint = try? Endpoint(url),
            let signature = try? WebhookSigner().sign(id: id, timestampSeconds: now, body: body, keys: keys)
        else { return }
        headers.append("webhook-signature", signature)
        _ = await client.send(.post, to: endpoint, headers: headers, body: body)
    }
}

@Suite(.timeLimit(.minutes(1))) struct DemoTests {
    private func demo(
        _ behaviour: FakeSystem.Behaviour, _ printed: Printed, _ change: (inout DemoOptions) -> Void = { _ in }
    )
        async throws -> (Result<DemoResult, DemoError>, FakeSystem)
    {
        let system = try await FakeSystem(behaviour)
        var options = DemoOptions()
        options.gatewayURL = system.url
        options.ingestionURL = system.url
        options.timeoutMilliseconds = 20_000
        change(&options)
        let result: Result<DemoResult, DemoError>
        do throws(DemoError) {
            result = .success(try await runDemo(options, output: printed.output))
        } catch {
            result = .failure(error)
        }
        await system.stop()
        return (result, system)
    }

    @Test func everyStepIsShownAndNothingIsLeft() async throws {
        let printed = Printed()
        let (result, system) = try await demo(FakeSystem.Behaviour(), printed)
        let demo = try result.get()
        #expect(demo.deliveryID == "dlv_1")
        #expect(demo.webhookID == "wh_new")
        #expect(demo.attempts.map(\.status) == [200])
        #expect(system.webhooks.isEmpty)
        let text = printed.results.joined(separator: "\n")
        for part in [
            "receiver ", "login ", "webhook ", "event ", "signature: verified", "dlv_1: delivered",
            "attempt    1: delivered, status 200 in 1.5 ms",
        ] {
            #expect(text.contains(part), "\(part)")
        }
    }

    @Test func asJSONItIsOneLineOfOutput() async throws {
        let printed = Printed()
        _ = try await demo(FakeSystem.Behaviour(), printed) { $0.json = true }
        #expect(printed.results.count == 1)
        #expect(printed.results[0].contains(#""delivery_id":"dlv_1""#))
        #expect(!printed.notes.isEmpty)
    }

    @Test func anEventThatWentNowhereIsFollowedByAnother() async throws {
        let printed = Printed()
        let (result, _) = try await demo(FakeSystem.Behaviour(deliversFrom: 2), printed)
        _ = try result.get()
        #expect(printed.results.filter { $0.hasPrefix("event ") }.count == 2)
    }

    @Test(arguments: [
        (FakeSystem.Behaviour(password: "other"), "logging in", "wrong user"),
        (FakeSystem.Behaviour(signsWith: WebhookSecret()), "verifying the signature", "no signature fits"),
        (FakeSystem.Behaviour(status: "dead"), "waiting for the delivery in the API", "dead (r)"),
    ])
    func aFailureNamesItsStep(behaviour: FakeSystem.Behaviour, step: String, reason: String) async throws {
        let (result, system) = try await demo(behaviour, Printed())
        guard case .failure(let error) = result else {
            Issue.record("the demo went through")
            return
        }
        #expect(error.step == step)
        #expect(error.reason.contains(reason))
        #expect(!system.webhooks.contains("wh_new"))
    }

    @Test func aGatewayThatIsAwayIsNamed() async throws {
        let url = "http://127.0.0.1:\(freePort())"
        let (result, _) = try await demo(FakeSystem.Behaviour(), Printed()) { $0.gatewayURL = url }
        guard case .failure(let error) = result else {
            Issue.record("the demo went through")
            return
        }
        #expect(error.step == "logging in")
        #expect(error.reason.contains(url))
        #expect(error.reason.contains("refused"))
    }
}
