import HTTPSending
import TestSupport
import Testing

@testable import Gateway

/// Each bad request gets its own problem, which names the field, and changes nothing.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct BadRequestTests {
    private static func with(_ member: String) -> String {
        #"{"url":"https://example.org/","event_types":["a"],\#(member)}"#
    }

    private static let long = String(repeating: "x", count: 3_000)

    static let bodies: [(String, String)] = [
        ("", "400 invalid_json -"), ("{", "400 invalid_json -"), ("{}x", "400 invalid_json -"),
        (#"{"url":"https://example.org/","event_types":["a"],}"#, "400 invalid_json -"),
        ("[]", "422 field_invalid -"), ("\"x\"", "422 field_invalid -"), ("null", "422 field_invalid -"),
        ("{}", "422 field_required url"),
        (#"{"url":"https://example.org/"}"#, "422 field_required event_types"),
        (#"{"url":null,"event_types":["a"]}"#, "422 field_required url"),
        (#"{"event_types":["a"]}"#, "422 field_required url"),
        (#"{"url":5,"event_types":["a"]}"#, "422 field_invalid url"),
        (#"{"url":"ftp://example.org/","event_types":["a"]}"#, "422 field_invalid url"),
        (#"{"url":"https://user:pass@example.org/","event_types":["a"]}"#, "422 field_invalid url"),
        (#"{"url":"nonsense","event_types":["a"]}"#, "422 field_invalid url"),
        (#"{"url":"https://example.org/","event_types":"a"}"#, "422 field_invalid event_types"),
        (#"{"url":"https://example.org/","event_types":[]}"#, "422 field_invalid event_types"),
        (#"{"url":"https://example.org/","event_types":["a",7]}"#, "422 field_invalid event_types[1]"),
        (#"{"url":"https://example.org/","event_types":["a","b*c"]}"#, "422 field_invalid event_types[1]"),
        (
            #"{"url":"https://example.org/","event_types":["a"],"url":"https://example.net/"}"#,
            "400 duplicate_field url"
        ),
        (with(#""headers":{"X-A":"1","X-A":"2"}"#), "400 duplicate_field X-A"),
        (with(#""headers":[]"#), "422 field_invalid headers"),
        (with(#""headers":{"X-A":1}"#), "422 field_invalid headers.X-A"),
        (with(#""headers":{"X-A":"1","X-B":"a\r\nX-C: 1"}"#), "422 field_invalid headers.X-B"),
        (with(#""headers":{"X-A":"a\nb"}"#), "422 field_invalid headers.X-A"),
        (with(#""headers":{"X-A":"a\u0000b"}"#), "422 field_invalid headers.X-A"),
        (with(#""headers":{"X A":"1"}"#), "422 field_invalid headers.X A"),
        (with(#""headers":{"Host":"evil"}"#), "422 field_invalid headers.Host"),
        (with(#""headers":{"webhook-id":"evil"}"#), "422 field_invalid headers.webhook-id"),
        (with(#""enabled":"yes""#), "422 field_invalid enabled"),
        (with(#""timeout_ms":-1"#), "422 field_invalid timeout_ms"),
        (with(#""timeout_ms":5"#), "422 field_invalid timeout_ms"),
        (with(#""timeout_ms":1.5"#), "422 field_invalid timeout_ms"),
        (with(#""timeout_ms":99999999999999999999"#), "422 field_invalid timeout_ms"),
        (with(#""timeout_ms":"5000""#), "422 field_invalid timeout_ms"),
        (with(#""max_in_flight":10001"#), "422 field_invalid max_in_flight"),
        (with(#""retry":[1000]"#), "422 field_invalid retry"),
        (with(#""retry":{"schedule":[1000]}"#), "422 unknown_field retry.schedule"),
        (with(#""retry":{"schedule_ms":[]}"#), "422 field_invalid retry.schedule_ms"),
        (with(#""retry":{"schedule_ms":1000}"#), "422 field_invalid retry.schedule_ms"),
        (with(#""retry":{"schedule_ms":[1000,"10s"]}"#), "422 field_invalid retry.schedule_ms[1]"),
        (with(#""retry":{"schedule_ms":[1000,99]}"#), "422 field_invalid retry.schedule_ms[1]"),
        (with(#""retry":{"schedule_ms":[604800001]}"#), "422 field_invalid retry.schedule_ms[0]"),
        (with(#""retry":{"schedule_ms":[1000],"max_retries":3}"#), "422 field_invalid retry"),
        (with(#""retry":{"initial_delay_ms":1.5}"#), "422 field_invalid retry.initial_delay_ms"),
        (with(#""retry":{"backoff_multiplier":0.5}"#), "422 field_invalid retry.backoff_multiplier"),
        (with(#""retry":{"backoff_multiplier":1e999}"#), "422 field_invalid retry.backoff_multiplier"),
        (with(#""retry":{"initial_delay_ms":2000,"max_delay_ms":1000}"#), "422 field_invalid retry.max_delay_ms"),
        (with(#""retry":{"max_retries":101}"#), "422 field_invalid retry.max_retries"),
        (with(#""retry":{"max_retries":-1}"#), "422 field_invalid retry.max_retries"),
        (with(#""description":{}"#), "422 field_invalid description"),
        (with(#""description":"\#(long)""#), "422 field_invalid description"),
        (with(#""description":"a\u0000""#), "422 field_invalid description"),
        (with(#""secret":"whsec_x""#), "422 unknown_field secret"),
        (with(#""id":"wh_1""#), "422 unknown_field id"),
    ]

    @Test func badWebhooksAreNotMade() async throws {
        try await withGateway { gateway in
            let token = try gateway.token()
            for (body, problem) in Self.bodies {
                let answer = await gateway.send(.post, "/api/v1/webhooks", body, token: token)
                #expect(answer.problem == problem, "\(body.prefix(200)): \(answer.text)")
            }
            let large = Self.with(#""description":"\#(String(repeating: "x", count: 300_000))""#)
            #expect(await gateway.send(.post, "/api/v1/webhooks", large, token: token).problem == "413 too_large -")
            let form = await gateway.send(
                .post, "/api/v1/webhooks", Self.with(#""enabled":true"#), token: token,
                headers: ["content-type": "application/x-www-form-urlencoded"])
            #expect(form.problem == "415 unsupported_media_type Content-Type")
            #expect(await gateway.send(.get, "/api/v1/webhooks", token: token).data.isEmpty)
        }
    }

    @Test func badChangesChangeNothing() async throws {
        try await withGateway { gateway in
            let token = try gateway.token()
            let made = await gateway.send(
                .post, "/api/v1/webhooks", Self.with(#""description":"before""#), token: token)
            let path = "/api/v1/webhooks/" + (try #require(made.string("id")))
            let changes: [(String, String)] = [
                (#"{"url":null}"#, "422 field_required url"),
                (#"{"event_types":null}"#, "422 field_required event_types"),
                (#"{"description":"after","enabled":1}"#, "422 field_invalid enabled"),
                (#"{"description":"after","timeout_ms":1}"#, "422 field_invalid timeout_ms"),
                (#"{"description":"after","version":9}"#, "422 unknown_field version"),
                (#"{"description":"after","description":"x"}"#, "400 duplicate_field description"),
                (
                    #"{"description":"after","headers":{"A":"1","Content-Length":"1"}}"#,
                    "422 field_invalid headers.Content-Length"
                ),
            ]
            for (body, problem) in changes {
                #expect(await gateway.send(.patch, path, body, token: token).problem == problem, "\(body)")
            }
            #expect(await gateway.send(.put, path, "{}", token: token).problem == "422 field_required url")
            for (body, problem) in [
                (#"{"overlap_seconds":-1}"#, "422 field_invalid overlap_seconds"),
                (#"{"overlap":1}"#, "422 unknown_field overlap"), ("x", "400 invalid_json -"),
            ] {
                #expect(await gateway.send(.post, path + "/rotate-secret", body, token: token).problem == problem)
            }
            let after = await gateway.send(.get, path, token: token)
            #expect(after.string("description") == "before")
            #expect(after.header("etag") == "\"1\"")
        }
    }

    @Test func wrongTokensOpenNothing() async throws {
        try await withGateway { gateway in
            let valid = try gateway.token()
            let parts = valid.split(separator: ".")
            let wrong: [(String, String?)] = [
                ("none", nil), ("no token", "x"), ("expired", try gateway.token(lifetime: -60)),
                ("another issuer", try gateway.token(issuer: "elsewhere")),
                ("another audience", try gateway.token(audience: "elsewhere")),
                ("another secret", try gateway.token(secret: "another secret of 32 bytes, or more")),
                ("unsigned", "\(parts[0]).\(parts[1])."), ("changed", "\(parts[0]).\(parts[1])A.\(parts[2])"),
            ]
            let id = "wh_0123456789abcdef0123456789abcdef"
            let routes: [(HTTPSendMethod, String, String?)] = [
                (.get, "/api/v1/webhooks", nil), (.post, "/api/v1/webhooks", Self.with(#""enabled":true"#)),
                (.get, "/api/v1/webhooks/\(id)", nil), (.patch, "/api/v1/webhooks/\(id)", "{}"),
                (.put, "/api/v1/webhooks/\(id)", "{}"), (.delete, "/api/v1/webhooks/\(id)", nil),
                (.post, "/api/v1/webhooks/\(id)/rotate-secret", nil),
                (.post, "/api/v1/events", #"{"type":"a","source":"b"}"#), (.get, "/api/v1/events/e", nil),
                (.get, "/api/v1/deliveries", nil), (.get, "/api/v1/deliveries/d", nil),
                (.get, "/api/v1/webhooks/\(id)/attempts", nil),
                (.get, "/api/v1/webhooks/\(id)/stats", nil),
            ]
            for (method, path, body) in routes {
                for (name, token) in wrong {
                    let answer = await gateway.send(method, path, body, token: token)
                    #expect(answer.problem == "401 unauthorized -", "\(method) \(path): \(name)")
                    #expect(answer.header("www-authenticate")?.hasPrefix("Bearer") == true)
                }
                // A token without any scope may do nothing.
                let answer = await gateway.send(method, path, body, token: try gateway.token(scopes: []))
                #expect(answer.problem == "403 forbidden -", "\(method) \(path)")
                #expect(answer.header("www-authenticate")?.contains("insufficient_scope") == true)
            }
            let readers = try gateway.token(scopes: [.readWebhooks])
            #expect(await gateway.send(.get, "/api/v1/webhooks", token: readers).status == 200)
            #expect(await gateway.send(.post, "/api/v1/webhooks", "{}", token: readers).status == 403)
            #expect(await gateway.send(.get, "/api/v1/webhooks", token: valid).data.isEmpty)
            #expect(gateway.history.questions.isEmpty)
        }
    }
}
