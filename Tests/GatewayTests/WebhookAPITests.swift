import HTTPSending
import JSONScanning
import TestSupport
import Testing

@testable import Gateway

/// Against a real database and a real registry.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct WebhookAPITests {
    private let body = #"{"url":"https://example.org/hook","event_types":["user.created","order.*"]}"#

    @Test func theExamplesOfTheDocumentationWork() async throws {
        try await withGateway { gateway in
            let login = await gateway.send(.post, "/auth/login", #"{"username":"admin","password":"password"}"#)
            #expect(login.status == 200)
            #expect(login.string("token_type") == "Bearer")
            #expect(login["expires_in"] == .number("3600"))
            #expect(login.header("cache-control") == "no-store")
            let token = try #require(login.string("token"))
            let created = await gateway.send(
                .post, "/api/v1/webhooks",
                #"{"url":"https://your-app.com/webhook","event_types":["user.created","payment.completed"],"headers":{"X-Custom-Header":"value"}}"#,
                token: token)
            #expect(created.status == 201)
            let id = try #require(created.string("id"))
            #expect(created.header("location") == "/api/v1/webhooks/\(id)")
            #expect(created.header("etag") == "\"1\"")
            #expect(created.string("secret")?.hasPrefix("whsec_") == true)
            #expect(created["pending"] == .boolean(false))
            let list = await gateway.send(.get, "/api/v1/webhooks", token: token)
            #expect(list.data.map { $0["id"] } == [.string(id)])
            #expect(list["next"] == .null)
            let got = await gateway.send(.get, "/api/v1/webhooks/\(id)", token: token)
            #expect(got.status == 200)
            #expect(got.string("url") == "https://your-app.com/webhook")
            #expect(got["event_types"] == .array([.string("user.created"), .string("payment.completed")]))
            #expect(got["timeout_ms"] == .null)
            #expect(!got.text.contains("whsec_"))
            #expect(!list.text.contains("whsec_"))
            #expect(await gateway.send(.get, "/health").status == 200)
            let metrics = await gateway.send(.get, "/metrics").text
            #expect(
                metrics.contains(#"webhook_http_requests_total{method="POST",route="/api/v1/webhooks",status="201"} 1"#)
            )
            #expect(metrics.contains(#"webhook_logins_total{result="accepted"} 1"#))
        }
    }

    @Test func webhooksAreChangedReplacedAndRemoved() async throws {
        try await withGateway { gateway in
            let token = try gateway.token()
            let created = await gateway.send(
                .post, "/api/v1/webhooks",
                #"{"url":"https://example.org/a","event_types":["*"],"headers":{"X-A":"1"},"description":"d","timeout_ms":500,"max_in_flight":3,"rate_per_second":50,"enabled":false,"hub_signature":true,"retry":{"schedule_ms":[10000,30000]}}"#,
                token: token)
            let path = "/api/v1/webhooks/" + (try #require(created.string("id")))
            let changed = await gateway.send(
                .patch, path, #"{"enabled":true,"timeout_ms":null,"headers":{"X-B":"ä"}}"#, token: token)
            #expect(changed.status == 200, "\(changed.text)")
            #expect(changed.header("etag") == "\"2\"")
            #expect(changed["enabled"] == .boolean(true))
            #expect(changed["timeout_ms"] == .null)
            #expect(try changed["retry"] == JSONValue(parsing: Array(#"{"schedule_ms":[10000,30000]}"#.utf8)))
            #expect(changed["max_in_flight"] == .number("3") && changed["rate_per_second"] == .number("50"))
            #expect(changed.string("description") == "d")
            #expect(try changed["headers"] == JSONValue(parsing: Array(#"{"X-B":"ä"}"#.utf8)))
            let replaced = await gateway.send(
                .put, path, #"{"url":"https://example.org/b","event_types":["a"]}"#, token: token)
            #expect(replaced.status == 200)
            #expect(replaced.string("description") == "")
            #expect(replaced["max_in_flight"] == .null && replaced["rate_per_second"] == .null)
            #expect(replaced["headers"] == .object(JSONObject()))
            #expect(replaced["hub_signature"] == .boolean(false))
            #expect(replaced["retry"] == .null)
            let rotated = await gateway.send(.post, path + "/rotate-secret", token: token)
            #expect(rotated.status == 200)
            let secret = try #require(rotated.string("secret"))
            #expect(secret != created.string("secret"))
            guard case .array(let secrets) = rotated["secrets"] else {
                throw JSONFieldError(path: "secrets", reason: .missing)
            }
            #expect(secrets.count == 2)
            #expect(await gateway.send(.delete, path, token: token).status == 204)
            #expect(await gateway.send(.get, path, token: token).problem == "404 not_found -")
            #expect(await gateway.send(.delete, path, token: token).problem == "404 not_found -")
        }
    }

    @Test func aVersionThatIsNoLongerTrueChangesNothing() async throws {
        try await withGateway { gateway in
            let token = try gateway.token()
            let id = try #require(await gateway.send(.post, "/api/v1/webhooks", body, token: token).string("id"))
            let path = "/api/v1/webhooks/\(id)"
            func change(_ tag: String, _ description: String) async -> Answer {
                await gateway.send(
                    .patch, path, #"{"description":"\#(description)"}"#, token: token, headers: ["if-match": tag])
            }
            #expect(await change("\"1\"", "one").status == 200)
            for tag in ["\"1\"", "\"0\"", "\"01\"", "\"+2\"", "\"x\"", "W/\"2\"", "\"\""] {
                #expect(await change(tag, "two").problem.hasPrefix("412 version_mismatch"), "\(tag)")
            }
            for tag in ["2", "\"1\", \"2\"", "x", "\"", "*,*"] {
                #expect(await change(tag, "two").problem == "400 header_invalid If-Match", "\(tag)")
            }
            for (method, path, body) in [
                (.delete, path, nil), (.post, path + "/rotate-secret", nil), (.put, path, body),
            ] as [(HTTPSendMethod, String, String?)] {
                let answer = await gateway.send(method, path, body, token: token, headers: ["if-match": "\"1\""])
                #expect(answer.problem.hasPrefix("412 version_mismatch"), "\(method) \(path)")
            }
            let now = await gateway.send(.get, path, token: token)
            #expect(now.string("description") == "one")
            #expect(now.header("etag") == "\"2\"")
            #expect(await change("*", "three").status == 200)
            #expect(await change("\"3\"", "four").header("etag") == "\"4\"")
            #expect(await gateway.send(.delete, path, token: token, headers: ["if-match": "\"4\""]).status == 204)
        }
    }

    @Test func anotherTenantsWebhooksAreNotThere() async throws {
        try await withGateway { gateway in
            let (ours, theirs) = (try gateway.token(), try gateway.token(tenant: "other"))
            let id = try #require(await gateway.send(.post, "/api/v1/webhooks", body, token: ours).string("id"))
            let path = "/api/v1/webhooks/\(id)"
            #expect(await gateway.send(.get, "/api/v1/webhooks", token: theirs).data.isEmpty)
            let foreign: [(HTTPSendMethod, String, String?)] = [
                (.get, path, nil), (.patch, path, #"{"enabled":false}"#), (.put, path, body), (.delete, path, nil),
                (.post, path + "/rotate-secret", nil), (.get, path + "/attempts", nil), (.get, path + "/stats", nil),
            ]
            for (method, path, body) in foreign {
                #expect(
                    await gateway.send(method, path, body, token: theirs).problem == "404 not_found -",
                    "\(method) \(path)")
            }
            #expect(gateway.history.questions.isEmpty)
            let untouched = await gateway.send(.get, path, token: ours)
            #expect(untouched["enabled"] == .boolean(true))
            #expect(untouched.header("etag") == "\"1\"")
        }
    }

    @Test func listsComeInPages() async throws {
        try await withGateway { gateway in
            let token = try gateway.token()
            for _ in 0..<5 { #expect(await gateway.send(.post, "/api/v1/webhooks", body, token: token).status == 201) }
            var seen: [JSONValue?] = []
            var query = "?limit=2"
            for _ in 0..<3 {
                let page = await gateway.send(.get, "/api/v1/webhooks" + query, token: token)
                seen += page.data.map { $0["id"] }
                query = "?limit=2&cursor=" + (page.string("next") ?? "")
            }
            #expect(Set(seen.compactMap { $0 }.map { "\($0)" }).count == 5)
            for (query, problem) in [
                ("?limit=0", "422 field_invalid limit"), ("?limit=101", "422 field_invalid limit"),
                ("?limit=x", "422 field_invalid limit"), ("?cursor=%21", "422 field_invalid cursor"),
                ("?limt=2", "422 unknown_parameter limt"), ("?limit=2&limit=3", "422 field_invalid limit"),
            ] {
                #expect(await gateway.send(.get, "/api/v1/webhooks" + query, token: token).problem == problem)
            }
        }
    }
}
