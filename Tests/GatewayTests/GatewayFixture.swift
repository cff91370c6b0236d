import CLinux
import HTTPSending
import HTTPServing
import JSONScanning
import Kafka
import LifeCycle
import Logs
import Observing
import Postgres
import Registry
import ServiceSupport
import Synchronization
import TestSupport
import Tokens

@testable import Gateway

/// An answer of the API.
struct Answer {
    var status: Int
    var headers: [HTTPSendHeader]
    var text: String

    func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    private var object: JSONObject {
        guard case .object(let object) = try? JSONValue(parsing: Array(text.utf8)) else { return JSONObject() }
        return object
    }

    subscript(name: String) -> JSONValue? { object[name] }
    func string(_ name: String) -> String? {
        guard case .string(let text) = object[name] else { return nil }
        return text
    }

    /// The objects of a list.
    var data: [JSONObject] {
        guard case .array(let elements) = object["data"] else { return [] }
        return elements.compactMap { if case .object(let object) = $0 { object } else { nil } }
    }

    /// Of a problem: its status, code and field.
    var problem: String {
        let isProblem = header("content-type") == "application/problem+json"
        return isProblem ? "\(status) \(string("code") ?? "") \(string("field") ?? "-")" : "\(status) \(text)"
    }
}

/// A gateway in this process, with a database and topics of its own, and unless told otherwise a registry.
final class GatewayFixture: Sendable {
    static let token = "a token of 32 bytes for the tests"
    static let secret = "a secret of 32 bytes for the tests"

    let server: PostgresServer
    let pool: PostgresPool
    let kafka: KafkaBroker
    let prefix: String
    let port: UInt16
    let registryPort: UInt16
    let history: HistoryStandIn
    let configuration: Configuration
    let environment: [String: String]
    private let client: HTTPClient
    private let groups: [(group: ServiceGroup, task: Task<Void, any Error>)]

    /// - Parameters:
    ///   - change: of the environment.
    ///   - observes: Whether there is a real observability instead of the stand-in.
    init(
        _ change: [String: String] = [:], server: PostgresServer? = nil, kafka broker: KafkaBroker? = nil,
        hasRegistry: Bool = true, observes: Bool = false
    ) async throws {
        if let server { self.server = server } else { self.server = try await .shared() }
        if let broker { kafka = broker } else { kafka = try await .shared() }
        prefix = KafkaBroker.uniqueName("gateway") + "."
        (port, registryPort) = (freePort(), freePort())
        history = try await HistoryStandIn(token: Self.token)
        client = try HTTPClient()
        var postgres = PostgresConfiguration()
        postgres.host = self.server.host
        postgres.port = self.server.port
        postgres.user = self.server.user
        postgres.password = self.server.password
        postgres.database = try await self.server.makeDatabase()
        pool = try PostgresPool(postgres)
        for schema in ["gateway", "observability", "registry"] { try await SchemaMigrations.of(schema).migrate(pool) }
        for topic in Topics(prefix: prefix).all { try kafka.mock?.createTopic(topic, partitions: 2) }
        let observability = observes ? freePort() : history.port
        environment = [
            "MARTLET_PROFILE": "development", "MARTLET_LOG_LEVEL": "error", "MARTLET_INTERNAL_TOKEN": Self.token,
            "MARTLET_AUTH_SECRET": Self.secret,
            "MARTLET_KAFKA_BROKERS": kafka.bootstrapServers, "MARTLET_KAFKA_TOPIC_PREFIX": prefix,
            "MARTLET_KAFKA_PARTITIONS": "2", "MARTLET_KAFKA_LOG_ID": kafka.kind == .inMemory ? "memory" : "",
            "MARTLET_POSTGRES_HOST": postgres.host, "MARTLET_POSTGRES_PORT": "\(postgres.port)",
            "MARTLET_POSTGRES_USER": postgres.user, "MARTLET_POSTGRES_PASSWORD": self.server.password,
            "MARTLET_POSTGRES_DATABASE": postgres.database, "MARTLET_REDIS_PORT": "\(freePort())",
            "MARTLET_REGISTRY_LISTEN": "127.0.0.1:\(freePort())",
            "MARTLET_REGISTRY_LISTEN_GRPC": "127.0.0.1:\(registryPort)",
            "MARTLET_GATEWAY_LISTEN": "127.0.0.1:\(port)", "MARTLET_GATEWAY_REGISTRY": "127.0.0.1:\(registryPort)",
            "MARTLET_GATEWAY_OBSERVABILITY": "127.0.0.1:\(observability)",
            "MARTLET_OBSERVABILITY_LISTEN": "127.0.0.1:\(observability)",
        ].merging(change) { $1 }
        configuration = try Configuration.load(environment: environment)
        let quiet = Self.context("test", configuration).logger
        var groups: [(group: ServiceGroup, task: Task<Void, any Error>)] = []
        if hasRegistry {
            groups.append(Self.start(try Registry.services(Self.context("registry", configuration)), quiet))
        }
        if observes {
            groups.append(
                Self.start(try ObservabilityService.services(Self.context("observability", configuration)), quiet))
        }
        groups.append(Self.start(try Gateway.services(Self.context("api-gateway", configuration)), quiet))
        self.groups = groups
    }

