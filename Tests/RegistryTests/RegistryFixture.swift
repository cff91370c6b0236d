import GRPC
import Kafka
import LifeCycle
import Logs
import Metrics
import Postgres
import Records
import Registry
import ServiceSupport
import Synchronization
import TestSupport
import Testing
import WireFormat

/// A database and topics of one test's own, on servers that all share.
final class RegistryFixture: Sendable {
    static let token = "a token of 32 bytes for the tests"

    let server: PostgresServer
    let database: String
    let pool: PostgresPool
    let kafka: KafkaBroker
    let prefix: String
    let partitions = 4

    /// - Parameter kafka: nil: the process's shared broker.
    init(_ server: PostgresServer? = nil, kafka: KafkaBroker? = nil) async throws {
        if let server { self.server = server } else { self.server = try await .shared() }
        if let kafka { self.kafka = kafka } else { self.kafka = try await .shared() }
        database = try await self.server.makeDatabase()
        prefix = KafkaBroker.uniqueName("registry") + "."
        var configuration = PostgresConfiguration()
        configuration.host = self.server.host
        configuration.port = self.server.port
        configuration.user = self.server.user
        configuration.password = self.server.password
        configuration.database = database
        configuration.maximumConnections = 2
        pool = try PostgresPool(configuration)
        try await SchemaMigrations.of("registry").migrate(pool)
        if let mock = self.kafka.mock {
            for topic in Topics(prefix: prefix).all { try mock.createTopic(topic, partitions: partitions) }
        }
    }

    var topic: String { Topics(prefix: prefix).webhooks }

    func environment(grpc: UInt16, http: UInt16) -> [String: String] {
        [
            "MARTLET_PROFILE": "development", "MARTLET_LOG_LEVEL": "info",
            "MARTLET_INTERNAL_TOKEN": Self.token,
            "MARTLET_KAFKA_BROKERS": kafka.bootstrapServers, "MARTLET_KAFKA_TOPIC_PREFIX": prefix,
            "MARTLET_KAFKA_PARTITIONS": "\(partitions)",
            "MARTLET_KAFKA_LOG_ID": kafka.kind == .inMemory ? "memory" : "",
            "MARTLET_POSTGRES_HOST": server.host, "MARTLET_POSTGRES_PORT": "\(server.port)",
            "MARTLET_POSTGRES_USER": server.user, "MARTLET_POSTGRES_PASSWORD": server.password,
            "MARTLET_POSTGRES_DATABASE": database, "MARTLET_POSTGRES_MAX_CONNECTIONS": "4",
            "MARTLET_REGISTRY_LISTEN": "127.0.0.1:\(http)", "MARTLET_REGISTRY_LISTEN_GRPC": "127.0.0.1:\(grpc)",
        ]
    }

    /// Starts a registry in this process and waits until it serves; unless another one leads, until it has compared the topic too.
    func start(
        _ change: [String: String] = [:], leads: Bool = true, identity: GRPCIdentity? = nil
    ) async throws -> RunningRegistry {
        let (grpc, http) = (freePort(), freePort())
        let settings = environment(grpc: grpc, http: http).merging(change) { _, new in new }
        let configuration = try Configuration.load(environment: settings)
        let output = LogOutput(service: "webhook-registry", level: .error)
        let context = ServiceContext(
            name: "webhook-registry", configuration: configuration, logger: Logger(label: "test", output: output),
            metrics: MetricsRegistry())
        let group = ServiceGroup(services: try Registry.services(context), logger: context.logger)
        let running = RunningRegistry(
            client: RegistryClient(port: grpc, identity: identity), context: context, group: group,
            task: Task { try await group.run() })
        let isUp = await eventually(within: .seconds(60)) {
            let isServing = await running.client.isServing
            return isServing && (!leads || running.metric(RunningRegistry.comparisons) == 1)
        }
        guard isUp else {
            try await running.stop()
            throw ChildProcess.Failure(description: "the registry did not start")
        }
        return running
    }

    /// What topic `events` holds.
    func events() async throws -> [CopiedRecord] {
        let found = Mutex<[CopiedRecord]>([])
        let reader = try await AsyncLogReader.start(
            LogReaderConfiguration(kafka.configuration(properties: ["fetch.wait.max.ms": "10"])))
        for partition in 0..<Int32(partitions) {
            _ = try await reader.read(TopicPartition(Topics(prefix: prefix).events, partition), from: 0) { record in
                let copy = CopiedRecord(record)
                found.withLock { $0.append(copy) }
            }
        }
        await reader.close()
        return found.withLock { $0 }
    }

    /// The newest record of each key of topic `webhooks`; nil: a tombstone.
    func records() async throws -> [String: Webhook?] {
        let latest = Mutex<[String: Webhook?]>([:])
        let reader = try await AsyncLogReader.start(
            LogReaderConfiguration(kafka.configuration(properties: ["fetch.wait.max.ms": "10"])))
        for partition in 0..<Int32(partitions) {
            _ = try await reader.read(TopicPartition(topic, partition), from: 0) { record in
                let id = String(decoding: record.key ?? .init(start: nil, count: 0), as: UTF8.self)
                let webhook = record.value.flatMap { try? Webhook(decoding: $0) }
                latest.withLock { $0[id] = .some(webhook) }
            }
        }
        await reader.close()
        return latest.withLock { $0 }
    }

    /// The number of rows of a query.
    func count(_ from: String) async throws -> Int {
        try await pool.query("SELECT count(*) AS n FROM \(from)").first?.decode("n") ?? -1
    }

