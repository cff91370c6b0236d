internal import Flags
internal import Glibc
internal import JSONScanning
internal import Kafka
internal import Logs
internal import Postgres
internal import Redis
internal import ServiceSupport
internal import Settings

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check what Martlet stands on, and say what is wrong.",
        discussion: "Exit code 1 where something is.")
    @Flag(help: "As JSON.") var json = false
    @OptionGroup var source: ConfigurationOptions

    func run() async throws {
        LoggingSystem.bootstrap(LogOutput(service: "martlet", level: .critical, descriptor: 2))
        let findings = try await Doctor(source).examine()
        if json {
            CommandOutput.standard.result(json: { writer in
                writer.array { writer in for finding in findings { finding.write(to: &writer) } }
            })
        } else {
            for finding in findings { CommandOutput.standard.result(finding.text) }
        }
        if findings.contains(where: { $0.problem != nil }) { throw ExitCode.failure }
    }
}

/// One thing looked at.
struct Finding: Sendable, Equatable {
    var name: String
    /// What is wrong and what to do; nil where nothing is.
    var problem: String?

    var text: String { problem.map { "✗ \(name): \($0)" } ?? "✓ \(name)" }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("name", name)
            writer.member("ok", problem == nil)
            if let problem { writer.member("problem", problem) }
        }
    }
}

/// Looks at the programs that a local system needs, at the configuration, and at what that leads to.
struct Doctor {
    private let source: ConfigurationOptions

    init(_ source: ConfigurationOptions) { self.source = source }

    func examine() async throws -> [Finding] {
        var findings = programs()
        let configuration: Configuration
        do {
            configuration = try source.load()
            findings.append(Finding(name: "configuration"))
        } catch {
            return findings + [Finding(name: "configuration", problem: "\(error)")]
        }
        findings.append(await postgres(configuration))
        findings.append(await redis(configuration))
        findings.append(await kafka(configuration))
        if let running = source.system.local.running() {
            findings += try await ServiceState.all(running.ports).map {
                Finding(name: $0.name, problem: $0.isReady ? nil : $0.reason)
            }
        } else {
            findings.append(Finding(name: "local system", problem: "it is not up: martlet up"))
        }
        return findings
    }

    private func programs() -> [Finding] {
        var findings = [
            Finding(
                name: "redis-server",
                problem: Files.program("redis-server") == nil ? "not installed: apt-get install redis-server" : nil)
        ]
        do {
            _ = try LocalPostgres(source.system.local, port: 1)
            findings.append(Finding(name: "postgres"))
        } catch {
            findings.append(Finding(name: "postgres", problem: error.description))
        }
        for (name, _) in LocalSystem.services where !Files.isExecutable("\(Files.executableDirectory)/\(name)") {
            findings.append(
                Finding(name: name, problem: "its program is not in \(Files.executableDirectory): make build"))
        }
        if getenv("KAFKA_HOME") != nil, Files.program("java") == nil {
            findings.append(
                Finding(
                    name: "java", problem: "KAFKA_HOME needs Java 17 or newer: apt-get install openjdk-17-jre-headless")
            )
        }
        return findings
    }

    private func postgres(_ configuration: Configuration) async -> Finding {
        let settings = configuration.postgres
        let name = "PostgreSQL at \(settings.host):\(settings.port)"
        do {
            var limits = settings.pool("martlet-doctor")
            limits.maximumConnections = 1
            let pool = try PostgresPool(limits)
            pool.start()
            var problem: String?
            do {
                for migrator in SchemaMigrations.all { try await migrator.verify(pool) }
            } catch {
                problem = "\(error)"
            }
            await pool.close()
            return Finding(name: name, problem: problem)
        } catch {
            return Finding(name: name, problem: "\(error)")
        }
    }

    private func redis(_ configuration: Configuration) async -> Finding {
        let name = "Redis at \(configuration.redis.host):\(configuration.redis.port)"
        do {
            let client = try RedisClient(configuration.redis.client("martlet-doctor"))
            client.start()
            let deadline = ContinuousClock.now + .seconds(3)
            while !client.isConnected, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
            var problem: String?
            do { _ = try await client.command("PING") } catch { problem = "\(error)" }
            await client.close()
            return Finding(name: name, problem: problem)
        } catch {
            return Finding(name: name, problem: "\(error)")
        }
    }

    private func kafka(_ configuration: Configuration) async -> Finding {
        let name = "Kafka at \(configuration.kafka.brokers.map(\.description).joined(separator: ","))"
        do {
            let client = configuration.kafka.client("martlet-doctor", logger: Logger(label: "martlet"))
            let admin = try Admin(client, timeoutMilliseconds: 5_000)
            var missing: [String] = []
            for topic in configuration.kafka.topics.all where try await admin.describe(topic: topic) == nil {
                missing.append(topic)
            }
            let problem =
                missing.isEmpty
                ? nil
                : "topics are missing (the services make them when they start): \(missing.joined(separator: ", "))"
            return Finding(name: name, problem: problem)
        } catch {
            return Finding(name: name, problem: "\(error)")
        }
    }
}
