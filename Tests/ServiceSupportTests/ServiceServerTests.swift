import HTTPSending
import HTTPServing
import JSONScanning
import LifeCycle
import Logs
import Metrics
import Records
import Settings
import Synchronization
import TestSupport
import Testing

@testable import ServiceSupport

private let quiet = Logger(label: "test", output: LogOutput(service: "test", level: .critical))

private struct Unexpected: Error, CustomStringConvertible { var description: String { "geheim" } }

/// What a watchdog says.
private final class Trouble: Sendable {
    private let current = Mutex<String?>(nil)
    var text: String? {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }
}

/// A server with every kind of handler.
private struct Running {
    let context: ServiceContext
    let port = freePort()
    let group: ServiceGroup
    let client: HTTPClient

    init() throws {
        context = ServiceContext(
            name: "test-service", configuration: try Configuration.load(environment: [:]), logger: quiet)
        let routes = [
            HTTPRoute("GET", "/ok/{name}", logger: quiet) { request in
                .text(request.parameters["name"] ?? "")
            },
            HTTPRoute("GET", "/problem", logger: quiet) { _ in
                throw HTTPProblem(status: 409, code: "conflict", detail: "no", field: "name")
            },
            HTTPRoute("POST", "/json", logger: quiet) { request in
                var fields = try JSONFields(JSONValue(parsing: request.body))
                _ = try fields.required("name", fields.string("name"))
                _ = try fields.integer("age", in: 0...150)
                try fields.refuseOthers()
                return .json([])
            },
            HTTPRoute("GET", "/domain/{code}", logger: quiet) { request in
                throw RequestProblem(field: "f", .init(request.parameters["code"] ?? ""), "wrong")
            },
            HTTPRoute("GET", "/broken", logger: quiet) { _ in throw Unexpected() },
        ]
        let server = ServiceServer(
            context, listen: HostPort(host: "127.0.0.1", port: port), routes: routes,
            configure: { $0.maximumBodyBytes = 1_000 })
        group = ServiceGroup(services: [server], logger: quiet)
        client = try HTTPClient()
    }

    func send(_ method: HTTPSendMethod, _ path: String, _ body: String = "") async throws -> HTTPSendResult {
        await client.send(
            method, to: try Endpoint("http://127.0.0.1:\(port)\(path)"), body: Array(body.utf8))
    }

    func get(_ path: String) async throws -> HTTPSendResult { try await send(.get, path) }
}

extension HTTPSendResult {
    fileprivate var text: String { String(decoding: body, as: UTF8.self) }
    fileprivate func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }
    fileprivate func member(_ name: String) throws -> String? {
        guard case .object(let object) = try JSONValue(parsing: body), case .string(let text)? = object[name] else {
            return nil
        }
        return text
    }
}

@Suite struct ServiceServerTests {
    private func withServer(_ body: (Running) async throws -> Void) async throws {
        let running = try Running()
        let serving = Task { try await running.group.run() }
        #expect(await eventually { (try? await running.get("/health").status) == 200 })
        try await body(running)
        running.group.stop()
        try await serving.value
    }

    @Test func healthReadinessAndMetricsAreServed() async throws {
        try await withServer { running in
            let health = try await running.get("/health")
            #expect(try health.member("status") == "ok" && health.member("service") == "test-service")
            #expect(try await running.get("/ready").status == 200)
            let trouble = Trouble()
            running.context.liveness.register { trouble.text }
            #expect(try await running.get("/health").status == 200)
            trouble.text = "the thread dispatch-0 has not turned for 31 s"
            let stuck = try await running.get("/health")
            #expect(stuck.status == 503)
            #expect(try stuck.member("status") == "stuck" && stuck.member("reason")?.contains("dispatch-0") == true)
            trouble.text = nil
            #expect(try await running.get("/health").status == 200)
            let flag = running.context.readiness.register("kafka")
            let ready = try await running.get("/ready")
            #expect(ready.status == 503 && ready.text.contains("\"reason\":\"starting\""))
            flag.set(.ready)
            #expect(try await running.get("/ready").status == 200)

            #expect(try await running.get("/ok/martin").text == "martin")
            #expect(try await running.get("/ok/luther").status == 200)
            #expect(try await running.get("/nowhere").status == 404)
            let metrics = try await running.get("/metrics")
            #expect(metrics.header("content-type") == "text/plain; version=0.0.4; charset=utf-8")
            #expect(
                metrics.text.contains(
                    #"webhook_http_requests_total{method="GET",route="/ok/{name}",status="200"} 2"#))
            #expect(
                metrics.text.contains(
                    #"webhook_http_requests_total{method="GET",route="unknown",status="404"} 1"#))
            #expect(
                metrics.text.contains(
                    #"webhook_http_request_duration_seconds_count{method="GET",route="/ok/{name}"} 2"#))
        }
    }

    @Test func whatHandlersThrowIsAnswered() async throws {
        try await withServer { running in
            let problem = try await running.get("/problem")
            #expect(problem.status == 409 && problem.header("content-type") == "application/problem+json")
            #expect(try problem.member("code") == "conflict" && problem.member("field") == "name")
            let cases: [(String, Int, String, String?)] = [
                ("{", 400, "invalid_json", nil), ("[]", 422, "field_invalid", nil),
                ("{}", 422, "field_required", "name"), (#"{"name":1}"#, 422, "field_invalid", "name"),
                (#"{"name":"a","age":151}"#, 422, "field_invalid", "age"),
                (#"{"name":"a","nmae":1}"#, 422, "unknown_field", "nmae"),
                (#"{"name":"a","name":"b"}"#, 400, "invalid_json", nil),
            ]
            for (body, status, code, field) in cases {
                let answer = try await running.send(.post, "/json", body)
                #expect(answer.status == status, "\(body): \(answer.text)")
                #expect(try answer.member("code") == code && answer.member("field") == field, "\(body): \(answer.text)")
            }
            #expect(try await running.send(.post, "/json", String(repeating: " ", count: 1_001)).status == 413)
            for (code, status) in [
                ("not_found", 404), ("version_mismatch", 412), ("too_many_webhooks", 409), ("x", 422),
            ] {
                let answer = try await running.get("/domain/\(code)")
                #expect(try answer.status == status && answer.member("code") == code)
            }
            let broken = try await running.get("/broken")
            #expect(try broken.status == 500 && broken.member("code") == "internal")
            #expect(!broken.text.contains("geheim"))
            #expect(broken.text.contains(try #require(broken.header("x-request-id"))))
        }
    }

    @Test func aPortInUseEndsTheStart() async throws {
        try await withServer { running in
            let second = ServiceServer(running.context, listen: HostPort(host: "127.0.0.1", port: running.port))
            let error = await #expect(throws: HTTPServerError.self) { try await second.run() }
            #expect(error?.description == "127.0.0.1:\(running.port) is in use by another process")
        }
    }

    @Test func unknownMethodsAreOneLabel() {
        let registry = MetricsRegistry()
        let metrics = HTTPMetrics(registry)
        for number in 0..<1_000 {
            metrics.answered(method: "M\(number)", route: "unknown", status: 404, nanoseconds: 1)
        }
        let text = String(decoding: registry.prometheusText(), as: UTF8.self)
        #expect(text.contains(#"webhook_http_requests_total{method="other",route="unknown",status="404"} 1000"#))
    }
}
