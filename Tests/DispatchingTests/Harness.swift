import Glibc
import HTTPSending
import Kafka
import Logs
import Records
import ServiceSupport
import TestSupport
import WireFormat

/// A Kafka with Martlet's topics under a prefix of their own, webhooks put into it by hand, and dispatchers as processes.
final class Harness {
    let broker: KafkaBroker
    let configuration: Configuration
    let producer: AsyncProducer
    private let environment: [String: String]
    private let directory: String
    private var dispatchers: [ServerProcess] = []
    /// Where each listens.
    private var ports: [ObjectIdentifier: UInt16] = [:]
    private var started = 0

    static let secret = [UInt8]("a-secret-of-thirty-two-bytes-abc".utf8)

    init(_ kind: KafkaBroker.Kind, partitions: Int = 4, _ extra: [String: String] = [:]) async throws {
        broker = try await KafkaBroker.shared(kind)
        let prefix = KafkaBroker.uniqueName("dispatch") + "."
        var environment = [
            "MARTLET_PROFILE": "development", "MARTLET_KAFKA_BROKERS": broker.bootstrapServers,
            "MARTLET_KAFKA_TOPIC_PREFIX": prefix, "MARTLET_KAFKA_PARTITIONS": "\(partitions)",
            "MARTLET_DISPATCHER_GROUP": prefix + "group",
        ]
        if kind == .inMemory { environment["MARTLET_KAFKA_LOG_ID"] = "memory-\(prefix)" }
        environment.merge(extra) { $1 }
        self.environment = environment
        configuration = try Configuration.load(environment: environment)
        let logger = Logger(label: "test", output: LogOutput(service: "test") { _ in })
        if kind == .inMemory {
            for topic in configuration.kafka.topics.all { try await broker.createTopic(topic, partitions: partitions) }
        }
        try await TopicKeeper(configuration, clientID: "test", logger: logger).ensure()
        producer = try await AsyncProducer.start(configuration.producer("test", logger: logger))
        directory = try temporaryDirectory("dispatch")
    }

    var topics: Topics { configuration.kafka.topics }

    func putWebhook(_ id: String, url: String, types: [String], _ change: (inout Webhook) -> Void = { _ in })
        async throws
    {
        var webhook = Webhook()
        webhook.id = id
        webhook.tenant = "default"
        webhook.version = 1
        webhook.url = url
        webhook.eventTypes = types
        webhook.secrets = [try SecretSealer(configuration.sealing).seal(Self.secret, of: id)]
        change(&webhook)
        try await producer.send(to: topics.webhooks, key: Array(id.utf8), value: webhook.encoded())
    }

    /// Events as any CloudEvents producer writes them.
    func putEvents(_ count: Int, type: String = "order.created", from first: Int = 0) async throws {
        let topic = topics.events
        for start in stride(from: first, to: first + count, by: 500) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in start..<min(start + 500, first + count) {
                    group.addTask { [producer] in
                        try await producer.send(
                            to: topic, key: Array("default\u{0}\(number)".utf8), value: Array("{\"n\":\(number)}".utf8),
                            headers: Self.headers(id: "event-\(number)", type: type))
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    static func headers(id: String, type: String) -> RecordHeaders {
        var headers = RecordHeaders()
        headers.append(RecordHeader.id, id)
        headers.append(RecordHeader.type, type)
        headers.append(RecordHeader.source, "test")
        headers.append(RecordHeader.time, "2026-11-21T04:23:00.000Z")
        headers.append(RecordHeader.specVersion, "1.0")
        headers.append(RecordHeader.contentType, "application/json")
        return headers
    }

    // MARK: Processes

    /// Starts a dispatcher and returns when it is ready.
    @discardableResult
    func startDispatcher(isReadyWithin limit: Duration = .seconds(30)) async throws -> ServerProcess {
        started += 1
        let port = freePort()
        let process = try await ServerProcess(
            Executables.path("webhook-dispatcher"), [], log: "\(directory)/dispatcher-\(started).log",
            environment: environment.merging(["MARTLET_DISPATCHER_LISTEN": "127.0.0.1:\(port)"]) { $1 })
        dispatchers.append(process)
        ports[ObjectIdentifier(process)] = port
        let client = try HTTPClient()
        let endpoint = try Endpoint("http://127.0.0.1:\(port)/ready")
        let isReady = await eventually(within: limit) {
            if !process.isRunning { return true }
            return await client.send(.get, to: endpoint).status == 200
        }
        guard isReady, process.isRunning else { throw NotReady(log: log(process)) }
        return process
    }

    /// A metric without labels, as the dispatcher shows it; nil where it does not answer or has no such metric.
    func metric(_ name: String, of process: ServerProcess) async throws -> Double? {
        let endpoint = try Endpoint("http://127.0.0.1:\(ports[ObjectIdentifier(process)] ?? 0)/metrics")
        let page = String(decoding: try await HTTPClient().send(.get, to: endpoint).body, as: UTF8.self)
        let line = page.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line?.split(separator: " ").last.flatMap { Double($0) }
    }

    /// What a dispatcher answers to a question with the internal token.
    func ask(_ path: String, of process: ServerProcess, token: String? = nil) async throws -> HTTPSendResult {
        var headers = HeaderLines()
        headers.append("authorization", "Bearer " + (token ?? configuration.internalCalls.token))
        let endpoint = try Endpoint("http://127.0.0.1:\(ports[ObjectIdentifier(process)] ?? 0)\(path)")
        return try await HTTPClient().send(.get, to: endpoint, headers: headers)
    }

    struct NotReady: Error, CustomStringConvertible {
        var log: String
        var description: String { "the dispatcher did not become ready: \(log)" }
    }

    func log(_ process: ServerProcess) -> String {
        guard let file = fopen(process.log, "r") else { return "" }
        defer { fclose(file) }
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 {
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
        return text
    }

    func close() async {
        for dispatcher in dispatchers { await dispatcher.end(SIGKILL) }
        await producer.close()
        removeDirectory(directory)
    }

    // MARK: Reading back

    /// Every outcome in `attempts` so far.
    func outcomes() async throws -> [Outcome] {
        try await records(topics.attempts).compactMap { try $0.value.map { try Outcome(decoding: $0) } }
    }

    func records(_ topic: String) async throws -> [CopiedRecord] {
        let logger = Logger(label: "test", output: LogOutput(service: "test") { _ in })
        let reader = try await AsyncLogReader.start(configuration.logReader("test", logger: logger))
        let found = Found()
        for partition in 0..<Int32(configuration.kafka.partitions) {
            _ = try await reader.read(TopicPartition(topic, partition), from: 0) { record in
                found.append(CopiedRecord(record))
            }
        }
        await reader.close()
        return found.all
    }
}
