import EventLoops
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import HTTPSending

@Suite(.timeLimit(.minutes(2))) struct FailureTests {
    @Test func aRefusedConnectionIsAConnectFailure() async throws {
        let client = try HTTPClient(configuration: testConfiguration())
        let result = await client.send(.post, to: try Endpoint("http://127.0.0.1:\(freePort())/"))
        #expect(result.failure == .connect)
        #expect(result.status == 0)
        #expect(result.message.contains("refused"))
    }

    @Test func aNameWithoutAddressIsAResolveFailure() async throws {
        let client = try HTTPClient(configuration: testConfiguration())
        let result = await client.send(.post, to: try Endpoint("http://nothing.invalid/"), timeoutMilliseconds: 20_000)
        // Without a reachable name server the lookup may outlast the connect timeout instead.
        #expect(result.failure == .resolve || result.failure == .timeout(.resolve))
    }

    @Test func silenceAfterTheRequestIsATimeoutOfTheResponse() async throws {
        let bench = try Bench { connection, _ in connection.awaitClose() }
        defer { bench.server.stop() }
        let result = try await bench.post(timeout: 150)
        #expect(result.failure == .timeout(.response))
        #expect((150_000..<2_000_000).contains(result.durationMicroseconds))
    }

    @Test func anUnfinishedHeadIsATimeoutOfTheResponse() async throws {
        let bench = try Bench { connection, _ in
            connection.write("HTTP/1.1 200 OK\r\nX-Slow: ")
            connection.awaitClose()
        }
        defer { bench.server.stop() }
        let result = try await bench.post(timeout: 150)
        #expect(result.failure == .timeout(.response) || result.failure == .timeout(.body))
    }

    @Test func aDrippingBodyIsBoundedByTheTotalTime() async throws {
        let bench = try Bench { connection, _ in
            _ = connection.request()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while connection.write(".") { usleep(10_000) }
        }
        defer { bench.server.stop() }
        let result = try await bench.post(timeout: 300)
        #expect(result.failure == .timeout(.body))
        #expect(result.status == 200)
        #expect(result.body.first == UInt8(ascii: "."))
    }

    @Test func aFullBacklogIsATimeoutOfTheConnection() async throws {
        // A listener that never accepts, with its queue filled: further handshakes are not answered.
        let listener = try #require(ClosedListener())
        defer { listener.close() }
        let client = try HTTPClient(configuration: testConfiguration())
        let result = await client.send(
            .post, to: try Endpoint("http://127.0.0.1:\(listener.port)/"), timeoutMilliseconds: 5_000,
            connectTimeoutMilliseconds: 200)
        #expect(result.failure == .timeout(.connect))
    }

    @Test func giantHeadersAreCutOff() async throws {
        let bench = try Bench { connection, _ in
            _ = connection.request()
            connection.write("HTTP/1.1 200 OK\r\n")
            let line = "X-Filler: " + String(repeating: "x", count: 1_000) + "\r\n"
            for _ in 0..<1_000 { guard connection.write(line) else { return } }
            connection.write("\r\n")
        }
        defer { bench.server.stop() }
        #expect(try await bench.post().failure == .tooLarge)
    }

    @Test func oneGiantHeaderLineIsCutOff() async throws {
        let bench = try Bench { connection, _ in
            _ = connection.request()
            connection.write("HTTP/1.1 200 OK\r\nX-Filler: " + String(repeating: "x", count: 1 << 20) + "\r\n\r\n")
        }
        defer { bench.server.stop() }
        #expect(try await bench.post().failure == .tooLarge)
    }

    @Test func anEndlessBodyIsCutOff() async throws {
        let written = Mutex(0)
        let bench = try Bench { connection, _ in
            _ = connection.request()
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            let chunk = Array("4000\r\n".utf8) + [UInt8](repeating: 65, count: 0x4000) + Array("\r\n".utf8)
            while connection.write(chunk) { written.withLock { $0 += chunk.count } }
        }
        defer { bench.server.stop() }
        let result = try await bench.post()
        #expect(result.failure == .tooLarge)
        #expect(result.status == 200)
        #expect(result.body == [UInt8](repeating: 65, count: 1_024))
        #expect(written.withLock { $0 } < 64 << 20)
    }

    @Test func anAnnouncedGiantBodyIsNotEvenRead() async throws {
        let bench = try Bench { connection, _ in
            _ = connection.request()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
            connection.awaitClose()
        }
        defer { bench.server.stop() }
        let result = try await bench.post()
        #expect(result.failure == .tooLarge)
        #expect(result.status == 200)
    }

    @Test(arguments: [
        "SSH-2.0-OpenSSH_9.2\r\n", "garbage\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/3.7 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    ])
    func whatIsNotHTTPSaysSo(response: String) async throws {
        let bench = try Bench { connection, _ in
            _ = connection.request()
            connection.write(response)
        }
        defer { bench.server.stop() }
        #expect(try await bench.post().failure == .protocolViolation)
    }

    @Test(arguments: [
        "", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/pl",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nServer: x\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
    ])
    func aConnectionThatEndsEarlySaysSo(response: String) async throws {
        let bench = try Bench { connection, _ in
            _ = connection.request()
            connection.write(response)
        }
        defer { bench.server.stop() }
        #expect(try await bench.post().failure == .closed)
    }

    @Test func TLSWithSomethingElseIsATLSFailure() async throws {
        let bench = try Bench { connection, _ in connection.write("HTTP/1.1 400 Bad Request\r\n\r\n") }
        defer { bench.server.stop() }
        let result = await bench.client.send(.post, to: try Endpoint("https://127.0.0.1:\(bench.server.port)/"))
        #expect(result.failure == .tls)
        #expect(!result.message.isEmpty)
    }

    @Test func aSilentTLSPeerIsATimeoutOfTheHandshake() async throws {
        let bench = try Bench { connection, _ in connection.awaitClose() }
        defer { bench.server.stop() }
        let result = await bench.client.send(
            .post, to: try Endpoint("https://127.0.0.1:\(bench.server.port)/"), timeoutMilliseconds: 200)
        #expect(result.failure == .timeout(.tls))
    }

    @Test(arguments: ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433"])
    func aDeniedAddressIsNeverDialled(host: String) async throws {
        let bench = try Bench(HTTPSenderConfiguration()) { connection, _ in connection.serve() }
        defer { bench.server.stop() }
        let result = try await bench.post(host: host)
        #expect(result.failure == .deniedAddress)
        #expect(result.status == 0)
        #expect(bench.server.connections == 0)
    }

    @Test func cancellingTheTaskAbortsTheRequest() async throws {
        let closed = Atomic<Bool>(false)
        let bench = try Bench { connection, _ in
            _ = connection.request()
            connection.awaitClose()
            closed.store(true, ordering: .releasing)
        }
        defer { bench.server.stop() }
        let task = Task { try await bench.post(timeout: 60_000) }
        #expect(await eventually { bench.server.connections == 1 })
        task.cancel()
        #expect(try await task.value.failure == .aborted)
        #expect(await eventually { closed.load(ordering: .acquiring) })
    }

    @Test func aCABundleThatIsNotThereIsNamed() throws {
        var configuration = testConfiguration()
        configuration.caBundlePath = "/nonexistent/ca.pem"
        #expect(throws: HTTPSenderError.unreadableCABundle(path: "/nonexistent/ca.pem")) {
            try HTTPClient(configuration: configuration)
        }
    }
}

/// A listener whose queue is full, so that the kernel answers no further handshake.
struct ClosedListener {
    let port: UInt16
    private let descriptors: [Int32]

    init?() {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var open = [listener]
        let ready = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                guard bind(listener, generic, length) == 0, listen(listener, 0) == 0,
                    getsockname(listener, generic, &length) == 0
                else { return false }
                for _ in 0..<4 {
                    let peer = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
                    _ = connect(peer, generic, length)
                    open.append(peer)
                }
                return true
            }
        }
        guard ready else { return nil }
        port = UInt16(bigEndian: address.sin_port)
        descriptors = open
    }

    func close() {
        for descriptor in descriptors { Glibc.close(descriptor) }
    }
}
