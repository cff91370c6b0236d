import EventLoops
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import HTTPSending

/// For loopback servers, with small limits.
func testConfiguration() -> HTTPSenderConfiguration {
    var configuration = HTTPSenderConfiguration()
    configuration.addressPolicy = AddressPolicy(allowsLoopback: true)
    return configuration
}

/// A client and a server for one test.
struct Bench {
    let client: HTTPClient
    let server: RawServer

    init(
        _ configuration: HTTPSenderConfiguration = testConfiguration(),
        _ serve: @escaping @Sendable (RawConnection, Int) -> Void
    ) throws {
        client = try HTTPClient(configuration: configuration)
        server = RawServer(serve)
    }

    func post(
        _ body: String = "{}", headers: HeaderLines = HeaderLines(), host: String = "127.0.0.1", timeout: Int = 10_000
    ) async throws -> HTTPSendResult {
        await client.send(
            .post, to: try Endpoint(server.url(host: host)), headers: headers, body: Array(body.utf8),
            timeoutMilliseconds: timeout, connectTimeoutMilliseconds: timeout)
    }
}

@Suite(.timeLimit(.minutes(2))) struct SenderTests {
    @Test func aRequestArrivesAsItWasGiven() async throws {
        let seen = Mutex<(head: String, body: [UInt8])?>(nil)
        let bench = try Bench { connection, _ in
            let request = connection.request()
            seen.withLock { $0 = request }
            connection.answer(
                "202 Accepted", headers: "Content-Type: text/plain\r\nRetry-After:  7 \r\n", body: "thanks")
        }
        defer { bench.server.stop() }
        var headers = HeaderLines()
        headers.append("content-type", "application/json")
        headers.append("x-empty", "")
        let result = try await bench.post(#"{"a":1}"#, headers: headers)
        #expect(result.failure == nil)
        #expect(result.status == 202)
        #expect(result.body == Array("thanks".utf8))
        #expect(result.header("retry-after") == "7")
        #expect(result.header("content-type") == "text/plain")
        #expect(result.primaryAddress == "127.0.0.1")
        #expect(result.durationMicroseconds > 0)
        #expect(!result.reusedConnection)
        let request = try #require(seen.withLock { $0 })
        let lines = Set(request.head.split(separator: "\r\n").map(String.init))
        #expect(
            lines == [
                "POST / HTTP/1.1", "Host: 127.0.0.1:\(bench.server.port)", "content-type: application/json",
                "x-empty:", "Content-Length: 7",
            ])
        #expect(request.body == Array(#"{"a":1}"#.utf8))
    }

    @Test func joinedLinesArriveAsLinesOfTheirOwn() async throws {
        let head = Mutex("")
        let bench = try Bench { connection, _ in
            let request = connection.request()
            head.withLock { $0 = request?.head ?? "" }
            connection.answer("200 OK", body: "")
        }
        defer { bench.server.stop() }
        var headers = HeaderLines()
        headers.append("user-agent", "mine")
        headers.joins = true
        headers.append("webhook-id", "msg_1")
        headers.append("content-type", "application/json")
        headers.append("ce-subject", "")
        headers.append("webhook-attempt", "1")
        #expect(try await bench.post(headers: headers).status == 200)
        let lines = head.withLock { $0 }.split(separator: "\r\n").map(String.init)
        #expect(
            Set(lines) == [
                "POST / HTTP/1.1", "Host: 127.0.0.1:\(bench.server.port)", "user-agent: mine", "webhook-id: msg_1",
                "content-type: application/json", "ce-subject: ", "webhook-attempt: 1", "Content-Length: 2",
            ])
        #expect(lines.count == 8)
    }

    @Test(arguments: [HTTPSendMethod.get, .post, .put, .patch, .delete]) func methodsAreSent(method: HTTPSendMethod)
        async throws
    {
        let heads = Mutex<[String]>([])
        let bench = try Bench { connection, _ in
            while let request = connection.request() {
                heads.withLock { $0.append(request.head) }
                connection.answer(body: String(request.body.count))
            }
        }
        defer { bench.server.stop() }
        let endpoint = try Endpoint(bench.server.url())
        let first = await bench.client.send(method, to: endpoint, body: method == .get ? [] : [1, 2, 3])
        #expect(first.body == Array((method == .get ? "0" : "3").utf8))
        // The same handle, with another method.
        let second = await bench.client.send(method == .get ? .post : .get, to: endpoint)
        #expect(second.status == 200)
        #expect(heads.withLock { $0.first?.hasPrefix("\(method.rawValue) / ") } == true)
        #expect(heads.withLock { $0.last?.hasPrefix(method == .get ? "POST / " : "GET / ") } == true)
    }

    @Test func connectionsAreKept() async throws {
        let bench = try Bench { connection, _ in connection.serve() }
        defer { bench.server.stop() }
        for number in 0..<50 {
            let result = try await bench.post()
            #expect(result.status == 200)
            #expect(result.reusedConnection == (number > 0))
        }
        #expect(bench.server.connections == 1)
    }

    @Test func manyAtOnceAreAllAnswered() async throws {
        let bench = try Bench { connection, _ in connection.serve() }
        defer { bench.server.stop() }
        let endpoint = try Endpoint(bench.server.url())
        for _ in 0..<3 {
            let statuses = await withTaskGroup(of: Int.self) { group in
                for _ in 0..<300 { group.addTask { await bench.client.send(.post, to: endpoint, body: [1]).status } }
                return await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses == [Int](repeating: 200, count: 300))
        }
        #expect(bench.server.connections <= 300)
    }

    @Test func aKeptConnectionThatThePeerClosedIsReplaced() async throws {
        let closed = Mutex(0)
        let bench = try Bench { connection, _ in
            _ = connection.request()
            connection.answer()
            closed.withLock { $0 += 1 }
        }
        defer { bench.server.stop() }
        for number in 1...5 {
            let result = try await bench.post()
            #expect(result.failure == nil)
            #expect(result.status == 200)
            #expect(await eventually { closed.withLock { $0 } == number })
        }
        #expect(bench.server.connections == 5)
    }

    @Test func redirectsAreNotFollowed() async throws {
        let bench = try Bench { connection, number in
            while connection.request() != nil {
                connection.answer("302 Found", headers: "Location: http://127.0.0.1:1/elsewhere\r\n")
            }
        }
        defer { bench.server.stop() }
        let result = try await bench.post()
        #expect(result.status == 302)
        #expect(result.failure == nil)
        #expect(bench.server.connections == 1)
    }

    @Test func informationalResponsesArePassedOver() async throws {
        let bench = try Bench { connection, _ in
            _ = connection.request()
            connection.write("HTTP/1.1 103 Early Hints\r\nRetry-After: 99\r\n\r\n")
            connection.answer("200 OK", headers: "Retry-After: 1\r\n")
        }
        defer { bench.server.stop() }
        let result = try await bench.post()
        #expect(result.status == 200)
        #expect(result.headers == [HTTPSendHeader(name: "retry-after", value: "1")])
    }

    @Test func theEnvironmentsProxyIsNotUsed() async throws {
        let bench = try Bench { connection, _ in connection.serve() }
        defer { bench.server.stop() }
        setenv("http_proxy", "http://127.0.0.1:1", 1)
        defer { unsetenv("http_proxy") }
        #expect(try await bench.post().status == 200)
    }
}
