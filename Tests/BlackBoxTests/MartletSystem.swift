import JSONScanning
import Kafka
import Logs
import ServiceSupport
import Synchronization
import TestSupport
import Testing

/// All of Martlet, and its API.
final class MartletSystem: Sendable {
    static let programs = [
        "webhook-registry", "observability", "event-ingestion", "retry-manager", "webhook-dispatcher", "api-gateway",
    ]

    /// The configuration that its services have.
    let configuration: Configuration
    /// Kafka's bootstrap servers.
    let brokers: String
    /// As `admin`, of tenant `default`.
    let api: API
    private let system: RunningSystem

    private static let running = Mutex<[KafkaBroker.Kind: Shared<MartletSystem>]>([:])

    /// The suite's system on this kind of Kafka; started when first asked for.
    static func shared(_ kind: KafkaBroker.Kind) async throws -> MartletSystem {
        let system = running.withLock { running in
            let system = running[kind] ?? Shared { try await MartletSystem(kind) }
            running[kind] = system
            return system
        }
        return try await system.value()
    }

    /// Stops those that `shared` has started, and removes their data.
    static func stopAll() async throws {
        let systems = running.withLock { running in
            defer { running = [:] }
            return running.values
        }
        for system in systems { try await system.value().stop() }
    }

    private init(_ kind: KafkaBroker.Kind) async throws {
        system = try await RunningSystem(kind, purpose: "blackbox")
        let summary = try JSONValue(parsing: Array(system.summary.utf8))
        brokers = try #require(summary["kafka"]?.text)
        configuration = try Martlet.configuration(summary)
        api = try await API.loggedIn(configuration)
    }

    /// Where a program serves `/health`, `/ready` and `/metrics`.
    func address(of program: String) -> String {
        switch program {
        case "webhook-registry": "http://\(configuration.registry.listen)"
        case "observability": "http://\(configuration.observability.listen)"
        case "event-ingestion": "http://\(configuration.ingestion.listen)"
        case "retry-manager": "http://\(configuration.retryManager.listen)"
        case "webhook-dispatcher": "http://\(configuration.dispatcher.listen)"
        default: "http://\(configuration.gateway.listen)"
        }
    }

    /// How many records a topic has.
    func recordCount(_ topic: String) async throws -> Int {
        let count = Atomic<Int>(0)
        let logger = Logger(label: "test", output: LogOutput(service: "test") { _ in })
        let reader = try await AsyncLogReader.start(configuration.logReader("test", logger: logger))
        for partition in 0..<Int32(configuration.kafka.partitions) {
            _ = try await reader.read(TopicPartition(topic, partition), from: 0) { _ in
                count.wrappingAdd(1, ordering: .relaxed)
            }
        }
        await reader.close()
        return count.load(ordering: .relaxed)
    }

    private func stop() async throws { try await system.stop() }
}

/// Stops the systems that a suite's tests have shared, once the last one has ended.
struct StopsSystems: SuiteTrait, TestScoping {
    func provideScope(for test: Test, testCase: Test.Case?, performing function: () async throws -> Void) async throws {
        do {
            try await function()
        } catch {
            try await MartletSystem.stopAll()
            throw error
        }
        try await MartletSystem.stopAll()
    }
}