    /// Writes a record into topic `webhooks` behind the registry's back.
    func produce(_ id: String, _ value: [UInt8]?, to topic: String? = nil) async throws {
        let producer = try await AsyncProducer.start(ProducerConfiguration(kafka.configuration()))
        try await producer.send(to: topic ?? self.topic, key: Array(id.utf8), value: value)
        await producer.close()
    }

    func close() async { await pool.close() }
}

/// A registry in this process.
final class RunningRegistry: Sendable {
    static let comparisons = "webhook_registry_reconciliations_total{result=\"done\"}"

    let client: RegistryClient
    let context: ServiceContext
    private let group: ServiceGroup
    private let task: Task<Void, any Error>

    init(client: RegistryClient, context: ServiceContext, group: ServiceGroup, task: Task<Void, any Error>) {
        self.client = client
        self.context = context
        self.group = group
        self.task = task
    }

    /// Stops it as SIGTERM would; throws where it does not end well.
    func stop() async throws {
        await client.close()
        group.stop()
        try await task.value
    }

    /// A line of `/metrics`; 0 where it is missing.
    func metric(_ name: String) -> Double {
        let text = String(decoding: context.metrics.prometheusText(), as: UTF8.self)
        for line in text.split(separator: "\n") where line.hasPrefix(name + " ") {
            return Double(line.dropFirst(name.count + 1)) ?? 0
        }
        return 0
    }
}

/// What the gateway does: calls with the services' token.
final class RegistryClient: Sendable {
    private let client: GRPCClient
    private let token: String

    init(port: UInt16, token: String = RegistryFixture.token, identity: GRPCIdentity? = nil) {
        var configuration = GRPCClient.Configuration(target: "127.0.0.1:\(port)")
        configuration.identity = identity
        configuration.timeout = .seconds(12)
        client = GRPCClient(configuration)
        self.token = token
    }

    var isServing: Bool {
        get async {
            (try? await client.call("/grpc.health.v1.Health/Check", bytes: [], timeout: .seconds(2)).bytes) == [8, 1]
        }
    }

    func call<Request: WireMessage, Reply: WireMessage>(
        _ method: String, _ request: Request, returning: Reply.Type = Reply.self
    ) async throws -> Reply {
        try await client.call(method, request, metadata: ["authorization": "Bearer \(token)"])
    }

    func create(_ tenant: String = "acme", _ change: (inout WebhookFields) -> Void = { _ in }) async throws
        -> CreateWebhookReply
    {
        var request = CreateWebhookRequest()
        request.tenant = tenant
        request.fields.url = "https://example.org/hook"
        request.fields.eventTypes = ["order.*"]
        change(&request.fields)
        return try await call(RegistryMethod.create, request)
    }

    func get(_ id: String, _ tenant: String = "acme") async throws -> Webhook {
        var request = GetWebhookRequest()
        request.tenant = tenant
        request.id = id
        return try await call(RegistryMethod.get, request, returning: GetWebhookReply.self).webhook
    }

    func list(_ tenant: String = "acme", limit: UInt32 = 0, cursor: String = "") async throws -> ListWebhooksReply {
        var request = ListWebhooksRequest()
        request.tenant = tenant
        request.limit = limit
        request.cursor = cursor
        return try await call(RegistryMethod.list, request)
    }

    func update(
        _ id: String, _ tenant: String = "acme", version: UInt64 = 0, _ change: (inout WebhookFields) -> Void
    ) async throws -> UpdateWebhookReply {
        var request = UpdateWebhookRequest()
        request.tenant = tenant
        request.id = id
        request.expectedVersion = version
        change(&request.fields)
        return try await call(RegistryMethod.update, request)
    }

    func delete(_ id: String, _ tenant: String = "acme", version: UInt64 = 0) async throws -> DeleteWebhookReply {
        var request = DeleteWebhookRequest()
        request.tenant = tenant
        request.id = id
        request.expectedVersion = version
        return try await call(RegistryMethod.delete, request)
    }

    func rotate(_ id: String, _ tenant: String = "acme", overlap: UInt32? = nil) async throws -> RotateSecretReply {
        var request = RotateSecretRequest()
        request.tenant = tenant
        request.id = id
        request.overlapSeconds = overlap
        return try await call(RegistryMethod.rotateSecret, request)
    }

    func close() async { await client.shutdown(grace: .zero) }
}

/// The status that `body` ends with, and its problems as "field code".
func refusal(_ body: () async throws -> Void) async -> (code: GRPCStatus.Code?, problems: [String]) {
    do {
        try await body()
        return (nil, [])
    } catch let status as GRPCStatus {
        let problems = status.metadata[bytes: problemsMetadataKey].flatMap { try? RequestProblems(decoding: $0) }
        return (status.code, (problems?.problems ?? []).map { "\($0.field) \($0.code.text)" })
    } catch {
        return (nil, ["\(error)"])
    }
}

/// A registry, for the length of `body`.
func withRegistry(
    _ change: [String: String] = [:], kafka: KafkaBroker? = nil,
    _ body: (RegistryFixture, RunningRegistry) async throws -> Void
) async throws {
    let fixture = try await RegistryFixture(kafka: kafka)
    let registry = try await fixture.start(change)
    do {
        try await body(fixture, registry)
    } catch {
        try? await registry.stop()
        await fixture.close()
        throw error
    }
    try await registry.stop()
    await fixture.close()
}

extension CopiedRecord {
    var texts: [String: String] {
        Dictionary(
            headers.map { ($0.name, String(decoding: $0.value ?? [], as: UTF8.self)) }, uniquingKeysWith: { $1 })
    }
    var keyText: String { String(decoding: key ?? [], as: UTF8.self) }
}
