import EventLoops
import TestSupport
import Testing

@testable import HTTPServing

/// What is no proper request, byte by byte.
@Suite(.serialized) struct RefusalTests {
    private func withServer(
        _ change: (inout HTTPServerConfiguration) -> Void = { _ in }, _ body: (UInt16) async throws -> Void
    ) async throws {
        var configuration = HTTPServerConfiguration()
        change(&configuration)
        let server = HTTPServer(
            configuration,
            routes: [
                HTTPRoute("POST", "/echo") { request in HTTPResponse(status: 200, body: request.body) },
                HTTPRoute("GET", "/echo") { _ in .text("echo") },
            ])
        let port = try await server.start()
        do {
            try await body(port)
        } catch {
            await server.stop(withinMilliseconds: 0)
            throw error
        }
        await server.stop(withinMilliseconds: 0)
    }

    /// Those that h2o refuses itself get its plain text.
    @Test func whatIsNotHTTPIsRefused() async throws {
        try await withServer { port in
            for bytes in [
                "GARBAGE\r\n\r\n", "GET /echo HTTP/1.1\r\nHost : x\r\n\r\n",
                "GET /echo HTTP/1.1\r\nHost: a\u{0}b\r\n\r\n",
                "GET /echo HTTP/1.1\r\nHost: x\r\nX-A: b\rc\r\n\r\n",
                "GET /echo HTTP/1.1\r\nHost: x\r\nX-\u{0}: b\r\n\r\n",
                "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
                "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
                "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                "GET /echo HTTP/1.1\r\nHost: x\r\n" + String(repeating: "X-A: b\r\n", count: 101) + "\r\n",
            ] {
                let client = try RawClient(port: port)
                client.write(bytes)
                #expect(await client.response().hasPrefix("HTTP/1.1 400 "), "\(bytes.prefix(120))")
                #expect(await client.isClosedByPeer())
            }
        }
    }

    /// Those that h2o takes get a problem document.
    @Test(arguments: [
        ("GET /echo HTTP/1.1\r\n\r\n", "host_missing"),
        ("GET /echo HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n", "header_invalid"),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "length_ambiguous"
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
            "length_ambiguous"
        ),
        ("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nCONTENT-LENGTH:  3\r\n\r\nabc", "length_ambiguous"),
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "length_ambiguous"
        ),
    ])
    func ambiguousRequestsAreProblems(bytes: String, code: String) async throws {
        try await withServer { port in
            let client = try RawClient(port: port)
            client.write(bytes)
            let response = await client.response()
            #expect(response.hasPrefix("HTTP/1.1 400 ") && response.contains("\"code\":\"\(code)\""), "\(response)")
            // Where the next request would begin nobody can know.
            if code == "length_ambiguous" { #expect(await client.isClosedByPeer()) }
        }
    }

    @Test func theSameLengthTwiceIsNoContradiction() async throws {
        try await withServer { port in
            let client = try RawClient(port: port)
            client.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3 \r\n\r\nabc")
            #expect(await client.response().hasSuffix("\r\n\r\nabc"))
            // HTTP/1.0 knows no Host.
            client.write("GET /echo HTTP/1.0\r\n\r\n")
            #expect(await client.response().hasPrefix("HTTP/1.1 200 "))
        }
    }

    /// What the head hides from the check, it must not find in a body either.
    @Test func aBodyThatLooksLikeHeadersIsABody() async throws {
        try await withServer { port in
            let client = try RawClient(port: port)
            let body = "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
            client.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            #expect(await client.response().hasSuffix("\r\n\r\n" + body))
        }
    }

    @Test func aBodyTooLargeIsAProblem() async throws {
        try await withServer {
            $0.maximumBodyBytes = 1_000
        } _: { port in
            for chunked in [false, true] {
                let client = try RawClient(port: port)
                let body = String(repeating: "b", count: 1_001)
                let head = "POST /echo HTTP/1.1\r\nHost: x\r\n"
                client.write(
                    chunked
                        ? "\(head)Transfer-Encoding: chunked\r\n\r\n3e9\r\n\(body)\r\n0\r\n\r\n"
                        : "\(head)Content-Length: 1001\r\n\r\n\(body)")
                let response = await client.response()
                #expect(response.hasPrefix("HTTP/1.1 413 ") && response.contains("\"code\":\"too_large\""))
            }
            let client = try RawClient(port: port)
            client.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
            #expect(await client.response().hasPrefix("HTTP/1.1 413 "))
        }
    }

    /// Headers or body, however they drip.
    @Test(arguments: [
        "GET /echo HTTP/1.1\r\nHost: x\r\nX-A: ", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
    ])
    func aRequestThatDripsIsCutAtTheDeadline(start: String) async throws {
        try await withServer {
            $0.requestTimeoutMilliseconds = 300
        } _: { port in
            let client = try RawClient(port: port)
            let began = EventLoop.monotonicNanoseconds()
            client.write(start)
            while client.write("x"), EventLoop.monotonicNanoseconds() - began < 5_000_000_000 {
                try await Task.sleep(for: .milliseconds(20))
            }
            let lasted = EventLoop.monotonicNanoseconds() - began
            #expect((200_000_000..<3_000_000_000).contains(lasted), "\(lasted)")
        }
    }

    @Test func connectionsAreBounded() async throws {
        try await withServer {
            $0.maximumConnections = 4
        } _: { port in
            let clients = try (0..<4).map { _ in try RawClient(port: port) }
            for client in clients {
                client.write("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(await client.response().hasSuffix("echo"))
            }
            #expect(try await RawClient(port: port).isClosedByPeer())
        }
    }
}
