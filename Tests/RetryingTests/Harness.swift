import CLinux
import Glibc
import HTTPSending
import Kafka
import Logs
import Records
import ServiceSupport
import Synchronization
import TestSupport
import WireFormat

/// A Kafka with Martlet's topics under a prefix of their own, a Redis, and retry-managers as processes. The test writes `retries` as a
/// dispatcher would, and reads what is fired.
final class Harness {
    let broker: KafkaBroker
    let redis: RedisServer
    let configuration: Configuration
    private(set) var producer: AsyncProducer!
    let environment: [String: String]
    private let directory: String
    private var managers: [ServerProcess] = []
    private let ports = Mutex<[ObjectIdentifier: UInt16]>([:])

    init(
        _ kind: KafkaBroker.Kind, partitions: Int = 2, redis: RedisServer? = nil, compactsEagerly: Bool = false,
        _ extra: [String: String] = [:]
    ) async throws {
        broker = try await KafkaBroker.shared(kind)
        if let redis { self.redis = redis } else { self.redis = try await RedisServer.shared() }
        let prefix = KafkaBroker.uniqueName("retry") + "."
        var environment = [
            "MARTLET_PROFILE": "development", "MARTLET_KAFKA_BROKERS": broker.bootstrapServers,
            "MARTLET_KAFKA_TOPIC_PREFIX": prefix, "MARTLET_KAFKA_PARTITIONS": "\(partitions)",
            "MARTLET_RETRY_MANAGER_GROUP": prefix + "group", "MARTLET_REDIS_PORT": "\(self.redis.port)",
        ]
        if kind == .inMemory { environment["MARTLET_KAFKA_LOG_ID"] = "memory-\(prefix)" }
        environment.merge(extra) { $1 }
        self.environment = environment
        configuration = try Configuration.load(environment: environment)
        directory = try temporaryDirectory("retry")
        let logger = Logger(label: "test", output: LogOutput(service: "test") { _ in })
        if kind == .inMemory {
            for topic in configuration.kafka.topics.all { try await broker.createTopic(topic, partitions: partitions) }
        }
        if compactsEagerly { try await createEagerRetries(partitions, logger) }
        try await TopicKeeper(configuration, clientID: "test", logger: logger).ensure()
        producer = try await AsyncProducer.start(configuration.producer("test", logger: logger))
    }

    /// Segments of a moment, cleaned as soon as the cleaner comes by.
    private func createEagerRetries(_ partitions: Int, _ logger: Logger) async throws {
        let settings = [
            "cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.01",
            "delete.retention.ms": "0", "max.message.bytes": "\(configuration.maxRecordBytes)",
        ]
        let topic = NewTopic(topics.retries, partitions: partitions, settings: settings)
        let admin = try Admin(configuration.kafka.client("test", logger: logger))
        for error in try await admin.createTopics([topic]).values { throw error }
    }

    var topics: Topics { configuration.kafka.topics }

    // MARK: What a dispatcher and a gateway write

    static func id(_ number: Int) -> DeliveryID { DeliveryID(random: 0x1234, UInt64(number)) }

    /// A delivery that waits, if in a lane since then, and the offset that it has.
    @discardableResult
    func putWaiting(
        _ number: Int, generation: UInt32 = 1, due: Int64, lane: String? = nil, since: Int64? = nil
    ) async throws -> Int64 {
        let id = Self.id(number)
        var headers = RecordHeaders()
        headers.append(RecordHeader.id, "event-\(number)")
        headers.append(RecordHeader.type, "order.created")
        headers.append(RecordHeader.source, "test")
        headers.append(RecordHeader.delivery, id.description)
        headers.append(RecordHeader.webhook, "wh_1")
        headers.append(RecordHeader.generation, "\(generation)")
        headers.append(RecordHeader.attempt, "\(generation)")
        headers.append(RecordHeader.due, "\(due)")
        if let lane { headers.append(RecordHeader.lane, lane) }
        if let since { headers.append(RecordHeader.since, "\(since)") }
        let key = RetryKey.delivery(id, generation: generation).description
        let receipt = try await producer.send(
            to: topics.retries, partition: partition(number), key: Array(key.utf8),
            value: Array("{\"n\":\(number)}".utf8), headers: headers)
        return receipt.offset ?? -1
    }

