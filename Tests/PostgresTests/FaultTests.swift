import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Postgres

@Suite(.serialized, .timeLimit(.minutes(3))) struct FaultTests {
    @Test func aSlowStatementIsCancelledOnTheServer() async throws {
        let pool = try await makePool()
        let started = ContinuousClock.now
        let error = await postgresError {
            try await pool.query("SELECT pg_sleep(60), 'marker'", timeoutMilliseconds: 100)
        }
        #expect(error?.kind == .statementTimeout)
        #expect(ContinuousClock.now - started < .seconds(5))
        let ended = try await eventually {
            try await pool.query(
                "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%marker%' AND pid <> pg_backend_pid()"
            ).isEmpty
        }
        #expect(ended)
    }

    @Test func aCancelledTaskStopsWaitingAndItsStatement() async throws {
        let pool = try await makePool { $0.maximumConnections = 1 }
        try await pool.query("SELECT 1")
        // Its connection comes back a moment after its answer.
        #expect(await eventually { pool.status.leased == 0 })
        let running = Task { await postgresError { try await pool.query("SELECT pg_sleep(60)") } }
        #expect(await eventually { pool.status.leased == 1 })
        let waiting = Task { await postgresError { try await pool.query("SELECT 1") } }
        #expect(await eventually { pool.status.waiting == 1 })
        waiting.cancel()
        #expect(await waiting.value?.kind == .cancelled)
        running.cancel()
        #expect(await running.value?.kind == .cancelled)
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await postgresError { try await pool.query("SELECT 1") }
        }
        #expect(await early.value?.kind == .cancelled)
        #expect(try await pool.query("SELECT 1").count == 1)
    }

    @Test func anExhaustedPoolRefusesInTime() async throws {
        let pool = try await makePool {
            $0.maximumConnections = 1
            $0.acquireTimeoutMilliseconds = 500
            $0.maximumWaiters = 2
        }
        // Connecting may take longer than that.
        #expect(await eventually { (try? await pool.query("SELECT 1")) != nil })
        try await pool.withConnection { _ in
            let errors = await withTaskGroup(of: PostgresError?.self) { group in
                for _ in 0..<5 { group.addTask { await postgresError { try await pool.query("SELECT 1") } } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(errors.allSatisfy { $0?.kind == .acquireTimeout && $0?.isConnectionFailure == true })
            #expect(errors.filter { $0?.message.contains("wait already") == true }.count == 3)
        }
        #expect(try await pool.query("SELECT 1").count == 1)
    }

    @Test func aWrongPasswordAndAnAbsentServerAreNamed() async throws {
        let server = try await PostgresServer.shared()
        var configuration = server.configuration()
        configuration.password = "wrong"
        configuration.acquireTimeoutMilliseconds = 400
        let events = Mutex<[String]>([])
        let pool = try PostgresPool(configuration) { event in
            if case .connectFailed(let error, _) = event { events.withLock { $0.append(error.message) } }
        }
        let error = await postgresError { try await pool.query("SELECT 1") }
        #expect(error?.isConnectionFailure == true)
        #expect(error?.message.contains("password authentication failed") == true)
        #expect(error?.description.contains("wrong") == false)
        #expect(events.withLock { $0.count } >= 2)
        #expect(!pool.status.isAvailable)
        configuration.port = freePort()
        let nobody = try PostgresPool(configuration)
        let refused = await postgresError { try await nobody.query("SELECT 1") }
        #expect(refused?.message.contains("refused") == true)
        await nobody.close()
        await pool.close()
    }

    @Test(arguments: [SIGINT, SIGKILL]) func workGoesOnAfterTheServersRestart(signal: Int32) async throws {
        let server = try await PostgresServer()
        let pool = try PostgresPool(server.configuration())
        try await pool.query("CREATE TABLE t (id int)")
        let cut = Task { await postgresError { try await pool.query("SELECT pg_sleep(60)") } }
        #expect(await eventually { pool.status.leased == 1 })
        await server.stop(signal)
        #expect(await cut.value?.isConnectionFailure == true)
        #expect(await eventually { pool.status.open == 0 })
        #expect(!pool.status.isAvailable)
        async let waited = pool.query("SELECT 1 FROM t")
        try await server.start()
        #expect(try await waited.isEmpty)
        #expect(pool.status.isAvailable)
        await pool.close()
        await server.remove()
    }

    @Test func aFrozenServerFailsWhatRunsByItsDeadline() async throws {
        let server = try await PostgresServer()
        let pool = try PostgresPool(server.configuration())
        try await pool.query("SELECT 1")
        server.freeze(true)
        let started = ContinuousClock.now
        let error = await postgresError { try await pool.query("SELECT 1", timeoutMilliseconds: 200) }
        #expect(error?.kind == .statementTimeout)
        #expect(ContinuousClock.now - started < .seconds(3))
        server.freeze(false)
        #expect(await eventually { (try? await pool.query("SELECT 1")) != nil })
        await pool.close()
        await server.remove()
    }

    @Test func sessionsThatAnOperatorEndsAreReplaced() async throws {
        let pool = try await makePool { $0.minimumConnections = 3 }
        pool.start()
        #expect(await eventually { pool.status.open == 3 })
        let error = await postgresError {
            try await pool.batch([
                PostgresStatement("SELECT 1"),
                PostgresStatement(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"),
                PostgresStatement("SELECT 2"),
            ])
        }
        #expect(error?.isConnectionFailure == true)
        #expect(await eventually { (try? await pool.query("SELECT 1").count) == 1 && pool.status.open == 3 })
    }

    @Test func aSessionThatEndedWhileIdleIsNotLent() async throws {
        let pool = try await makePool { $0.minimumConnections = 0 }
        let server = try await PostgresServer.shared()
        for _ in 0..<10 {
            let pid = try await pool.query("SELECT pg_backend_pid() AS pid")[0].decode("pid", as: Int.self)
            try await server.run("SELECT pg_terminate_backend(\(pid), 5000)")
            #expect(try await pool.query("SELECT 1").count == 1)
        }
    }

    @Test func surplusConnectionsAreClosed() async throws {
        let pool = try await makePool {
            $0.idleTimeoutMilliseconds = 50
            $0.maximumConnections = 4
        }
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { _ = try? await pool.query("SELECT pg_sleep(0.05)") } }
        }
        #expect(await eventually { pool.status.open == 1 })
    }

    @Test func closingWaitsForWhatRunsThenCutsIt() async throws {
        let pool = try await makePool()
        let quick = Task { try await pool.query("SELECT pg_sleep(0.2), 1 AS one").count }
        #expect(await eventually { pool.status.leased == 1 })
        await pool.close()
        #expect(try await quick.value == 1)
        #expect(await postgresError { try await pool.query("SELECT 1") }?.kind == .closed)

        let stubborn = try await makePool()
        let cut = Task { await postgresError { try await stubborn.query("SELECT pg_sleep(60)") } }
        #expect(await eventually { stubborn.status.leased == 1 })
        await stubborn.close(graceMilliseconds: 50)
        #expect(await cut.value?.isConnectionFailure == true)
    }

    @Test func tlsIsVerifiedWhereAsked() async throws {
        let server = try await PostgresServer(tls: true)
        var configuration = server.configuration()
        configuration.host = "localhost"
        configuration.options = ["hostaddr": "127.0.0.1"]
        configuration.sslMode = "verify-full"
        configuration.rootCertificate = server.authority
        let pool = try PostgresPool(configuration)
        let row = try await pool.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0]
        #expect(try row.decode("ssl", as: Bool.self))
        await pool.close()
        configuration.host = "elsewhere"
        configuration.acquireTimeoutMilliseconds = 300
        let stranger = try PostgresPool(configuration)
        #expect(await postgresError { try await stranger.query("SELECT 1") }?.isConnectionFailure == true)
        await stranger.close()
        await server.remove()
    }
}
