import Glibc
import JSONScanning
import Kafka
import Postgres
import Records
import ServiceSupport
import TestSupport
import Testing
import WireFormat

@testable import Observing

/// The executable itself, as a process.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ProcessTests {
    private struct Instance {
        let fixture: HistoryFixture
        let server: PostgresServer
        let port = freePort()
        let prefix = KafkaBroker.uniqueName("process") + "."
        let database: String
        var attempts: String { prefix + "attempts" }

        init(server own: PostgresServer? = nil) async throws {
            server = if let own { own } else { try await PostgresServer.shared() }
            fixture = try await HistoryFixture(partitions: 1, server: server)
            database = fixture.pool.configuration.database
            for topic in Topics(prefix: prefix).all { try await fixture.broker.createTopic(topic, partitions: 2) }
        }

        func start(_ change: [String: String] = [:]) throws -> ChildProcess {
            var environment = [
                "MARTLET_PROFILE": "development", "MARTLET_KAFKA_BROKERS": fixture.broker.bootstrapServers,
                "MARTLET_KAFKA_TOPIC_PREFIX": prefix, "MARTLET_KAFKA_PARTITIONS": "2", "MARTLET_KAFKA_LOG_ID": "log-1",
                "MARTLET_POSTGRES_HOST": server.host, "MARTLET_POSTGRES_PORT": "\(server.port)",
                "MARTLET_POSTGRES_USER": server.user, "MARTLET_POSTGRES_PASSWORD": server.password,
                "MARTLET_POSTGRES_DATABASE": database, "MARTLET_OBSERVABILITY_LISTEN": "127.0.0.1:\(port)",
            ]
            environment.merge(change) { $1 }
            return try ChildProcess(try builtProgram("observability"), environment: environment)
        }

        func get(_ path: String, token: String = "development-only-token-of-martlet-services") async throws -> (
            Int, [UInt8]
        ) {
            let child = try ChildProcess(
                "curl",
                [
                    "-s", "-w", "\n%{http_code}", "-H", "Authorization: Bearer \(token)",
                    "http://127.0.0.1:\(port)\(path)",
                ])
            _ = try await child.exit()
            let output = child.output
            let end = output.lastIndex(of: "\n") ?? output.startIndex
            return (Int(output[end...].dropFirst()) ?? 0, Array(output[..<end].utf8))
        }

        func write(_ numbers: Range<Int>) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in numbers {
                    group.addImmediateTask { [producer = fixture.producer, attempts] in
                        let outcome = Outcome.made(number, number % 7 == 0 ? .failed : .delivered)
                        _ = try await producer.send(
                            to: attempts, partition: Int32(number % 2), key: nil, value: outcome.encoded())
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func killedAtAnyMomentItLeavesNeitherGapsNorSecondRows() async throws {
        let instance = try await Instance()
        var process = try instance.start(["MARTLET_LOG_LEVEL": "warning"])
        var written = 0
        for kill in 0..<2 {
            #expect(try await eventually(within: .seconds(30)) { try await instance.get("/ready").0 == 200 })
            let before = try await instance.fixture.rows
            let writing = Task { [written] in try await instance.write(written..<written + 4_000) }
            // In the middle of storing.
            #expect(try await eventually(within: .seconds(30)) { try await instance.fixture.rows > before + 50 * kill })
            process.signal(SIGKILL)
            try await writing.value
            written += 4_000
            #expect(try await process.exit() == -SIGKILL)
            process = try instance.start(["MARTLET_LOG_LEVEL": "warning"])
        }
        #expect(try await eventually(within: .seconds(60)) { try await instance.fixture.rows >= written })
        process.signal(SIGTERM)
        let started = ContinuousClock.now
        #expect(try await process.exit() == 0)
        #expect(ContinuousClock.now - started < .seconds(10))
        #expect(try await instance.fixture.rows == written)
        let distinct = "SELECT count(DISTINCT request_id) FROM observability.outcomes"
        #expect(try await instance.fixture.number(distinct) == written)
        await instance.fixture.close()
    }

    @Test func itAnswersAsTheGatewayExpects() async throws {
        let instance = try await Instance()
        let process = try instance.start()
        #expect(try await eventually(within: .seconds(30)) { try await instance.get("/ready").0 == 200 })
        #expect(try await instance.get("/health").0 == 200)
        let started = ContinuousClock.now
        try await instance.write(7..<8)
        let path = "/internal/v1/events/event-7?tenant=default"
        #expect(try await eventually { try await instance.get(path).0 == 200 })
        print("an outcome could be asked for \(ContinuousClock.now - started) after it was written")
        let event = try JSONValue(parsing: try await instance.get(path).1)
        #expect(event["deliveries"]?.elements?.first?["status"]?.text == "retrying")
        #expect(try await instance.get(path, token: "wrong").0 == 401)
        let metrics = String(decoding: try await instance.get("/metrics").1, as: UTF8.self)
        #expect(metrics.contains("webhook_history_outcomes_stored_total 1\n"))
        #expect(metrics.contains("webhook_postgres_connections{pool=\"store\",state=\"idle\"}"))
        process.signal(SIGTERM)
        #expect(try await process.exit() == 0)
        let lines = process.output.split(separator: "\n")
        #expect(!lines.isEmpty)
        for line in lines { #expect((try? JSONValue(parsing: Array(line.utf8))) != nil) }
        await instance.fixture.close()
    }

    @Test func itOutlivesItsDependenciesAndStopsWithoutThem() async throws {
        let server = try await PostgresServer()
        let instance = try await Instance(server: server)
        func stops(_ process: ChildProcess) async throws {
            process.signal(SIGTERM)
            let started = ContinuousClock.now
            #expect(try await process.exit() == 0)
            #expect(ContinuousClock.now - started < .seconds(10))
        }
        let process = try instance.start(["MARTLET_LOG_LEVEL": "error"])
        #expect(try await eventually(within: .seconds(30)) { try await instance.get("/ready").0 == 200 })
        await server.stop()
        try await instance.write(0..<100)
        #expect(try await instance.get("/health").0 == 200)
        #expect(
            try await eventually {
                let (status, body) = try await instance.get("/ready")
                let postgres = try JSONValue(parsing: body)["components"]?["postgres"]
                return status == 200 && postgres?["status"]?.text == "unavailable"
            })
        #expect(try await instance.get("/internal/v1/events/event-7?tenant=default").0 == 503)
        try await stops(process)

        let lonely = try instance.start([
            "MARTLET_KAFKA_BROKERS": "127.0.0.1:\(freePort())", "MARTLET_LOG_LEVEL": "error",
        ])
        #expect(try await eventually { try await instance.get("/health").0 == 200 })
        #expect(try await instance.get("/ready").0 == 503)
        try await stops(lonely)

        try await server.start()
        let last = try instance.start(["MARTLET_LOG_LEVEL": "error"])
        #expect(await eventually(within: .seconds(30)) { (try? await instance.fixture.rows) == 100 })
        try await stops(last)
        await instance.fixture.close()
        await server.remove()
    }

    @Test func itRefusesDefaultSecretsInProductionAndAnOldSchema() async throws {
        let instance = try await Instance()
        let production = try instance.start(["MARTLET_PROFILE": "production"])
        #expect(try await production.exit() == 78)
        #expect(production.errors.contains("internal.token"))
        try await instance.fixture.pool.query("DELETE FROM observability.schema_migrations")
        let outdated = try instance.start()
        #expect(try await outdated.exit() == 1)
        #expect(outdated.errors.contains("0001_history"))
        await instance.fixture.close()
    }
}
