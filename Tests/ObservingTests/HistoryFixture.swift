import CLinux
import Delivering
import EventLoops
import HTTPServing
import JSONScanning
import Kafka
import LifeCycle
import Logs
import Metrics
import Postgres
import Records
import ServiceSupport
import Synchronization
import TestSupport
import WireFormat

@testable import Observing

/// A topic, a migrated database, and history between them.
struct HistoryFixture: Sendable {
    let broker: KafkaBroker
    let topic: String
    let pool: PostgresPool
    let metrics = HistoryMetrics(MetricsRegistry())
    let health = HistoryHealth()
    let producer: AsyncProducer
    var settings: HistorySettings

    init(
        _ kind: KafkaBroker.Kind = .inMemory, partitions: Int = 2, server: PostgresServer? = nil, maxBatch: Int = 20_000
    ) async throws {
        broker = try await KafkaBroker.shared(kind)
        topic = try await broker.makeTopic("attempts", partitions: partitions)
        let server = if let server { server } else { try await PostgresServer.shared() }
        var configuration = PostgresConfiguration()
        configuration.host = server.host
        configuration.port = server.port
        configuration.user = server.user
        configuration.password = server.password
        configuration.database = try await server.makeDatabase()
        configuration.reconnectDelayMilliseconds = 20
        configuration.maximumReconnectDelayMilliseconds = 200
        pool = try PostgresPool(configuration)
        try await SchemaMigrations.of("observability").migrate(pool)
        producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration(clientID: "test")))
        let group = KafkaBroker.uniqueName("history")
        settings = HistorySettings(
            kafka: broker.configuration(clientID: "history"), attemptsTopic: topic, deliveriesTopic: "deliveries",
            groupID: group, logID: "log-1", retentionMs: 72 * 3_600_000, maxSizeBytes: 1 << 40,
            deadLetterRetentionMs: 30 * 86_400_000, maxDeliveryAgeMs: 72 * 3_600_000)
        settings.fetchWaitMs = 10
        settings.retryDelayMs = 20
        settings.maxRetryDelayMs = 200
        settings.upkeepMs = 200
        settings.maxBufferedEntries = maxBatch
    }

    /// Writes outcomes, in order, to their own partition numbers.
    func write(_ outcomes: [Outcome], partition: Int32 = 0) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for outcome in outcomes {
                try await write(bytes: outcome.encoded(), partition: partition, &group)
            }
            try await group.waitForAll()
        }
    }

    func write(bytes: [UInt8], partition: Int32 = 0) async throws {
        try await producer.send(to: topic, partition: partition, key: nil, value: bytes)
    }

    private func write(
        bytes: [UInt8], partition: Int32, _ group: inout ThrowingTaskGroup<Void, any Error>
    ) async throws {
        // A task begins at once, so that the records keep their order.
        group.addImmediateTask { [producer, topic] in
            _ = try await producer.send(to: topic, partition: partition, key: nil, value: bytes)
        }
    }

    static let token = "the-internal-token-of-these-tests"

    /// Asks as the gateway does. `query` is added to the tenant's.
    func ask(
        _ method: String, _ pattern: String, _ id: String = "", tenant: String? = "default", query: String = "",
        token: String? = token, body: String = ""
    ) async throws -> (status: Int, body: JSONValue) {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let routes = ObservabilityService.routes(
            asking: pool, InternalAccess(token: Self.token, log: logger), .standard)
        guard let route = routes.first(where: { $0.method == method && $0.pattern == "/internal/v1/" + pattern }) else {
            throw ChildProcess.Failure(description: "there is no route \(method) \(pattern)")
        }
        var request = HTTPRequest(
            method: method, path: "",
            query: [tenant.map { "tenant=\($0)" }, query].compactMap { $0 }.joined(separator: "&"),
            headers: token.map { [("authorization", "Bearer \($0)")] } ?? [], body: Array(body.utf8), requestID: "r",
            peer: "")
        request.parameters = ["id": id]
        let response = await route.handler(request)
        return (response.status, try JSONValue(parsing: response.body))
    }

    func start(_ change: (inout HistorySettings) -> Void = { _ in }) -> RunningHistory {
        var settings = settings
        change(&settings)
        return RunningHistory(settings, self)
    }

    func number(_ sql: String) async throws -> Int {
        try await pool.query("SELECT (\(sql))::bigint AS number")[0].decode("number", as: Int.self)
    }

    var rows: Int {
        get async throws { try await number("SELECT count(*) FROM observability.outcomes") }
    }

    /// Waits until the positions have reached the log's ends.
    func caughtUp(within limit: Duration = .seconds(30), logID: String = "log-1") async throws -> Bool {
        let admin = try Admin(broker.configuration())
        guard let description = try await admin.describe(topic: topic) else { return false }
        let names = (0..<Int32(description.partitions)).map { TopicPartition(topic, $0) }
        let ends = try await admin.watermarks(names).reduce(into: [Int32: Int64]()) {
            $0[$1.key.partition] = $1.value.high
        }
        return await eventually(within: limit) {
            guard
                let rows = try? await pool.query(
                    "SELECT partition, next_offset FROM observability.positions WHERE log_id = $1", [.text(logID)])
            else { return false }
            let stored =
                (try? rows.map {
                    (try $0.decode("partition", as: Int32.self), try $0.decode("next_offset", as: Int64.self))
                }) ?? []
            return Dictionary(stored) { $1 } == ends
        }
    }

    func close() async {
        await producer.close()
        await pool.close()
    }
}

