import Glibc
import HTTPSending
import HTTPServing
import JSONScanning
import Kafka
import ServiceSupport
import Synchronization
import TestSupport
import Testing

@testable import Gateway

/// Events, history, and what goes on while something behind the gateway is away.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct DependencyTests {
    private let event = #"{"id":"e-1","type":"user.created","source":"s","data":{"n": 1.50}}"#

    @Test func eventsGoToKafkaAsTheTokensTenants() async throws {
        try await withGateway(hasRegistry: false) { gateway in
            let token = try gateway.token(tenant: "acme", scopes: [.writeEvents])
            let answer = await gateway.send(.post, "/api/v1/events", event, token: token)
            #expect(answer.status == 202, "\(answer.text)")
            #expect(answer.text == #"{"id":"e-1","status":"accepted","duplicate":false}"#)
            let records = try await gateway.events()
            #expect(records.count == 1)
            let record = try #require(records.first)
            #expect(record.header("tenant") == Array("acme".utf8))
            #expect(record.header("ce_type") == Array("user.created".utf8))
            #expect(record.key == Array("acme\u{0}e-1".utf8))
            #expect(String(decoding: record.value ?? [], as: UTF8.self).hasSuffix(#""data":{"n": 1.50}}"#))
        }
    }

    @Test func batchesAreTakenAsIngestionTakesThem() async throws {
        try await withGateway(hasRegistry: false) { gateway in
            let batch = #"[{"id":"e-1","type":"a","source":"b"},{"id":"e-2","type":"a","source":"b"}]"#
            #expect(await gateway.send(.post, "/api/v1/events/batch", batch).status == 401)
            let token = try gateway.token(tenant: "acme", scopes: [.writeEvents])
            let wrong = await gateway.send(
                .post, "/api/v1/events/batch", batch.replacing("e-2", with: "e-2\\n"), token: token)
            #expect(wrong.problem == "422 field_invalid [1].id")
            #expect(try await gateway.events().isEmpty)
            let answer = await gateway.send(.post, "/api/v1/events/batch", batch, token: token)
            #expect(answer.status == 202 && answer.text.hasPrefix(#"{"events":[{"id":"e-1","status":"accepted","#))
            let tenants = try await gateway.events().map { $0.header("tenant") }
            #expect(tenants == [Array("acme".utf8), Array("acme".utf8)])
        }
    }

    @Test func badEventsAreNotTaken() async throws {
        try await withGateway(hasRegistry: false) { gateway in
            let token = try gateway.token()
            let large = String(repeating: "x", count: 300 << 10)
            for (body, problem) in [
                ("", "400 invalid_json -"), (#"{"type":"a"}"#, "422 field_required source"),
                (#"{"type":"a","source":"b","tenant":"other"}"#, "422 unknown_field tenant"),
                (#"{"type":"a","source":"b","type":"c"}"#, "400 duplicate_field type"),
                (#"{"type":7,"source":"b"}"#, "422 field_invalid type"),
                (#"{"type":"a","source":"b","data":"\#(large)"}"#, "413 too_large -"),
            ] {
                let answer = await gateway.send(.post, "/api/v1/events", body, token: token)
                #expect(answer.problem == problem, "\(body.prefix(80))")
            }
            #expect(await gateway.send(.get, "/api/v1/events", token: token).status == 405)
            #expect(try await gateway.events().isEmpty)
        }
    }

    @Test func historyIsAskedInTheTenantsName() async throws {
        try await withGateway { gateway in
            let token = try gateway.token()
            let made = await gateway.send(
                .post, "/api/v1/webhooks", #"{"url":"https://example.org/","event_types":["a"]}"#, token: token)
            let webhook = try #require(made.string("id"))
            for (path, asked, query) in [
                ("/api/v1/events/a%2Fb%20c%3F", "/internal/v1/events/a%2Fb%20c%3F", "tenant=acme"),
                ("/api/v1/deliveries/dlv_1", "/internal/v1/deliveries/dlv_1", "tenant=acme"),
                ("/api/v1/deliveries", "/internal/v1/deliveries", "tenant=acme"),
                (
                    "/api/v1/deliveries?state=parked&webhook=wh_1&limit=5&cursor=1.a", "/internal/v1/deliveries",
                    "tenant=acme&cursor=1.a&limit=5&state=parked&webhook=wh_1"
                ),
                (
                    "/api/v1/webhooks/\(webhook)/attempts?limit=5&outcome=failed&cursor=a%26tenant%3Dx",
                    "/internal/v1/webhooks/\(webhook)/attempts",
                    "tenant=acme&cursor=a%26tenant%3Dx&limit=5&outcome=failed"
                ),
                (
                    "/api/v1/webhooks/\(webhook)/stats?window=60", "/internal/v1/webhooks/\(webhook)/stats",
                    "tenant=acme&window=60"
                ),
            ] {
                let answer = await gateway.send(.get, path, token: token)
                #expect(answer.status == 200 && answer.text == #"{"answer":1}"#, "\(path): \(answer.text)")
                #expect(gateway.history.questions.last == .init(path: asked, query: query))
            }
            let count = gateway.history.questions.count
            for (path, problem) in [
                ("/api/v1/events/e?tenant=other", "422 unknown_parameter tenant"),
                ("/api/v1/webhooks/\(webhook)/attempts?window=1", "422 unknown_parameter window"),
                ("/api/v1/deliveries?webhook_id=wh_1", "422 unknown_parameter webhook_id"),
                ("/api/v1/webhooks/wh_0/attempts", "404 not_found -"),
            ] {
                #expect(await gateway.send(.get, path, token: token).problem == problem)
            }
            #expect(gateway.history.questions.count == count)
        }
    }

    @Test func historysOwnAnswersPassThrough() async throws {
        try await withGateway(hasRegistry: false) { gateway in
            let token = try gateway.token()
            let unseen = HTTPProblem(status: 404, code: "not_seen_yet", detail: "wait")
            gateway.history.answer(unseen.response)
            #expect(await gateway.send(.get, "/api/v1/events/e", token: token).problem == "404 not_seen_yet -")
            gateway.history.answer(
                HTTPProblem(status: 422, code: "field_invalid", detail: "x", field: "limit").response)
            // The registry is away: history answers by itself.
            let attempts = "/api/v1/webhooks/wh_1/attempts"
            #expect(await gateway.send(.get, attempts, token: token).problem == "422 field_invalid limit")
            gateway.history.answer(HTTPProblem(status: 503, code: "unavailable", detail: "x", retryAfter: 9).response)
            let away = await gateway.send(.get, "/api/v1/events/e", token: token)
            #expect(away.problem == "503 unavailable -" && away.header("retry-after") != nil)
            // An inner refusal is no business of the caller's.
            gateway.history.answer(HTTPProblem(status: 401, code: "unauthorized", detail: "internal").response)
            let broken = await gateway.send(.get, "/api/v1/events/e", token: token)
            #expect(broken.problem == "500 internal -" && !broken.text.contains("observability"))
        }
    }

    @Test func whileTheDatabaseIsAwayOnlyLoginsWait() async throws {
        let server = try await PostgresServer()
        try await withGateway(server: server) { gateway in
            let login = #"{"username":"admin","password":"password"}"#
            let token = try #require(await gateway.send(.post, "/auth/login", login).string("token"))
            await server.stop()
            let refused = await gateway.send(.post, "/auth/login", login)
            #expect(refused.problem == "503 unavailable -" && refused.header("retry-after") != nil)
            #expect(await gateway.send(.post, "/api/v1/events", event, token: token).status == 202)
            #expect(await gateway.send(.get, "/api/v1/events/e", token: token).status == 200)
            let list = await gateway.send(.get, "/api/v1/webhooks", token: token)
            #expect(list.problem == "503 unavailable -" && list.header("retry-after") != nil)
            #expect(await gateway.send(.get, "/api/v1/webhooks").status == 401)
            let ready = await gateway.send(.get, "/ready")
            #expect(ready.status == 200 && ready.text.contains(#""postgres":{"status":"unavailable""#))
            try await server.start()
            #expect(
                await eventually(within: .seconds(20)) {
                    await gateway.send(.post, "/auth/login", login).status == 200
                })
        }
        await server.remove()
    }

    @Test func withoutRegistryHistoryAndKafkaTheRestGoesOn() async throws {
        let away = "127.0.0.1:\(freePort())"
        let change = ["MARTLET_KAFKA_BROKERS": away, "MARTLET_GATEWAY_OBSERVABILITY": away]
        try await withGateway(change, hasRegistry: false, needs: ["postgres"]) { gateway in
            let token = try gateway.token()
            for (method, path, body) in [
                (.get, "/api/v1/webhooks", nil), (.get, "/api/v1/events/e", nil), (.post, "/api/v1/events", event),
            ] as [(HTTPSendMethod, String, String?)] {
                let answer = await gateway.send(method, path, body, token: token)
                #expect(answer.problem == "503 unavailable -", "\(path): \(answer.text)")
                #expect(answer.header("retry-after") != nil)
            }
            #expect(await gateway.send(.get, "/health").status == 200)
            #expect(await gateway.send(.get, "/ready").status == 200)
            let login = await gateway.send(.post, "/auth/login", #"{"username":"admin","password":"password"}"#)
            #expect(login.status == 200)
        }
    }

    // MARK: The executable

    @Test func theExecutableStopsCleanlyUnderLoad() async throws {
        let gateway = try await GatewayFixture(hasRegistry: false)
        let port = freePort()
        let environment = gateway.environment.merging(
            ["MARTLET_GATEWAY_LISTEN": "127.0.0.1:\(port)", "MARTLET_LOG_LEVEL": "info"]) { $1 }
        let child = try ChildProcess(try builtProgram("api-gateway"), environment: environment)
        let client = try HTTPClient()
        let endpoint = try Endpoint("http://127.0.0.1:\(port)/api/v1/events")
        var headers = HeaderLines()
        headers.append("authorization", "Bearer \(try gateway.token())")
        headers.append("content-type", "application/json")
        let body = Array(#"{"type":"a","source":"b"}"#.utf8)
        let isUp = await eventually(within: .seconds(30)) {
            await client.send(.post, to: endpoint, headers: headers, body: body).status == 202
        }
        #expect(isUp, "\(child.output)\(child.errors)")
        let answered = Tally()
        let senders = (0..<8).map { _ in
            Task { [headers] in
                var results: [HTTPSendResult] = []
                while results.last?.failure == nil {
                    results.append(await client.send(.post, to: endpoint, headers: headers, body: body))
                    answered.count.add(1, ordering: .relaxed)
                }
                return results
            }
        }
        #expect(await eventually { answered.count.load(ordering: .relaxed) > 100 })
        let stopped = ContinuousClock.now
        child.signal(SIGTERM)
        #expect(try await child.exit(within: .seconds(15)) == 0)
        #expect(ContinuousClock.now - stopped < .seconds(10))
        for sender in senders {
            let results = await sender.value
            // Answered well to the end; then nobody listens any more, and no request was cut off.
            #expect(results.dropLast().allSatisfy { $0.status == 202 })
            #expect(results.last?.failure == .connect, "\(results.last?.message ?? "")")
        }
        #expect(child.output.contains(#""message":"stopped""#))
        #expect(child.output.split(separator: "\n").allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") })
        try await gateway.stop()
    }

    @Test func aWrongConfigurationEndsTheStart() async throws {
        let child = try ChildProcess(
            try builtProgram("api-gateway"),
            environment: ["MARTLET_PROFILE": "development", "MARTLET_GATEWAY_REGISTRY": "nowhere"])
        #expect(try await child.exit() == 78)
        #expect(child.errors.contains("gateway.registry") && child.errors.contains("nowhere"))
        let production = try ChildProcess(try builtProgram("api-gateway"), environment: [:])
        #expect(try await production.exit() == 78)
        for key in ["postgres.password", "auth.secret", "internal.token"] { #expect(production.errors.contains(key)) }
    }
}

private final class Tally: Sendable {
    let count = Atomic<Int>(0)
}