    func putWaiting(
        _ numbers: Range<Int>, lane: String? = nil, since: Int64? = nil, due: @escaping @Sendable (Int) -> Int64
    ) async throws {
        for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 500) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in start..<min(start + 500, numbers.upperBound) {
                    nonisolated(unsafe) let harness = self
                    group.addTask {
                        try await harness.putWaiting(number, due: due(number), lane: lane, since: since)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    func put(_ key: RetryKey, value: [UInt8]?, _ number: Int) async throws {
        try await producer.send(
            to: topics.retries, partition: partition(number), key: Array(key.description.utf8), value: value)
    }

    func partition(_ number: Int) -> Int32 { Int32(number % configuration.kafka.partitions) }

    // MARK: A whole chain: events, a webhook, a dispatcher

    func putWebhook(_ id: String, url: String, _ change: (inout Webhook) -> Void = { _ in }) async throws {
        var webhook = Webhook()
        webhook.id = id
        webhook.tenant = "default"
        webhook.version = 1
        webhook.url = url
        webhook.eventTypes = ["*"]
        let secret = [UInt8]("a-secret-of-thirty-two-bytes-abc".utf8)
        webhook.secrets = [try SecretSealer(configuration.sealing).seal(secret, of: id)]
        change(&webhook)
        try await producer.send(to: topics.webhooks, key: Array(id.utf8), value: webhook.encoded())
    }

    func putEvents(_ count: Int) async throws {
        let (topic, producer) = (topics.events, producer!)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<count {
                group.addTask {
                    var headers = RecordHeaders()
                    headers.append(RecordHeader.id, "event-\(number)")
                    headers.append(RecordHeader.type, "order.created")
                    headers.append(RecordHeader.source, "test")
                    try await producer.send(
                        to: topic, key: Array("default\u{0}\(number)".utf8), value: Array("{\"n\":\(number)}".utf8),
                        headers: headers)
                }
            }
            try await group.waitForAll()
        }
    }

    @discardableResult
    func startDispatcher(awaitsReady: Bool = true) async throws -> ServerProcess {
        try await start("webhook-dispatcher", "MARTLET_DISPATCHER_LISTEN", [:], awaitsReady: awaitsReady)
    }

    /// How each delivery stands: the kinds of its outcomes, in order.
    func outcomes() async throws -> [String: [Outcome.Kind]] {
        var kinds: [String: [Outcome.Kind]] = [:]
        for record in try await records(topics.attempts) {
            guard let outcome = try record.value.map({ try Outcome(decoding: $0) }), let id = outcome.delivery else {
                continue
            }
            kinds[id.description, default: []].append(outcome.kind)
        }
        return kinds
    }

    // MARK: Processes

    @discardableResult
    func startManager(_ extra: [String: String] = [:], awaitsReady: Bool = true) async throws -> ServerProcess {
        try await start("retry-manager", "MARTLET_RETRY_MANAGER_LISTEN", extra, awaitsReady: awaitsReady)
    }

    private func start(
        _ program: String, _ listen: String, _ extra: [String: String], awaitsReady: Bool
    ) async throws -> ServerProcess {
        let port = freePort()
        let process = try await ServerProcess(
            Executables.path(program), [], log: "\(directory)/\(program)-\(managers.count).log",
            environment: environment.merging([listen: "127.0.0.1:\(port)"]) { $1 }.merging(extra) { $1 })
        managers.append(process)
        ports.withLock { $0[ObjectIdentifier(process)] = port }
        guard awaitsReady else { return process }
        let client = try HTTPClient()
        let endpoint = try Endpoint("http://127.0.0.1:\(port)/ready")
        let isReady = await eventually(within: .seconds(30)) {
            if !process.isRunning { return true }
            return await client.send(.get, to: endpoint).status == 200
        }
        guard isReady, process.isRunning else { throw NotReady(log: log(process)) }
        return process
    }

    struct NotReady: Error, CustomStringConvertible {
        var log: String
        var description: String { "a service did not become ready: \(log)" }
    }

    func log(_ process: ServerProcess) -> String { contents(of: process.log) }

    /// A figure of a manager's `/metrics`; nil where it has none.
    func metric(_ name: String, of process: ServerProcess) async throws -> Double? {
        guard let port = ports.withLock({ $0[ObjectIdentifier(process)] }) else { return nil }
        let result = await (try HTTPClient()).send(.get, to: try Endpoint("http://127.0.0.1:\(port)/metrics"))
        for line in String(decoding: result.body, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix(name + " ") {
            return Double(line.dropFirst(name.utf8.count + 1))
        }
        return nil
    }

    func close() async {
        for manager in managers { await manager.end(SIGKILL) }
        await producer.close()
        removeDirectory(directory)
    }

    // MARK: Reading back

    func records(_ topic: String) async throws -> [CopiedRecord] {
        let logger = Logger(label: "test", output: LogOutput(service: "test") { _ in })
        let reader = try await AsyncLogReader.start(configuration.logReader("test", logger: logger))
        let found = Mutex<[CopiedRecord]>([])
        for partition in 0..<Int32(configuration.kafka.partitions) {
            _ = try await reader.read(TopicPartition(topic, partition), from: 0) { record in
                let copy = CopiedRecord(record)
                found.withLock { $0.append(copy) }
            }
        }
        await reader.close()
        return found.withLock { $0 }
    }

    /// What was fired, by delivery.
    func fired() async throws -> [String: [CopiedRecord]] {
        Dictionary(grouping: try await records(topics.deliveries)) { record in
            String(decoding: record.header("martlet-delivery") ?? [], as: UTF8.self)
        }
    }

    /// Waits until so many different deliveries were fired.
    func awaitFired(_ count: Int, within limit: Duration = .seconds(30)) async throws -> [String: [CopiedRecord]] {
        let end = ContinuousClock.now + limit
        while true {
            let fired = try await fired()
            if fired.count >= count || ContinuousClock.now >= end { return fired }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// The keys that a compacted `retries` would hold.
    func liveKeys() async throws -> Set<String> {
        var live: [String: Bool] = [:]
        for record in try await records(topics.retries) {
            let key = "\(record.topicPartition.partition) \(String(decoding: record.key ?? [], as: UTF8.self))"
            live[key] = record.value != nil
        }
        return Set(live.filter(\.value).keys.map { String($0.split(separator: " ")[1]) })
    }
}

func nowMs() -> Int64 { clinux_realtime_ms() }
