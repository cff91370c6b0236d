import JSONScanning
import ServiceSupport
import TestSupport
import Testing

/// The command `martlet`.
enum Martlet {
    static let program = RunningSystem.program
    static let withoutKafka = RunningSystem.withoutKafka

    struct Result {
        var status: Int32
        var output: String
        var errors: String
        /// Its last line that is JSON.
        var json: JSONValue? {
            output.split(separator: "\n").last { $0.hasPrefix("{") }.flatMap { try? JSONValue(parsing: Array($0.utf8)) }
        }
    }

    /// Runs it to its end, on the in-memory broker.
    static func run(_ arguments: [String], program: String = program, within limit: Duration = .seconds(120))
        async throws -> Result
    {
        let child = try ChildProcess(program, arguments, environment: withoutKafka)
        let status = try await child.exit(within: limit)
        return Result(status: status, output: child.output, errors: child.errors)
    }

    /// Removes a system's data, PostgreSQL's too, which as root lies elsewhere.
    static func reset(_ state: String) async throws { _ = try await run(["reset", "--yes", "--state", state]) }

    /// What the services of a system are configured with, by what `up --json` says of it.
    static func configuration(_ summary: JSONValue) throws -> Configuration {
        func address(_ name: String) throws -> String {
            "127.0.0.1:\(try #require(summary["ports"]?[name]?.integer, "no port of \(name)"))"
        }
        return try Configuration.load(environment: [
            "MARTLET_PROFILE": "development", "MARTLET_KAFKA_BROKERS": try #require(summary["kafka"]?.text),
            "MARTLET_KAFKA_LOG_ID": summary["kafka_mode"]?.text == "memory" ? "memory" : "",
            "MARTLET_REGISTRY_LISTEN": try address("webhook-registry"),
            "MARTLET_OBSERVABILITY_LISTEN": try address("observability"),
            "MARTLET_INGESTION_LISTEN": try address("event-ingestion"),
            "MARTLET_RETRY_MANAGER_LISTEN": try address("retry-manager"),
            "MARTLET_DISPATCHER_LISTEN": try address("webhook-dispatcher"),
            "MARTLET_GATEWAY_LISTEN": try address("api-gateway"),
        ])
    }
}