    private static func context(_ name: String, _ configuration: Configuration) -> ServiceContext {
        let output = LogOutput(service: name, level: .critical)
        return ServiceContext(
            name: name, configuration: configuration, logger: Logger(label: name, output: output))
    }

    private static func start(_ services: [any Service], _ logger: Logger) -> (ServiceGroup, Task<Void, any Error>) {
        let group = ServiceGroup(services: services, logger: logger)
        return (group, Task { try await group.run() })
    }

    /// Whether `/ready` says so, and every component named is there.
    func isReady(_ components: [String]) async -> Bool {
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
        _ method: HTTPSendMethod, _ path: String, _ body: String? = nil, token: String? = nil,
        headers: [String: String] = [:]
    ) async -> Answer {
        var lines = HeaderLines()
        if body != nil, headers["content-type"] == nil { lines.append("content-type", "application/json") }
        if let token { lines.append("authorization", "Bearer \(token)") }
        for (name, value) in headers { lines.append(name, value) }
        guard let endpoint = try? Endpoint("http://127.0.0.1:\(port)\(path)") else {
            return Answer(status: 0, headers: [], text: "no URL: \(path)")
        }
        let result = await client.send(method, to: endpoint, headers: lines, body: Array((body ?? "").utf8))
        return Answer(
            status: result.status, headers: result.headers, text: String(decoding: result.body, as: UTF8.self))
    }

    /// A token as the gateway issues them, or one with something wrong.
    func token(
        tenant: String = "acme", scopes: [Scope] = Scope.allCases, issuer: String = "martlet",
        audience: String = "martlet-api", secret: String = secret, lifetime: Int64 = 600
    ) throws -> String {
        let now = clinux_realtime_ms() / 1_000
        let authority = TokenAuthority(
            issuer: issuer, audience: audience, keys: [try .init(id: "1", secret: Array(secret.utf8))])
        return try authority.issue(
            TokenClaims(
                subject: "tester", tenant: tenant, scopes: scopes.map(\.rawValue), issuedAt: now - 1_000,
                expiresAt: now + lifetime, id: "t"))
    }

    var topics: Topics { Topics(prefix: prefix) }

    /// What topic `events` holds.
    func events() async throws -> [CopiedRecord] { try await records(of: topics.events) }

    /// What a topic holds, partition by partition.
    func records(of topic: String) async throws -> [CopiedRecord] {
        let found = Mutex<[CopiedRecord]>([])
        let reader = try await AsyncLogReader.start(
            LogReaderConfiguration(kafka.configuration(properties: ["fetch.wait.max.ms": "10"])))
        for partition in 0..<Int32(2) {
            _ = try await reader.read(TopicPartition(topic, partition), from: 0) { record in
                let copy = CopiedRecord(record)
                found.withLock { $0.append(copy) }
            }
        }
        await reader.close()
        return found.withLock { $0 }
    }

    /// Stops everything as SIGTERM would; throws where something does not end well.
    func stop() async throws {
        for (group, task) in groups.reversed() {
            group.stop()
            try await task.value
        }
        await history.stop()
        await pool.close()
    }
}

/// Runs `body` with a gateway that has what it names.
func withGateway(
    _ change: [String: String] = [:], server: PostgresServer? = nil, kafka: KafkaBroker? = nil,
    hasRegistry: Bool = true, observes: Bool = false,
    needs components: [String] = ["postgres", "kafka", "observability"],
    _ body: (GatewayFixture) async throws -> Void
) async throws {
    let gateway = try await GatewayFixture(
        change, server: server, kafka: kafka, hasRegistry: hasRegistry, observes: observes)
    guard await gateway.isReady(components + (hasRegistry ? ["registry"] : [])) else {
        let state = await gateway.send(.get, "/ready").text
        try? await gateway.stop()
        throw ChildProcess.Failure(description: "the gateway is not ready: \(state)")
    }
    do {
        try await body(gateway)
    } catch {
        try? await gateway.stop()
        throw error
    }
    try await gateway.stop()
}

/// In observability's place: answers what it is told to, and remembers what it was asked.
final class HistoryStandIn: Sendable {
    struct Question: Equatable, Sendable {
        var path: String
        var query: String
    }

    let port: UInt16
    private let server: HTTPServer
    private let state: State

    private final class State: Sendable {
        let questions = Mutex<[Question]>([])
        let answer = Mutex(HTTPResponse.json(Array(#"{"answer":1}"#.utf8)))
    }

    init(token: String) async throws {
        let state = State()
        self.state = state
        let routes = [
            HTTPRoute("GET", "/health") { _ in .text("ok") },
            HTTPRoute("GET", "/internal/v1/{rest...}") { request in
                guard request.header("authorization") == "Bearer \(token)" else { return HTTPResponse(status: 401) }
                state.questions.withLock {
                    $0.append(Question(path: request.path, query: request.query ?? ""))
                }
                return state.answer.withLock { $0 }
            },
        ]
        server = HTTPServer(HTTPServerConfiguration(), routes: routes)
        port = try await server.start()
    }

    var questions: [Question] { state.questions.withLock { $0 } }
    func answer(_ response: HTTPResponse) { state.answer.withLock { $0 = response } }
    func stop() async { await server.stop(withinMilliseconds: 0) }
}
