import EventLoops
import Synchronization
import TestSupport
import Testing

@testable import Redis

@Suite(.serialized, .timeLimit(.minutes(2))) struct CommandTests {
    @Test func everyKindOfReplyIsRead() async throws {
        let client = try await connected(try await RedisServer.shared().configuration)
        let binary = (0...255).map { UInt8($0) }
        #expect(try await client.command("SET", "kinds", .bytes(binary)) == .status("OK"))
        #expect(try await client.command("GET", "kinds") == .string(binary))
        #expect(try await client.command("GET", "nothing here") == .null)
        #expect(try await client.command("STRLEN", "kinds") == .integer(256))
        #expect(try await client.command("INCRBY", "count", -7).integerValue == -7)
        #expect(try await client.command("SET", "empty", "").text == "OK")
        #expect(try await client.command("GET", "empty").bytes == [])
        let nested = try await client.command("EVAL", "return {1, {'a', false}, redis.error_reply('E no')}", 0)
        #expect(nested == .array([.integer(1), .array([.string([0x61]), .null]), .error("E no")]))
        #expect(try await client.command("KEYS", "no such*").elements == [])
        let large = [UInt8](repeating: 7, count: 3_000_000)
        try await client.command("SET", "large", .bytes(large))
        #expect(try await client.command("GET", "large").bytes == large)
    }

    @Test func serverErrorsFailTheirCommandAlone() async throws {
        let client = try await connected(try await RedisServer.shared().configuration)
        try await client.command("SET", "word", "x")
        let error = await redisError { try await client.command("LPUSH", "word", "y") }
        #expect(error?.code == "WRONGTYPE")
        #expect(try await client.command("GET", "word").text == "x")
    }

    @Test func answersComeInOrderUnderPipelining() async throws {
        let thread = try EventLoopThread()
        let configuration = try await RedisServer.shared().configuration
        let answers = Mutex<[Int64]>([])
        let connection = Mutex<RedisConnection?>(nil)
        thread.start(name: "test") { loop in
            let made = RedisConnection(loop: loop, configuration: configuration) { event in
                guard case .connected = event else { return }
                connection.withLock { connection in
                    for number in 0..<10_000 {
                        connection?.command(["ECHO", .integer(Int64(number))]) { result in
                            guard let text = try? result.get().text, let number = Int64(text) else { return }
                            answers.withLock { $0.append(number) }
                        }
                    }
                }
            }
            connection.withLock { $0 = made }
            made.connect()
        }
        #expect(await eventually { answers.withLock { $0.count } == 10_000 })
        #expect(answers.withLock { $0 } == (0..<10_000).map { Int64($0) })
        await thread.run { _ in
            connection.withLock { connection in
                #expect(connection?.pendingCommands == 0)
                connection?.close()
                #expect(connection?.isConnected == false)
                connection = nil
            }
        }
        await thread.stop()
    }

    @Test func scriptsAreLoadedWhenTheServerLacksThem() async throws {
        let server = try await RedisServer()
        let client = try await connected(server.configuration)
        let script = RedisScript("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}")
        for flush in [["SCRIPT", "FLUSH"], ["FLUSHALL"], ["PING"]] as [[RedisArgument]] {
            try await client.command(flush)
            let reply = try await client.run(script, keys: ["counter"], [.bytes([0, 255])])
            #expect(reply.elements?.count == 3)
            #expect(reply.elements?[1] == .string([0, 255]))
        }
        #expect(try await client.command("SCRIPT", "EXISTS", .text(script.digest)) == .array([.integer(1)]))
        await server.stop()
        try await server.start()
        #expect(await eventually { client.isConnected })
        #expect(try await client.run(script, keys: ["counter"], ["x"]).elements?[2] == .integer(1))
        let broken = await redisError { try await client.run(RedisScript("return nonsense("), keys: []) }
        #expect(broken?.code == "ERR")
        await client.close()
        await server.remove()
    }

    @Test func theDigestIsSHA1() {
        #expect(RedisScript("abc").digest == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(RedisScript("").digest == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
    }

    @Test func databasesAndNamesAreSelected() async throws {
        var configuration = try await RedisServer.shared().configuration
        configuration.database = 3
        configuration.clientName = "tests-of-martlet"
        let client = try await connected(configuration)
        let info = try await client.command("CLIENT", "INFO").text ?? ""
        #expect(info.contains("db=3") && info.contains("name=tests-of-martlet"))
    }

    @Test func tooManyPendingCommandsAreRefused() async throws {
        var configuration = try await RedisServer.shared().configuration
        configuration.maximumPending = 10
        let client = try await connected(configuration)
        let errors = await withTaskGroup(of: RedisError?.self) { group in
            for _ in 0..<30 { group.addTask { await redisError { try await client.command("BLPOP", "never", "0.2") } } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(errors.contains(.overloaded))
        #expect(errors.contains(nil))
    }
}
