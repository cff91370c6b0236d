import EventLoops
import Synchronization
import TestSupport
import Testing

@testable import HTTPServing

@Suite(.serialized) struct ServerTests {
    private static let routes = [
        HTTPRoute("GET", "/id") { request in .text(request.requestID) },
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

    @Test func aHEADIsAnsweredWithoutABody() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            client.write("HEAD /hello/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let response = await client.everything()
            #expect(response.hasPrefix("HTTP/1.1 200 OK\r\n") && response.hasSuffix("\r\n\r\n"))
            #expect(response.lowercased().contains("content-length: 7\r\n"))
        }
    }

    @Test func requestIDsAreTakenWhereTheyAreHarmless() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            var drawn: Set<String> = []
            for header in ["", "X-Request-Id: a b\r\n", "X-Request-Id: \(String(repeating: "x", count: 129))\r\n"] {
                client.write(get("/id", header))
                let response = await client.response()
                let id = response.split(separator: "\r\n").last ?? ""
                #expect((3...20).contains(id.utf8.count) && response.lowercased().contains("x-request-id: \(id)\r\n"))
                drawn.insert(String(id))
            }
            #expect(drawn.count == 3)
        }
    }

    @Test func bodiesOfEverySizeComeThrough() async throws {
        try await withServer {
            $0.maximumBodyBytes = 300_000
        } _: { port, _ in
            let client = try RawClient(port: port)
            for count in [0, 1, 4_095, 4_096, 65_537, 300_000] {
                let body = String(repeating: "b", count: count)
                client.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: \(count)\r\n\r\n\(body)")
                #expect(await client.response().hasSuffix("\r\n\r\n\(body)"))
                client.write(
                    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + "3\r\nabc\r\n\(count == 0 ? "" : "\(String(count, radix: 16))\r\n\(body)\r\n")0\r\n\r\n")
                let echoed = await client.response()
                #expect(count > 299_997 ? echoed.hasPrefix("HTTP/1.1 413 ") : echoed.hasSuffix("\r\n\r\nabc\(body)"))
            }
        }
    }

    @Test func aClientThatWaitsForConsentGetsIt() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            client.write("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            #expect(await client.response().hasPrefix("HTTP/1.1 100 Continue\r\n"))
            client.write("ok")
            #expect(await client.response().hasSuffix("\r\n\r\nok"))
        }
    }

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
                let response = await client.response()
                #expect(response.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(response.lowercased().contains("x-request-id: r-1\r\n"))
                #expect(!response.lowercased().contains("server:"))
            }
            client.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
            #expect(await client.response().hasSuffix("\r\n\r\nhello"))
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            client.write(get("/slow") + get("/hello/second"))
            #expect(await client.response().hasSuffix("slow"))
            #expect(await client.response().hasSuffix("hello second"))
        }
    }

    @Test func unknownPathsAndMethodsAreProblems() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            client.write(get("/nowhere"))
            let missing = await client.response()
            #expect(missing.hasPrefix("HTTP/1.1 404 ") && missing.contains("\"code\":\"not_found\""))
            client.write("DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n")
            let other = await client.response()
            #expect(other.hasPrefix("HTTP/1.1 405 ") && other.lowercased().contains("allow: post\r\n"))
            client.write(get("/problem"))
            let problem = await client.response()
            #expect(problem.hasPrefix("HTTP/1.1 422 ") && problem.lowercased().contains("retry-after: 2\r\n"))
            #expect(problem.contains(#""detail":"line\nbreak \"x\"","field":"url""#))
        }
    }

    @Test func aHandlerThatTakesTooLongIsAnsweredFor() async throws {
        try await withServer {
            $0.handlerTimeoutMilliseconds = 100
        } _: { port, _ in
            let client = try RawClient(port: port)
            client.write(get("/never"))
            #expect(await client.response().hasPrefix("HTTP/1.1 504 "))
        }
    }

    @Test func aDirectRouteMayTakeLargerBodies() async throws {
        let direct: HTTPServer.DirectRoutes = { _ in
            [
                DirectRoute("POST", "/large", maximumBodyBytes: 3 << 20) { request, responder in
                    responder.answer(.text("\(request.body.count)"))
                },
                DirectRoute("POST", "/small") { request, responder in responder.answer(.text("\(request.body.count)"))
                },
            ]
        }
        try await withServer {
            $0.maximumBodyBytes = 1_000
        } direct: {
            try direct($0)
        } _: { port, _ in
            let client = try RawClient(port: port)
            for (path, count, isTaken) in [
                ("/large", 3 << 20, true), ("/large", 3 << 20 | 1, false), ("/small", 1_000, true),
                ("/small", 1_001, false),
                ("/echo", 1_000, true), ("/echo", 1_001, false),
            ] {
                let body = String(repeating: "b", count: count)
                client.write("POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: \(count)\r\n\r\n\(body)")
                let response = await client.response()
                #expect(response.hasPrefix(isTaken ? "HTTP/1.1 200 " : "HTTP/1.1 413 "), "\(path) \(count)")
            }
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
                    #expect(await client.response().hasSuffix("\r\n\r\n\(round)-\(number)"))
                }
            }
        }
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
