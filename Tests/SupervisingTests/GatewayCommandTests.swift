import HTTPServing
import JSONScanning
import Synchronization
import TestSupport
import Testing

@testable import Supervising

private let id = "dlv_0123456789abcdef0123456789abcdef"
private let other = "dlv_ffffffffffffffffffffffffffffffff"

/// A stand-in for the gateway: whoever shows the token `t` gets what the test wants.
private final class FakeGateway: Sendable {
    private final class Traffic: Sendable { let requests = Mutex<[HTTPRequest]>([]) }

    private let traffic: Traffic
    private let server: HTTPServer
    let url: String

    /// Without the logins: method, path, query and body.
    var requests: [String] {
        traffic.requests.withLock { $0 }.map { request in
            let query = request.query.map { "?" + $0 } ?? ""
            return "\(request.method) \(request.path)\(query) \(String(decoding: request.body, as: UTF8.self))"
        }
    }

    init(_ answer: @escaping @Sendable (HTTPRequest) -> (status: Int, body: String)) async throws {
        let traffic = Traffic()
        self.traffic = traffic
        let handle: @Sendable (HTTPRequest) async -> HTTPResponse = { request in
            guard request.header("authorization") == "Bearer t" else {
                return .json(status: 401, Array(#"{"code":"unauthorized","detail":"The token is not valid."}"#.utf8))
            }
            traffic.requests.withLock { $0.append(request) }
            let (status, body) = answer(request)
            return .json(status: status, Array(body.utf8))
        }
        server = HTTPServer(
            HTTPServerConfiguration(),
            routes: [
                HTTPRoute("POST", "/auth/login") { request in
                    JSONValue(answer: request.body)?["password"]?.text == "password"
                        ? .json(status: 200, Array(#"{"token":"t"}"#.utf8))
                        : .json(
                            status: 401,
                            Array(#"{"code":"invalid_credentials","detail":"Wrong user or password."}"#.utf8))
                },
                HTTPRoute("GET", "/{path...}", handler: handle), HTTPRoute("POST", "/{path...}", handler: handle),
            ])
        url = "http://127.0.0.1:\(try await server.start())"
    }

    func martlet(_ words: String...) async throws -> (status: Int32, output: String, errors: String) {
        let child = try ChildProcess(try builtProgram("martlet"), words + ["--url", url])
        return (try await child.exit(), child.output, child.errors)
    }

    func stop() async { await server.stop(withinMilliseconds: 300) }
}

@Suite(.timeLimit(.minutes(1))) struct GatewayCommandTests {
    private func withGateway(
        _ status: Int, _ body: String, _ test: (FakeGateway) async throws -> Void
    ) async throws {
        let gateway = try await FakeGateway { _ in (status, body) }
        do {
            try await test(gateway)
        } catch {
            await gateway.stop()
            throw error
        }
        await gateway.stop()
    }

    @Test(arguments: ["retry", "cancel", "resend"]) func aDeliveryIsSteered(what: String) async throws {
        let answer =
            #"{"delivery_id":"\#(other)","parent":"\#(id)","status":"pending","explanation":"It will\nbe sent."}"#
        try await withGateway(202, answer) { gateway in
            let text = try await gateway.martlet(what, id)
            #expect(text.status == 0, "\(text.errors)")
            #expect(text.output == "\(other)  pending  repeats \(id)  It will be sent.\n")
            let json = try await gateway.martlet(what, id, "--json", "--token", "t")
            #expect(json.output == answer + "\n")
            #expect(gateway.requests == Array(repeating: "POST /api/v1/deliveries/\(id)/\(what) ", count: 2))
        }
    }

    @Test(arguments: ["pause", "resume"]) func aWebhookIsHeldBack(what: String) async throws {
        let answer = #"{"id":"wh_1","url":"https://example.org/a","paused":\#(what == "pause")}"#
        try await withGateway(200, answer) { gateway in
            let text = try await gateway.martlet(what, "wh_1")
            #expect(text.status == 0, "\(text.errors)")
            #expect(text.output == "wh_1  \(what == "pause" ? "paused" : "not paused")  https://example.org/a\n")
            #expect(try await gateway.martlet(what, "wh_1", "--json", "--token", "t").output == answer + "\n")
            #expect(gateway.requests == Array(repeating: "POST /api/v1/webhooks/wh_1/\(what) ", count: 2))
        }
    }

    @Test func aRefusalIsOneLineAndExitCodeOne() async throws {
        let problem = #"{"status":409,"code":"not_waiting","detail":"It was delivered; resend it."}"#
        try await withGateway(409, problem) { gateway in
            for words in [["retry", id], ["retry", id, "--json"]] {
                let child = try ChildProcess(try builtProgram("martlet"), words + ["--url", gateway.url])
                #expect(try await child.exit() == 1)
                #expect(child.output.isEmpty)
                #expect(child.errors == "Error: status 409, not_waiting: It was delivered; resend it.\n")
            }
            let login = try await gateway.martlet("retry", id, "--password", "x")
            #expect(login.status == 1)
            #expect(
                login.errors
                    == "Error: logging in as admin: status 401, invalid_credentials: Wrong user or password.\n")
            let token = try await gateway.martlet("retry", id, "--token", "x")
            #expect(token.errors == "Error: status 401, unauthorized: The token is not valid.\n")
        }
    }

    @Test func anAnswerThatIsNoneAndAGatewayThatIsAwayAreNamed() async throws {
        try await withGateway(200, "[]") { gateway in
            let odd = try await gateway.martlet("dlq", "list")
            #expect(odd.status == 1 && odd.errors == "Error: the answer is not what it should be: []\n")
        }
        let child = try ChildProcess(
            try builtProgram("martlet"), ["dlq", "list", "--url", "http://127.0.0.1:\(freePort())"])
        #expect(try await child.exit() == 1)
        #expect(child.errors.contains("refused"), "\(child.errors)")
    }

    @Test(arguments: [
        (["retry", "x"], "'x' is no delivery's id: expected dlv_ and 32 hexadecimal digits"),
        (["dlq", "discard"], "<delivery-id> ... is missing"),
        (["dlq", "requeue"], "give ids, a filter"), (["dlq", "requeue", "--dry-run"], "give ids, a filter"),
        (["dlq", "requeue", id, "--dry-run"], "go without ids"),
        (["dlq", "requeue", id, "--type", "a"], "go without ids"),
        (["dlq", "list", "--status", "gone"], "expected one of open, requeued, discarded"),
        (["deliveries", "--status", "gone"], "expected one of pending, retrying, parked, dead"),
    ])
    func wrongWordsAreRefusedBeforeAnybodyIsAsked(words: [String], reason: String) async throws {
        let child = try ChildProcess(try builtProgram("martlet"), words + ["--url", "http://127.0.0.1:1"])
        #expect(try await child.exit() == 64)
        #expect(child.errors.contains(reason), "\(child.errors)")
    }

    @Test func deadLettersAreListed() async throws {
        let answer = """
            {"data":[{"delivery_id":"\(id)","event_id":"e","event_type":"user.created","webhook_id":"wh_1","reason":"spent",\
            "failure":"status_500","last_status":500,"response":"no","attempt_count":3,"dead_at":"2026-05-06T07:08:09.012Z",\
            "state":"requeued","requeued_as":"\(other)"},{"delivery_id":"\(other)","reason":"status_400","failure":"status_400",\
            "last_status":null,"attempt_count":1,"dead_at":"2026-05-06T07:08:10.000Z","state":"open","requeued_as":null}],\
            "next":"abc"}
            """
        try await withGateway(200, answer) { gateway in
            let text = try await gateway.martlet(
                "dlq", "list", "--type", "user.*", "--from", "2026-05-06T07:00:00+02:00", "--limit", "2", "--status",
                "requeued")
            #expect(text.status == 0, "\(text.errors)")
            #expect(
                text.output == """
                    2026-05-06T07:08:09.012Z  \(id)  wh_1  user.created  status 500  3 requests  spent  status_500  requeued as \(other)
                    2026-05-06T07:08:10.000Z  \(other)  1 request  status_400

                    """)
            #expect(text.errors == "There are more: --cursor abc\n")
            #expect(
                gateway.requests == [
                    "GET /api/v1/dead-letters?type=user.%2A&from=2026-05-06T07%3A00%3A00%2B02%3A00&state=requeued&limit=2 "
                ])
            #expect(try await gateway.martlet("dlq", "list", "--json").output == answer + "\n")
        }
        try await withGateway(200, #"{"data":[],"next":null}"#) { gateway in
            let none = try await gateway.martlet("dlq", "list")
            #expect(none.output == "There are no such dead letters.\n" && none.errors.isEmpty)
        }
    }

    @Test func whatIsNotDeliveredIsListed() async throws {
        let answer = """
            {"data":[{"id":"\(id)","event_id":"e","event_type":"user.created","webhook_id":"wh_1","status":"parked",\
            "first_seen_at":"2026-05-06T07:08:09.012Z","explanation":"It\\nwaits."}],"next":"abc"}
            """
        try await withGateway(200, answer) { gateway in
            let text = try await gateway.martlet(
                "deliveries", "--status", "parked", "--webhook", "wh_1", "--limit", "1")
            #expect(text.status == 0, "\(text.errors)")
            #expect(text.output == "2026-05-06T07:08:09.012Z  \(id)  wh_1  user.created  parked  It waits.\n")
            #expect(text.errors == "There are more: --cursor abc\n")
            #expect(gateway.requests == ["GET /api/v1/deliveries?state=parked&webhook=wh_1&limit=1 "])
            #expect(try await gateway.martlet("deliveries", "--json").output == answer + "\n")
        }
        try await withGateway(200, #"{"data":[],"next":null}"#) { gateway in
            let none = try await gateway.martlet("deliveries", "--cursor", "abc")
            #expect(none.output == "There are no such deliveries.\n" && none.errors.isEmpty)
        }
    }

    @Test func whatFiltersMatchIsCountedOrRequeued() async throws {
        try await withGateway(202, #"{"matched":3,"requeued":0,"failed":0,"dry_run":true}"#) { gateway in
            let dry = try await gateway.martlet("dlq", "requeue", "--webhook", "wh_1", "--dry-run")
            #expect(dry.output == "3 dead letters would be requeued.\n")
            #expect(
                gateway.requests == [#"POST /api/v1/dead-letters/requeue {"webhook_id":"wh_1","dry_run":true}"#])
        }
        try await withGateway(202, #"{"matched":5,"requeued":2,"failed":1,"dry_run":false}"#) { gateway in
            let done = try await gateway.martlet("dlq", "requeue", "--all", "--limit", "3")
            #expect(done.status == 1)
            #expect(
                done.output == "Requeued 2 of 5 dead letters. 1 could not be. Run it again for the other 2.\n")
            #expect(
                gateway.requests == [#"POST /api/v1/dead-letters/requeue {"all":true,"dry_run":false,"limit":3}"#])
        }
    }

    @Test func eachIdIsRequeuedOrDiscardedWhateverBecomesOfTheOthers() async throws {
        let gateway = try await FakeGateway { request in
            if request.path.contains(other) { return (409, #"{"code":"not_open","detail":"It was requeued."}"#) }
            return request.path.hasSuffix("/discard") ? (204, "") : (202, #"{"delivery_id":"dlv_new","parent":"x"}"#)
        }
        let requeued = try await gateway.martlet("dlq", "requeue", other, id)
        #expect(requeued.status == 1)
        #expect(requeued.output == "\(id)  requeued as dlv_new\n")
        #expect(requeued.errors == "Error: \(other): status 409, not_open: It was requeued.\n")
        let discarded = try await gateway.martlet("dlq", "discard", id)
        #expect(discarded.status == 0 && discarded.output == "\(id)  discarded\n")
        let json = try await gateway.martlet("dlq", "discard", id, "--json")
        #expect(json.output == #"{"delivery_id":"\#(id)","state":"discarded"}"# + "\n")
        #expect(
            gateway.requests.map { $0.split(separator: " ")[1].split(separator: "/").suffix(2).joined(separator: "/") }
                == ["\(other)/requeue", "\(id)/requeue", "\(id)/discard", "\(id)/discard"])
        await gateway.stop()
    }
}
