import CLinux
import HTTPSending
import JSONScanning
import Kafka
import LifeCycle
import Logs
import ServiceSupport
import Synchronization
import TestSupport
import Tokens

@testable import Ingestion

/// An answer of the service.
struct Answer: Sendable {
    var status: Int
    var headers: [HTTPSendHeader]
    var text: String
    var failure: String?

    func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    subscript(name: String) -> JSONValue? {
        guard case .object(let object) = try? JSONValue(parsing: Array(text.utf8)) else { return nil }
        return object[name]
    }

    func string(_ name: String) -> String? {
        guard case .string(let text)? = self[name] else { return nil }
        return text
    }

    /// Of a problem: its status, code and field.
    var problem: String {
        let isProblem = header("content-type") == "application/problem+json"
        return isProblem ? "\(status) \(string("code") ?? "") \(string("field") ?? "-")" : "\(status) \(text)"
    }
}

/// event-ingestion in this process, or what another process needs to be one, with topics of its own.
final class IngestionFixture: Sendable {
    static let secret = "a secret of 32 bytes for the tests"
    static let partitions: Int32 = 2

    let kafka: KafkaBroker
    let prefix: String
    let port = freePort()
    let environment: [String: String]
    private let client: HTTPClient
    private let running = Mutex<(group: ServiceGroup, task: Task<Void, any Error>)?>(nil)

    /// - Parameters:
    ///   - redis: nil: there is none.
    ///   - change: of the environment.
    init(_ kafka: KafkaBroker, redis: RedisServer? = nil, _ change: [String: String] = [:]) throws {
        self.kafka = kafka
        prefix = KafkaBroker.uniqueName("ingestion") + "."
        client = try HTTPClient()
        for topic in Topics(prefix: prefix).all {
            try kafka.mock?.createTopic(topic, partitions: Int(Self.partitions))
        }
        environment = [
            "MARTLET_PROFILE": "development", "MARTLET_LOG_LEVEL": "error", "MARTLET_AUTH_SECRET": Self.secret,
            "MARTLET_KAFKA_BROKERS": kafka.bootstrapServers, "MARTLET_KAFKA_TOPIC_PREFIX": prefix,
            "MARTLET_KAFKA_PARTITIONS": "\(Self.partitions)",
            "MARTLET_KAFKA_LOG_ID": kafka.kind == .inMemory ? "memory" : "",
            "MARTLET_REDIS_PORT": "\(redis?.port ?? freePort())", "MARTLET_INGESTION_LISTEN": "127.0.0.1:\(port)",
        ].merging(change) { $1 }
    }

    func start() throws {
        let output = LogOutput(service: "event-ingestion", level: .critical)
        let context = ServiceContext(
            name: "event-ingestion", configuration: try Configuration.load(environment: environment),
            logger: Logger(label: "event-ingestion", output: output))
        let group = ServiceGroup(services: try ingestionServices(context), logger: context.logger)
        running.withLock { $0 = (group, Task { try await group.run() }) }
    }

    /// Stops the service as SIGTERM would; throws where it does not end well.
    func stop() async throws {
        guard let (group, task) = running.withLock({ $0 }) else { return }
        group.stop()
        try await task.value
    }

    /// Whether `/ready` says so, and every component named is there.
    func isReady(_ components: [String] = ["kafka", "topics"]) async -> Bool {
        await eventually(within: .seconds(60)) {
            let answer = await send(.get, "/ready")
            guard answer.status == 200, case .object(let all) = answer["components"] else { return false }
            return components.allSatisfy { name in
                guard case .object(let state) = all[name] else { return false }
                return state["status"] == .string("ready")
            }
        }
    }

    func send(
        _ method: HTTPSendMethod, _ path: String, _ body: [UInt8] = [], headers: [(String, String)] = []
    ) async -> Answer {
        var lines = HeaderLines()
        for (name, value) in headers { lines.append(name, value) }
        guard let endpoint = try? Endpoint("http://127.0.0.1:\(port)\(path)") else {
            return Answer(status: 0, headers: [], text: "", failure: "no URL: \(path)")
        }
        let result = await client.send(method, to: endpoint, headers: lines, body: body)
        return Answer(
            status: result.status, headers: result.headers, text: String(decoding: result.body, as: UTF8.self),
            failure: result.failure.map { "\($0): \(result.message)" })
    }

    /// Posts an event.
    func post(
        _ body: String, token: String? = nil, headers: [(String, String)] = [], to path: String = "/events"
    ) async -> Answer {
        var headers = headers
        if !headers.contains(where: { $0.0 == "content-type" }) { headers.append(("content-type", "application/json")) }
        if let token { headers.append(("authorization", "Bearer \(token)")) }
        return await send(.post, path, Array(body.utf8), headers: headers)
    }

    /// The sum of a metric's samples whose line begins so.
    func metric(_ start: String) async -> Double {
        await send(.get, "/metrics").text.split(separator: "\n").filter { $0.hasPrefix(start) }
            .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0, +)
    }

    func token(
        tenant: String = "acme", scopes: [String] = ["events:write"], secret: String = secret, lifetime: Int64 = 600
    ) throws -> String {
        let now = clinux_realtime_ms() / 1_000
        let authority = TokenAuthority(
            issuer: "martlet", audience: "martlet-api", keys: [try .init(id: "1", secret: Array(secret.utf8))])
        return try authority.issue(
            TokenClaims(
                subject: "tester", tenant: tenant, scopes: scopes, issuedAt: now - 1_000, expiresAt: now + lifetime,
                id: "t"))
    }

    /// What topic `events` holds.
    func events() async throws -> [CopiedRecord] {
        let found = Mutex<[CopiedRecord]>([])
        var configuration = LogReaderConfiguration(kafka.configuration())
        configuration.fetchWaitMilliseconds = 10
        let reader = try await AsyncLogReader.start(configuration)
        for partition in 0..<Self.partitions {
            _ = try await reader.read(TopicPartition(Topics(prefix: prefix).events, partition), from: 0) { record in
                let copy = CopiedRecord(record)
                found.withLock { $0.append(copy) }
            }
        }
        await reader.close()
        return found.withLock { $0 }
    }
}

/// Runs `body` with a service that is ready.
func withIngestion(
    _ kafka: KafkaBroker, redis: RedisServer? = nil, _ change: [String: String] = [:],
    _ body: (IngestionFixture) async throws -> Void
) async throws {
    let fixture = try IngestionFixture(kafka, redis: redis, change)
    try fixture.start()
    do {
        guard await fixture.isReady(["kafka", "topics"] + (redis == nil ? [] : ["redis"])) else {
            throw ChildProcess.Failure(description: "not ready: \(await fixture.send(.get, "/ready").text)")
        }
        try await body(fixture)
    } catch {
        try? await fixture.stop()
        throw error
    }
    try await fixture.stop()
}

extension CopiedRecord {
    func text(_ header: String) -> String? { self.header(header).map { String(decoding: $0, as: UTF8.self) } }
    var body: String { String(decoding: value ?? [], as: UTF8.self) }
}
