import EventLoops
import Synchronization
import TestSupport
import Testing

@testable import HTTPServing

@Suite(.serialized) struct ServerTests {
    private static let routes = [
        HTTPRoute("GET", "/hello/{name}") { request in .text("hello \(request.parameters["name"] ?? "")") },
        HTTPRoute("POST", "/echo") { request in HTTPResponse(status: 200, body: request.body) },
        HTTPRoute("GET", "/slow") { _ in
            try? await Task.sleep(for: .milliseconds(150))
            return .text("slow")
        },
        HTTPRoute("GET", "/never") { _ in
            try? await Task.sleep(for: .seconds(60))
            return .text("never")
        },
        HTTPRoute("GET", "/problem") { _ in
            HTTPProblem(status: 422, code: "field_invalid", detail: "line\nbreak \"x\"", field: "url", retryAfter: 2)
                .response
        },
    ]

    private func withServer<Result>(
        _ change: (inout HTTPServerConfiguration) -> Void = { _ in },
        direct: @escaping HTTPServer.DirectRoutes = { _ in [] }, _ body: (UInt16, HTTPServer) async throws -> Result
    ) async throws -> Result {
        var configuration = HTTPServerConfiguration()
        change(&configuration)
        let server = HTTPServer(configuration, routes: Self.routes, directRoutes: direct)
        let port = try await server.start()
        do {
            let result = try await body(port, server)
            await server.stop(withinMilliseconds: 500)
            return result
        } catch {
            await server.stop(withinMilliseconds: 500)
            throw error
        }
    }

    private func get(_ path: String, _ headers: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: x\r\n\(headers)\r\n"
    }

    @Test func answersOverOneConnection() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            for name in ["a", "b%20c", "%C3%A4"] {
                client.write(get("/hello/\(name)", "X-Request-Id: r-1\r\n"))
                let response = client.response()
                #expect(response.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(response.lowercased().contains("x-request-id: r-1\r\n"))
                #expect(!response.lowercased().contains("server:"))
            }
            client.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
            #expect(client.response().hasSuffix("\r\n\r\nhello"))
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            client.write(get("/slow") + get("/hello/second"))
            #expect(client.response().hasSuffix("slow"))
            #expect(client.response().hasSuffix("hello second"))
        }
    }

    @Test func unknownPathsAndMethodsAreProblems() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            client.write(get("/nowhere"))
            let missing = client.response()
            #expect(missing.hasPrefix("HTTP/1.1 404 ") && missing.contains("\"code\":\"not_found\""))
            client.write("DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n")
            let other = client.response()
            #expect(other.hasPrefix("HTTP/1.1 405 ") && other.lowercased().contains("allow: post\r\n"))
            client.write(get("/problem"))
            let problem = client.response()
            #expect(problem.hasPrefix("HTTP/1.1 422 ") && problem.lowercased().contains("retry-after: 2\r\n"))
            #expect(problem.contains(#""detail":"line\nbreak \"x\"","field":"url""#))
        }
    }

    @Test func whatIsNoProperRequestIsRefused() async throws {
        try await withServer { port, _ in
            for (bytes, status) in [
                ("GET /hello/a HTTP/1.1\r\n\r\n", "400"), ("GARBAGE\r\n\r\n", "400"),
                ("GET /hello/a HTTP/1.1\r\nHost : x\r\n\r\n", "400"),
                ("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "400"),
                ("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "400"),
                ("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n", "413"),
            ] {
                let client = try RawClient(port: port)
                client.write(bytes)
                #expect(client.response().hasPrefix("HTTP/1.1 \(status) "), "\(bytes)")
            }
        }
    }

    @Test func aRequestThatDripsIsCutAtTheDeadline() async throws {
        try await withServer {
            $0.requestTimeoutMilliseconds = 300
        } _: { port, _ in
            let client = try RawClient(port: port)
            client.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
            let start = EventLoop.monotonicNanoseconds()
            #expect(client.isClosedByPeer())
            #expect(EventLoop.monotonicNanoseconds() - start < 5_000_000_000)
        }
    }

    @Test func aHandlerThatTakesTooLongIsAnsweredFor() async throws {
        try await withServer {
            $0.handlerTimeoutMilliseconds = 100
        } _: { port, _ in
            let client = try RawClient(port: port)
            client.write(get("/never"))
            #expect(client.response().hasPrefix("HTTP/1.1 504 "))
        }
    }

    @Test func directHandlersAnswerLaterFromTheirLoop() async throws {
        let direct: HTTPServer.DirectRoutes = { loop in
            [
                DirectRoute("POST", "/direct") { request, responder in
                    let body = [UInt8](request.body)
                    loop.after(milliseconds: 2) { responder.answer(HTTPResponse(status: 202, body: body)) }
                }
            ]
        }
        try await withServer(direct: direct) { port, _ in
            let clients = try (0..<20).map { _ in try RawClient(port: port) }
            for round in 0..<10 {
                for (number, client) in clients.enumerated() {
                    let body = "\(round)-\(number)"
                    client.write(
                        "POST /direct HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                }
                for (number, client) in clients.enumerated() {
                    #expect(client.response().hasSuffix("\r\n\r\n\(round)-\(number)"))
                }
            }
        }
    }

    @Test func clientsThatHangUpLeaveNothingBehind() async throws {
        let waiting = Mutex(0)
        let direct: HTTPServer.DirectRoutes = { loop in
            [
                DirectRoute("GET", "/late") { _, responder in
                    waiting.withLock { $0 += 1 }
                    loop.after(milliseconds: 50) {
                        responder.answer(.text("late"))
                        waiting.withLock { $0 -= 1 }
                    }
                }
            ]
        }
        try await withServer(direct: direct) { port, _ in
            for _ in 0..<300 {
                let client = try RawClient(port: port)
                client.write(get("/late"))
            }
            let last = try RawClient(port: port)
            last.write(get("/late"))
            #expect(last.response().hasSuffix("late"))
            #expect(await eventually { waiting.withLock { $0 } == 0 })
        }
    }

    @Test func stoppingAnswersWhatIsUnderWay() async throws {
        let server = HTTPServer(HTTPServerConfiguration(), routes: Self.routes)
        let port = try await server.start()
        let clients = try (0..<10).map { _ in try RawClient(port: port) }
        for client in clients { client.write(get("/slow")) }
        // Its request has arrived when its answer has: then the others' have, too.
        let probe = try RawClient(port: port)
        probe.write(get("/hello/x"))
        #expect(probe.response().hasSuffix("hello x"))
        let stopped = Task { await server.stop(withinMilliseconds: 5_000) }
        for client in clients {
            let response = client.response()
            #expect(response.hasSuffix("slow"))
            #expect(response.lowercased().contains("connection: close"))
        }
        await stopped.value
        #expect(probe.isClosedByPeer())
        #expect(throws: RawClient.RefusedConnection.self) { try RawClient(port: port) }
    }

    @Test func aPortInUseIsNamed() async throws {
        try await withServer { port, _ in
            let second = HTTPServer(HTTPServerConfiguration(port: port))
            let error = await #expect(throws: HTTPServerError.self) { _ = try await second.start() }
            #expect(error?.description == "127.0.0.1:\(port) is in use by another process")
        }
    }

    @Test func queriesAreDecoded() {
        let request = HTTPRequest(method: "GET", path: "/", query: "a=1&b=x%20y+z&c&d=%zz&=e")
        let items = request.queryItems.map { "\($0.name)=\($0.value)" }
        #expect(items == ["a=1", "b=x y z", "c=", "=e"])
    }
}
