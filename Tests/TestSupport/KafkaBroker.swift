internal import EventLoops
internal import Glibc
public import Kafka
internal import Synchronization
public import Testing

/// A Kafka for tests: one real and one in-memory broker per test process, started when first asked for.
public struct KafkaBroker: Sendable {
    public enum Kind: String, Sendable, CustomTestStringConvertible {
        /// A broker of the distribution in `KAFKA_HOME`.
        case real
        /// librdkafka's `MockCluster`.
        case inMemory
        public var testDescription: String { self == .real ? "Kafka" : "in-memory broker" }
    }

    public let kind: Kind
    public let bootstrapServers: String
    /// For fault injection; nil for a real broker.
    public let mock: MockCluster?
    /// nil for an in-memory broker.
    private let process: KafkaProcess?

    /// The kinds that this environment has: conformance suites run on each.
    public static var available: [Kind] { kafkaHome == nil ? [.inMemory] : [.inMemory, .real] }

    /// The real broker where `KAFKA_HOME` is set, else the in-memory one.
    public static func shared() async throws -> KafkaBroker { try await shared(kafkaHome == nil ? .inMemory : .real) }

    /// The process's broker of a kind.
    public static func shared(_ kind: Kind) async throws -> KafkaBroker {
        try await (kind == .real ? realBroker : memoryBroker).value
    }

    /// An in-memory broker of the test's own, to be broken at will.
    public static func ownInMemory(brokers: Int = 1) throws -> KafkaBroker {
        let mock = try MockCluster(brokers: brokers)
        return KafkaBroker(kind: .inMemory, bootstrapServers: mock.bootstrapServers, mock: mock, process: nil)
    }

    private static let memoryBroker = Task { try ownInMemory() }
    private static let realBroker = Task { () async throws -> KafkaBroker in
        try await start(KafkaProcess.start(home: kafkaHome ?? ""))
    }

    /// A real broker of the test's own, to be killed: it takes ten seconds until it answers.
    public static func ownReal() async throws -> KafkaBroker {
        try await start(KafkaProcess.start(home: kafkaHome ?? "", directory: temporaryDirectory("kafka")))
    }

    private static func start(_ process: KafkaProcess) async throws -> KafkaBroker {
        let broker = KafkaBroker(
            kind: .real, bootstrapServers: process.bootstrapServers, mock: nil, process: process)
        try await broker.awaitMetadata(of: process)
        return broker
    }

    /// Kills a real broker of the test's own.
    public func kill() { process?.kill() }

    /// Stops a real broker of the test's own, or lets it go on: what a frozen machine looks like.
    public func freeze(_ frozen: Bool) { process?.signal(frozen ? SIGSTOP : SIGCONT) }

    /// Starts it again with what it had, and waits until it answers.
    public func restart() async throws {
        guard let process else { return }
        _ = await eventually { process.exitStatus != nil }
        process.launch()
        try await awaitMetadata(of: process)
    }

    /// Ends it for good.
    public func remove() async {
        guard let process else { return }
        process.kill()
        _ = await eventually { process.exitStatus != nil }
        removeDirectory(process.directory)
    }

    static var kafkaHome: String? {
        getenv("KAFKA_HOME").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// How to reach it. `properties` are librdkafka's.
    public func configuration(
        clientID: String = "test", properties: [String: String] = [:],
        log: (@Sendable (KafkaLogLine) -> Void)? = nil
    ) -> KafkaConfiguration {
        KafkaConfiguration(brokers: bootstrapServers, clientID: clientID, properties: properties, log: log)
    }

    /// A name that no other test of this process uses, beginning with `stem`.
    public static func uniqueName(_ stem: String = "test") -> String {
        let number = names.withLock { number in
            number += 1
            return number
        }
        return "\(stem)-\(getpid())-\(number)"
    }
    private static let names = Mutex(0)

    /// Makes a topic with a name of its own and returns the name.
    public func makeTopic(
        _ stem: String = "topic", partitions: Int = 1, settings: [String: String] = [:]
    ) async throws -> String {
        let name = Self.uniqueName(stem)
        try await createTopic(name, partitions: partitions, settings: settings)
        return name
    }

    /// Makes a topic; settings are ignored by the in-memory broker.
    public func createTopic(_ name: String, partitions: Int = 1, settings: [String: String] = [:]) async throws {
        if let mock { return try mock.createTopic(name, partitions: partitions) }
        let admin = try Admin(configuration())
        let failures = try await admin.createTopics([NewTopic(name, partitions: partitions, settings: settings)])
        if let failure = failures[name] { throw failure }
    }

    /// Metadata, not the open port, tells that a broker is ready.
    private func awaitMetadata(of process: KafkaProcess) async throws {
        let admin = try Admin(configuration(), timeoutMilliseconds: 2_000)
        for _ in 0..<45 {
            if let status = process.exitStatus { throw KafkaProcess.Failure(process, "ended with status \(status)") }
            if let count = try? await admin.brokerCount(), count > 0 { return }
        }
        throw KafkaProcess.Failure(process, "did not answer within 90 s")
    }
}

extension Trait where Self == ConditionTrait {
    /// For tests of what the in-memory broker cannot do.
    public static var requiresRealKafka: Self {
        .enabled(
            if: KafkaBroker.kafkaHome != nil,
            "needs a real Kafka: set KAFKA_HOME to an Apache Kafka 4 distribution")
    }
}
