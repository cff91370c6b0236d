import Glibc
import HTTPSending
import JSONScanning
import ServiceSupport
import TestSupport
import Testing
import Tokens

extension BlackBoxTests {
    /// Bad requests: each gets the right problem, which names the field, and none changes anything.
    @Suite struct RefusalTests {
        struct Case: Sendable {
            var name: String
            var body: String
            var status: Int
            var code: String
            var field: String?

            init(_ name: String, _ body: String, _ status: Int, _ code: String, _ field: String? = nil) {
                (self.name, self.body, self.status, self.code, self.field) = (name, body, status, code, field)
            }
        }

        private static let data = String(repeating: "x", count: 300 << 10)
        private static let long = String(repeating: "i", count: 257)

        static let events: [Case] = [
            Case("no JSON", "id=1", 400, "invalid_json"), Case("nothing", "", 400, "invalid_json"),
            Case("cut off", #"{"type":"a.b","source":"s""#, 400, "invalid_json"),
            Case("trailing comma", #"{"type":"a.b","source":"s",}"#, 400, "invalid_json"),
            Case("an array", "[]", 400, "invalid_json"),
            Case("a field twice", #"{"type":"a.b","source":"s","source":"t"}"#, 400, "duplicate_field", "source"),
            Case("an unknown field", #"{"type":"a.b","source":"s","tenant":"t"}"#, 422, "unknown_field", "tenant"),
            Case("no type", #"{"source":"s"}"#, 422, "field_required", "type"),
            Case("no source", #"{"type":"a.b"}"#, 422, "field_required", "source"),
            Case("a number for text", #"{"type":7,"source":"s"}"#, 422, "field_invalid", "type"),
            Case("a pattern for a type", #"{"type":"a.*","source":"s"}"#, 422, "field_invalid", "type"),
            Case("a wrong time", #"{"type":"a.b","source":"s","timestamp":"noon"}"#, 422, "field_invalid", "timestamp"),
            Case("a long id", #"{"id":"\#(long)","type":"a.b","source":"s"}"#, 422, "field_invalid", "id"),
            Case("NUL in an id", #"{"id":"a\u0000b","type":"a.b","source":"s"}"#, 422, "field_invalid", "id"),
            Case("a large body", #"{"type":"a.b","source":"s","data":"\#(data)"}"#, 413, "too_large"),
        ]

        private static func webhook(_ members: String) -> String {
            #"{"url":"https://example.com/hook","event_types":["a.b"]\#(members)}"#
        }

        static let webhooks: [Case] = [
            Case("no JSON", "url=x", 400, "invalid_json"), Case("cut off", #"{"url":"#, 400, "invalid_json"),
            Case("a field twice", webhook(#","url":"https://example.com/""#), 400, "duplicate_field", "url"),
            Case("no URL", #"{"event_types":["a.b"]}"#, 422, "field_required", "url"),
            Case("no types", #"{"url":"https://example.com/hook"}"#, 422, "field_required", "event_types"),
            Case("a number for a URL", #"{"url":7,"event_types":["a.b"]}"#, 422, "field_invalid", "url"),
            Case("another scheme", #"{"url":"ftp://example.com/","event_types":["a.b"]}"#, 422, "field_invalid", "url"),
            Case(
                "no array", #"{"url":"https://example.com/","event_types":"a.b"}"#, 422, "field_invalid", "event_types"),
            Case(
                "a pattern in the middle", #"{"url":"https://example.com/","event_types":["a.b","a.*.c"]}"#, 422,
                "field_invalid", "event_types[1]"),
            Case("an unknown field", webhook(#","tenant":"other""#), 422, "unknown_field", "tenant"),
            Case(
                "CR LF in a header", webhook(#","headers":{"X-A":"a\r\nX-B: b"}"#), 422, "field_invalid", "headers.X-A"),
            Case("NUL in a header", webhook(#","headers":{"X-A":"a\u0000"}"#), 422, "field_invalid", "headers.X-A"),
            Case("a header of ours", webhook(#","headers":{"Host":"other"}"#), 422, "field_invalid", "headers.Host"),
            Case("a long timeout", webhook(#","timeout_ms":3600000"#), 422, "field_invalid", "timeout_ms"),
            Case("a large body", webhook(#","description":"\#(data)""#), 413, "too_large"),
        ]

        @Test func badEventsAreRefusedAndGoNowhere() async throws {
            let system = try await MartletSystem.shared(.inMemory)
            try await withoutChange(system) { api in
                for bad in Self.events {
                    for (url, api) in [
                        (api.ingestion + "/events", api.bearing("")), (api.gateway + "/api/v1/events", api),
                    ] {
                        expect(try await api.call(.post, url, json: bad.body), is: bad)
                    }
                }
            }
        }

        @Test func badWebhooksAreRefusedAndNotMade() async throws {
            let system = try await MartletSystem.shared(.inMemory)
            let own = try await system.api.createWebhook(url: "http://127.0.0.1:1/hook", types: ["refusals.*"])
            try await withoutChange(system) { api in
                let url = api.gateway + "/api/v1/webhooks"
                for bad in Self.webhooks {
                    expect(try await api.call(.post, url, json: bad.body), is: bad)
                    // As a change, too: where a field is missing there is nothing wrong with one.
                    guard bad.code != "field_required" else { continue }
                    expect(try await api.call(.patch, url + "/\(own.id)", json: bad.body), is: bad)
                }
            }
            try await system.api.deleteWebhook(own.id)
        }

        private func expect(_ answer: API.Answer, is bad: Case) {
            let comment = Comment(rawValue: "\(bad.name): \(answer.status) \(answer.text)")
            #expect(answer.status == bad.status && answer["code"]?.text == bad.code, comment)
            #expect(answer["status"]?.integer == bad.status && answer["field"]?.text == bad.field, comment)
            #expect(answer.header("content-type") == "application/problem+json", comment)
        }

        /// Webhooks, and the records of `events` and `webhooks`, are the same before and after.
        private func withoutChange(_ system: MartletSystem, _ body: (API) async throws -> Void) async throws {
            let topics = system.configuration.kafka.topics
            func state() async throws -> [String] {
                [
                    try await system.api.webhooks().text, "\(try await system.recordCount(topics.events))",
                    "\(try await system.recordCount(topics.webhooks))",
                ]
            }
            let before = try await state()
            try await body(system.api)
            #expect(try await state() == before)
        }

        // MARK: Tokens

        private static func token(
            _ system: MartletSystem, tenant: String = "default", scopes: [String]? = nil, secret: String? = nil,
            audience: String? = nil, lifetime: Int64 = 600
        ) throws -> String {
            let settings = system.configuration.auth
            let now = Int64(time(nil))
            let authority = TokenAuthority(
                issuer: settings.issuer, audience: audience ?? settings.audience,
                keys: [try .init(id: "1", secret: Array((secret ?? settings.secret).utf8))])
            return try authority.issue(
                TokenClaims(
                    subject: "admin", tenant: tenant,
                    scopes: scopes ?? ["webhooks:read", "webhooks:write", "events:write", "deliveries:read"],
                    issuedAt: now - 3_600, expiresAt: now + lifetime, id: "test"))
        }

        @Test func withoutAValidTokenNothingIsToldOrChanged() async throws {
            let system = try await MartletSystem.shared(.inMemory)
            let webhook = #"{"url":"https://example.com/hook","event_types":["a.b"]}"#
            let bad = [
                "missing": "", "no token": "abc", "expired": try Self.token(system, lifetime: -120),
                "another secret": try Self.token(system, secret: String(repeating: "s", count: 40)),
                "another audience": try Self.token(system, audience: "somebody-else"),
            ]
            try await withoutChange(system) { api in
                for (name, token) in bad {
                    let caller = api.bearing(token)
                    for (method, path, body) in [
                        (.get, "/api/v1/webhooks", nil), (.post, "/api/v1/webhooks", webhook),
                        (.get, "/api/v1/events/event-123", nil),
                        (.post, "/api/v1/events", #"{"type":"a.b","source":"s"}"#),
                    ] as [(HTTPSendMethod, String, String?)] {
                        let answer = try await caller.call(method, api.gateway + path, json: body)
                        #expect(
                            answer.status == 401 && answer["code"]?.text == "unauthorized",
                            "\(name): \(path): \(answer.status) \(answer.text)")
                        #expect(answer.header("www-authenticate")?.hasPrefix("Bearer") == true)
                    }
                }
                let reader = api.bearing(try Self.token(system, scopes: ["webhooks:read"]))
                let refused = try await reader.call(.post, api.gateway + "/api/v1/webhooks", json: webhook)
                #expect(refused.status == 403 && refused["code"]?.text == "forbidden")
            }
        }

        @Test func anotherTenantsWebhooksAreNotThere() async throws {
            let system = try await MartletSystem.shared(.inMemory)
            let own = try await system.api.createWebhook(url: "http://127.0.0.1:1/hook", types: ["tenants.*"])
            let stranger = system.api.bearing(try Self.token(system, tenant: "other"))
            let url = system.api.gateway + "/api/v1/webhooks/\(own.id)"
            for (method, body) in [
                (.get, nil), (.delete, nil), (.patch, #"{"enabled":false}"#),
            ] as [(HTTPSendMethod, String?)] {
                let answer = try await stranger.call(method, url, json: body)
                #expect(answer.status == 404 && answer["code"]?.text == "not_found", "\(answer.text)")
            }
            #expect(try await stranger.webhooks()["data"]?.elements?.isEmpty == true)
            let attempts = try await stranger.call(.get, url + "/attempts")
            #expect(attempts.status == 404)
            #expect(try await system.api.call(.get, url)["enabled"]?.boolean == true)
            try await system.api.deleteWebhook(own.id)
        }

        @Test func aWrongPasswordAndAnUnknownUserLookTheSame() async throws {
            let system = try await MartletSystem.shared(.inMemory)
            var answers: [API.Answer] = []
            for body in [
                #"{"username":"admin","password":"passwort"}"#, #"{"username":"nobody","password":"password"}"#,
            ] {
                answers.append(try await system.api.call(.post, system.api.gateway + "/auth/login", json: body))
            }
            #expect(answers.allSatisfy { $0.status == 401 && $0["code"]?.text == "invalid_credentials" })
            #expect(answers[0].body == answers[1].body)
        }
    }
}