/// A running pipeline, which can be stopped in order, or as abruptly as a task allows.
struct RunningHistory: Sendable {
    private let group: ServiceGroup
    private let task: Task<Void, Never>

    init(_ settings: HistorySettings, _ fixture: HistoryFixture) {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let pipeline = HistoryPipeline(
            settings, pool: fixture.pool, metrics: fixture.metrics, health: fixture.health, log: logger)
        let group = ServiceGroup(
            services: [ClosureService(name: "history") { try await pipeline.run() }], logger: logger)
        self.group = group
        task = Task.detached { try? await group.run() }
    }

    func stop() async {
        group.stop()
        await task.value
    }
}

extension Outcome {
    /// The first outcome of a delivery of its own.
    static func made(
        _ number: Int, _ kind: Kind = .delivered, event: String? = nil, webhook: String = "wh_1",
        at: Int64 = clinux_realtime_ms()
    ) -> Outcome {
        var outcome = Outcome()
        outcome.kind = kind
        outcome.delivery = DeliveryIdentity(logID: "log", topic: "events", partition: 0)
            .id(offset: Int64(number), timestamp: 0, webhook: webhook)
        outcome.webhookID = webhook
        outcome.tenant = "default"
        outcome.eventID = event ?? "event-\(number)"
        outcome.eventType = "order.created"
        outcome.sourceTopic = "events"
        outcome.originTopic = "events"
        outcome.sourceOffset = Int64(number)
        outcome.originOffset = Int64(number)
        outcome.fanOut = 1
        outcome.requestID = UInt64(number) &* 0x9e37_79b9_7f4a_7c15 | 1
        outcome.attempt = kind == .parked ? 0 : 1
        outcome.startedAtMs = at
        outcome.eventTimeMs = at - 10
        outcome.durationUs = kind == .parked ? 0 : 12_345
        if kind == .delivered { outcome.status = 200 }
        if !kind.isFinal {
            outcome.generation = 1
            outcome.recordTopic = "retries"
            outcome.recordOffset = Int64(number)
            outcome.dueAtMs = at + 5_000
            outcome.reason = kind == .parked ? "in_flight_limit" : "status_500"
            if kind == .failed { outcome.status = 500 }
        }
        return outcome
    }

    /// A later outcome of the same delivery, caused by the record that this one names.
    func followed(by kind: Kind, request: UInt64) -> Outcome {
        var next = self
        next.kind = kind
        next.requestID = request
        next.sourceTopic = "deliveries"
        next.sourceOffset = recordOffset + 1_000
        next.attempt += kind == .parked ? 0 : 1
        next.startedAtMs += 10
        next.durationUs = kind == .parked ? 0 : 20_000
        next.status = kind == .delivered ? 200 : 500
        if kind.isFinal {
            next.recordTopic = kind == .dead ? "dead-letters" : ""
            next.dueAtMs = 0
            if kind == .delivered { next.reason = "" }
        } else {
            next.generation += 1
        }
        return next
    }
}
