import EventLoops
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Redis

@Suite(.serialized, .timeLimit(.minutes(2))) struct FaultTests {
    @Test func whatIsPendingFailsAtOnceWhenTheServerDies() async throws {
        let server = try await RedisServer()
        let told = Told()
        let client = try await connected(server.configuration, observer: told.observe)
        let pending = Task { await redisError { try await client.command("BLPOP", "never", 0) } }
        #expect(await redisError { try await client.command("CLIENT", "NO-EVICT", "on") } == nil)
        let started = ContinuousClock.now
        await server.stop()
        guard case .disconnected? = await pending.value else {
            Issue.record("the pending command did not fail as disconnected")
            return
        }
        #expect(ContinuousClock.now - started < .milliseconds(900))
        #expect(await redisError { try await client.command("PING") } == .notConnected)
        #expect(await eventually { told.all.last?.contains("refused") == true })
        try await server.start()
        #expect(await eventually { client.isConnected })
        #expect(try await client.command("PING").text == "PONG")
        #expect(told.all.filter { $0 == "connected" }.count == 2)
        await client.close()
        #expect(await redisError { try await client.command("PING") } == .notConnected)
        await server.remove()
    }

    @Test func aFrozenServerTimesOutAndIsReconnectedTo() async throws {
        let server = try await RedisServer()
        var configuration = server.configuration
        configuration.commandTimeoutMilliseconds = 150
        configuration.connectTimeoutMilliseconds = 150
        let told = Told()
        let client = try await connected(configuration, observer: told.observe)
        server.freeze(true)
        let started = ContinuousClock.now
        #expect(await redisError { try await client.command("PING") } == .timedOut)
        #expect(ContinuousClock.now - started < .seconds(2))
        #expect(await eventually { told.all.contains { $0.hasPrefix("failed: no ") } })
        server.freeze(false)
        #expect(await eventually { client.isConnected })
        #expect(try await client.command("PING").text == "PONG")
        await client.close()
        await server.remove()
    }

    @Test func wrongAndMissingPasswordsAreNamed() async throws {
        let server = try await RedisServer(password: "right")
        #expect(try await connected(server.configuration).command("PING").text == "PONG")
        var configuration = server.configuration
        for (password, reason) in [("wrong", "WRONGPASS"), (nil, "NOAUTH")] as [(String?, String)] {
            configuration.password = password
            let told = Told()
            let client = try RedisClient(configuration, observer: told.observe)
            client.start()
            #expect(await eventually { told.all.contains { $0.hasPrefix("failed: \(reason)") } })
            #expect(told.all.allSatisfy { !$0.contains("wrong") && $0 != "connected" })
            #expect(await redisError { try await client.command("PING") } == .notConnected)
            await client.close()
        }
        configuration.user = "default"
        configuration.password = "right"
        #expect(try await connected(configuration).command("PING").text == "PONG")
        await server.remove()
    }

    @Test func whatIsNotRedisIsRefused() async throws {
        let listener = try Greeter("HTTP/1.1 400 Bad Request\r\n\r\n")
        var configuration = RedisConfiguration()
        configuration.port = listener.port
        configuration.reconnectDelayMilliseconds = 20
        let told = Told()
        let client = try RedisClient(configuration, observer: told.observe)
        client.start()
        #expect(await eventually { told.all.contains { $0.contains("not a reply") } })
        #expect(!client.isConnected)
        await client.close()
        listener.end()
    }

    /// The sender notices before the loop does: the loop learns of commands first, and of the reset after that.
    @Test func aResetThatTheWriteFindsFailsWhatIsPending() async throws {
        let isReset = Mutex(false)
        let server = RawServer { connection, _ in
            guard connection.read() != nil, connection.write("+PONG\r\n") else { return }
            while !isReset.withLock({ $0 }) { usleep(1_000) }
            connection.resetOnClose()
        }
        var configuration = RedisConfiguration()
        configuration.port = server.port
        configuration.clientName = ""
        let told = Told()
        let thread = try EventLoopThread()
        thread.start(name: "redis-test")
        let connection = RedisConnection(loop: thread.loop, configuration: configuration, observer: told.observe)
        await thread.run { _ in connection.connect() }
        #expect(await eventually { told.all == ["connected"] })
        let failures = Mutex<[RedisError]>([])
        await thread.run { _ in
            for _ in 0..<3 {
                connection.command(["PING"]) { result in
                    if case .failure(let error) = result { failures.withLock { $0.append(error) } }
                }
            }
            isReset.withLock { $0 = true }
            // The loop's thread sleeps, until the reset has certainly come.
            usleep(200_000)
        }
        #expect(await eventually { failures.withLock { $0.count } == 3 })
        #expect(told.all.contains { $0.hasPrefix("disconnected") })
        await thread.run { _ in connection.close() }
        await thread.stop()
        server.stop()
    }

    @Test func unresolvableNamesAreRetried() async throws {
        var configuration = RedisConfiguration()
        configuration.host = "no-such-host.invalid"
        configuration.reconnectDelayMilliseconds = 10
        configuration.connectTimeoutMilliseconds = 500
        let told = Told()
        let client = try RedisClient(configuration, observer: told.observe)
        client.start()
        #expect(await eventually { told.all.count >= 2 })
        #expect(told.all.allSatisfy { $0.hasPrefix("failed: ") })
        await client.close()
    }

    @Test func tlsIsVerified() async throws {
        let server = try await RedisServer(password: "secret", tls: true)
        var configuration = server.configuration
        var tls = RedisTLS()
        tls.authorityFile = server.authority
        configuration.tls = tls
        for host in ["127.0.0.1", "localhost"] {
            configuration.host = host
            let client = try await connected(configuration)
            let large = [UInt8](repeating: 9, count: 1_000_000)
            try await client.command("SET", "large", .bytes(large))
            #expect(try await client.command("GET", "large").bytes == large)
            await client.close()
        }
        func refusal(_ change: (inout RedisConfiguration) -> Void) async throws -> String? {
            var changed = configuration
            change(&changed)
            let told = Told()
            let client = try RedisClient(changed, observer: told.observe)
            client.start()
            #expect(await eventually { !told.all.isEmpty })
            await client.close()
            return told.all.first
        }
        #expect(try await refusal { $0.tls?.authorityFile = nil }?.contains("certificate:") == true)
        #expect(try await refusal { $0.tls?.authorityFile = "/nowhere.pem" }?.contains("/nowhere.pem") == true)
        #expect(
            try await refusal {
                $0.tls?.authorityFile = nil
                $0.tls?.verifies = false
            } == "connected")
        #expect(try await refusal { $0.tls = nil }?.hasPrefix("failed") == true)
        await server.remove()
    }
}

/// Says one thing to whoever connects.
final class Greeter: Sendable {
    let port: UInt16
    private let descriptor: Int32

    init(_ greeting: String) throws {
        port = freePort()
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 && listen(descriptor, 5) == 0
            }
        }
        guard bound else { throw SystemError(call: "bind", code: errno) }
        let listening = descriptor
        NativeThread.start(name: "greeter") {
            while true {
                let client = accept(listening, nil, nil)
                guard client >= 0 else { return }
                _ = greeting.withCString { write(client, $0, strlen($0)) }
                close(client)
            }
        }
    }

    func end() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }
}
