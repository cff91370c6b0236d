import HTTPSending
import HTTPServing
import JSONScanning
import TestSupport
import Testing

@testable import Gateway

/// Pausing, and how a webhook's breaker stands.
@Suite(.serialized, .timeLimit(.minutes(5))) struct BreakerTests {
    private func create(_ gateway: GatewayFixture, _ token: String) async throws -> String {
        let created = await gateway.send(
            .post, "/api/v1/webhooks", #"{"url":"https://example.org/a","event_types":["*"]}"#, token: token)
        return "/api/v1/webhooks/" + (try #require(created.string("id"), "\(created.text)"))
    }

    @Test func aWebhookIsPausedAndResumed() async throws {
        try await withGateway { gateway in
            let token = try gateway.token()
            let path = try await create(gateway, token)
            let paused = await gateway.send(.post, path + "/pause", token: token)
            #expect(paused.status == 200 && paused["paused"] == .boolean(true) && paused.header("etag") == "\"2\"")
            // Again changes nothing, and neither does what replaces a webhook's fields.
            #expect(await gateway.send(.post, path + "/pause", token: token).header("etag") == "\"2\"")
            let replacement = #"{"url":"https://example.org/b","event_types":["a"]}"#
            #expect(await gateway.send(.put, path, replacement, token: token)["paused"] == .boolean(true))
            let stale = await gateway.send(.post, path + "/resume", token: token, headers: ["if-match": "\"2\""])
            #expect(stale.problem == "412 version_mismatch -")
            let resumed = await gateway.send(.post, path + "/resume", token: token, headers: ["if-match": "\"3\""])
            #expect(resumed.status == 200 && resumed["paused"] == .boolean(false))
            let stranger = try gateway.token(tenant: "other")
            #expect(await gateway.send(.post, path + "/pause", token: stranger).problem == "404 not_found -")
            let reader = try gateway.token(scopes: [.readWebhooks])
            #expect(await gateway.send(.post, path + "/pause", token: reader).status == 403)
        }
    }

    @Test func everyDispatcherIsAskedAndTheWorstStateComesFirst() async throws {
        let answers = [#"{"state":"closed","limit":128}"#, #"{"state":"open","limit":1}"#]
        var dispatchers: [HTTPServer] = []
        var addresses: [String] = []
        for answer in answers {
            let server = HTTPServer(
                HTTPServerConfiguration(),
                routes: [
                    HTTPRoute("GET", "/internal/v1/breakers/{id}") { request in
                        let isRight =
                            request.header("authorization") == "Bearer \(GatewayFixture.token)"
                            && request.query == "tenant=acme"
                        return isRight ? .json(Array(answer.utf8)) : HTTPResponse(status: 401)
                    }
                ])
            addresses.append("127.0.0.1:\(try await server.start())")
            dispatchers.append(server)
        }
        let silent = "127.0.0.1:\(freePort())"
        let list = (addresses + [silent]).joined(separator: ",")
        try await withGateway(["MARTLET_GATEWAY_DISPATCHERS": list]) { gateway in
            let token = try gateway.token()
            let path = try await create(gateway, token)
            let shown = await gateway.send(.get, path + "/breaker", token: token)
            #expect(shown.status == 200, "\(shown.text)")
            #expect(shown.string("state") == "open" && shown["paused"] == .boolean(false))
            #expect(shown["silent"] == .array([.string(silent)]))
            let expected = zip(addresses, answers).map { address, answer in
                #"{"address":"\#(address)","# + answer.dropFirst()
            }
            for text in expected { #expect(shown.text.contains(text), "\(shown.text)") }
            let stranger = try gateway.token(tenant: "other")
            #expect(await gateway.send(.get, path + "/breaker", token: stranger).problem == "404 not_found -")
        }
        for server in dispatchers { await server.stop(withinMilliseconds: 0) }
    }
}
