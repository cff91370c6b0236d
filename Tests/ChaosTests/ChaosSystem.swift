import Glibc
import HTTPSending
import JSONScanning
import Kafka
import ServiceSupport
import Synchronization
import TestSupport

/// All of Martlet on servers of its own, each of which can be killed, frozen and started again. PostgreSQL and Redis lie behind fault
/// proxies. Used by one test at a time.
final class ChaosSystem: @unchecked Sendable {
    enum Service: String, CaseIterable, Sendable {
        case registry = "webhook-registry", observability, ingestion = "event-ingestion", retryManager = "retry-manager"
        case dispatcher = "webhook-dispatcher", gateway = "api-gateway"

        var listenSetting: String {
            switch self {
            case .registry: "MARTLET_REGISTRY_LISTEN"
            case .observability: "MARTLET_OBSERVABILITY_LISTEN"
            case .ingestion: "MARTLET_INGESTION_LISTEN"
            case .retryManager: "MARTLET_RETRY_MANAGER_LISTEN"
            case .dispatcher: "MARTLET_DISPATCHER_LISTEN"
            case .gateway: "MARTLET_GATEWAY_LISTEN"
            }
        }
    }

    /// Requests under way in a dispatcher at most: what its crash may repeat.
    static let inFlight = 128
    /// What a crash of a retry-manager may fire again.
    static let batch = 64

    let kafka: KafkaBroker
    let redis: RedisServer
    let postgres: PostgresServer
    /// PostgreSQL's, where the process may mount one.
    let disk: SmallDisk?
    /// The dispatcher's, where the process may give it one.
    let names: HostileNames?
    let redisProxy: FaultProxy
    let postgresProxy: FaultProxy
    let environment: [String: String]
    let configuration: Configuration
    private let directory: String
    private var ports: [Service: UInt16] = [:]
    private var running: [Service: ServerProcess] = [:]
    private let client: HTTPClient
    private var token = ""

    /// - Parameters:
    ///   - memoryBrokers: That many in-memory brokers; nil: a real Kafka where there is one, else one in-memory broker.
    ///   - settings: Instead of those below.
    init(memoryBrokers: Int? = nil, settings: [String: String] = [:]) async throws {
        let kind = memoryBrokers == nil ? KafkaBroker.available.last ?? .inMemory : .inMemory
        kafka = try await kind == .real ? KafkaBroker.ownReal() : KafkaBroker.ownInMemory(brokers: memoryBrokers ?? 1)
        redis = try await RedisServer()
        disk = try? await SmallDisk(mebibytes: 512)
        postgres = try await PostgresServer(on: disk)
        names = disk == nil ? nil : try? HostileNames()
        redisProxy = try FaultProxy(to: redis.port)
        postgresProxy = try FaultProxy(to: postgres.port)
        directory = try temporaryDirectory("chaos")
        client = try HTTPClient()
        var environment = [
            "MARTLET_PROFILE": "development", "MARTLET_KAFKA_BROKERS": kafka.bootstrapServers,
            "MARTLET_KAFKA_LOG_ID": kind == .real ? "" : "memory-chaos", "MARTLET_KAFKA_PARTITIONS": "4",
            "MARTLET_POSTGRES_HOST": "127.0.0.1", "MARTLET_POSTGRES_PORT": "\(postgresProxy.port)",
            "MARTLET_POSTGRES_USER": postgres.user, "MARTLET_POSTGRES_PASSWORD": postgres.password,
            "MARTLET_POSTGRES_DATABASE": try await postgres.makeDatabase(), "MARTLET_REDIS_HOST": "127.0.0.1",
            "MARTLET_REDIS_PORT": "\(redisProxy.port)", "MARTLET_RETRY_INITIAL_DELAY": "500ms",
            "MARTLET_RETRY_MAX_DELAY": "2s", "MARTLET_RETRY_MAX_RETRIES": "50",
            "MARTLET_DISPATCHER_MAX_IN_FLIGHT": "\(Self.inFlight)", "MARTLET_RETRY_MANAGER_BATCH": "\(Self.batch)",
            "MARTLET_RETRY_MANAGER_LEASE": "5s",
        ]
        if let names { environment["MARTLET_ENDPOINTS_ALLOWED_PORTS"] = "\(names.server.port)" }
        for service in Service.allCases {
            ports[service] = freePort()
            environment[service.listenSetting] = "127.0.0.1:\(ports[service] ?? 0)"
        }
        let grpc = "127.0.0.1:\(freePort())"
        environment["MARTLET_REGISTRY_LISTEN_GRPC"] = grpc
        environment["MARTLET_GATEWAY_REGISTRY"] = grpc
        environment["MARTLET_GATEWAY_OBSERVABILITY"] = environment[Service.observability.listenSetting]
        environment.merge(settings) { $1 }
        self.environment = environment
        configuration = try Configuration.load(environment: environment)
        let migration = try ChildProcess(Executables.path("martlet"), ["migrate"], environment: environment)
        guard try await migration.exit(within: .seconds(60)) == 0 else {
            throw ChildProcess.Failure(description: "martlet migrate: \(migration.errors)")
        }
        for service in Service.allCases { try await start(service) }
        try await logIn()
    }

    // MARK: Processes

    func process(_ service: Service) -> ServerProcess? { running[service] }

    /// Starts a service (again) and waits until it is ready.
    func start(_ service: Service, awaitsReady: Bool = true) async throws {
        var command = [Executables.path(service.rawValue)]
        if service == .dispatcher, let names {
            // In a mount namespace of its own, whose resolv.conf names the stub.
            try write(names.resolver.configuration, to: "\(directory)/resolv.conf")
            let script = "mount --bind \(directory)/resolv.conf /etc/resolv.conf && exec \(command[0])"
            command = ["unshare", "--mount", "sh", "-c", script]
        }
        running[service] = try await ServerProcess(
            command[0], Array(command.dropFirst()), log: log(service), environment: environment)
        if awaitsReady { try await awaitReady(service) }
    }

    /// One more of a service, on a port of its own; the caller ends it.
    func startAnother(_ service: Service) async throws -> ServerProcess {
        try await ServerProcess(
            Executables.path(service.rawValue), [], log: "\(directory)/another-\(service.rawValue).log",
            environment: environment.merging([service.listenSetting: "127.0.0.1:\(freePort())"]) { $1 })
    }

    /// As a crash, or with SIGTERM as a deployment, and started again.
    func restart(_ service: Service, _ signal: Int32 = SIGKILL) async throws {
        await running[service]?.end(signal)
        try await start(service)
    }

    func awaitReady(_ service: Service) async throws {
        let isReady = await eventually(within: .seconds(60)) {
            (try? await self.call(.get, service, "/ready"))?.status == 200
        }
        guard isReady else {
            throw ChildProcess.Failure(
                description: "\(service.rawValue) is not ready: \(contents(of: log(service)).suffix(3_000))")
        }
    }

    /// Returns once a service has counted something since its start.
    func awaitCount(of metric: String, _ service: Service) async throws {
        let counts = await eventually(within: .seconds(60)) {
            ((try? await self.metric(metric, service)) ?? 0) > 0
        }
        if !counts { throw ChaosFinding(description: "\(service.rawValue) does not count \(metric)") }
    }

    /// How often a service has said something.
    func logged(_ text: String, by service: Service) -> Int {
        contents(of: log(service)).split(separator: "\n").count { $0.contains(text) }
    }

    private func log(_ service: Service) -> String { "\(directory)/\(service.rawValue).log" }

    func metric(_ name: String, _ service: Service) async throws -> Double? {
        let text = String(decoding: try await call(.get, service, "/metrics").body, as: UTF8.self)
        return text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
            .flatMap { Double($0.dropFirst(name.utf8.count + 1)) }
    }

    func audit() async throws -> (status: Int32, report: String) {
        let process = try ChildProcess(Executables.path("martlet"), ["audit"], environment: environment)
        let status = try await process.exit(within: .seconds(60))
        return (status, process.output + process.errors)
    }

    func close() async {
        for process in running.values { await process.end(SIGKILL) }
        await redis.remove()
        await postgres.remove()
        await kafka.remove()
        removeDirectory(directory)
    }

    // MARK: HTTP

    @discardableResult
    func call(
        _ method: HTTPSendMethod, _ service: Service, _ path: String, json body: String? = nil, timeoutMs: Int = 10_000
    ) async throws -> HTTPSendResult {
        var headers = HeaderLines()
        if service == .gateway, !token.isEmpty { headers.append("authorization", "Bearer \(token)") }
        if body != nil { headers.append("content-type", "application/json") }
        return await client.send(
            method, to: try Endpoint("http://127.0.0.1:\(ports[service] ?? 0)\(path)"), headers: headers,
            body: Array((body ?? "").utf8), timeoutMilliseconds: timeoutMs)
    }

    private func json(_ result: HTTPSendResult, _ what: String, _ status: Int) throws -> JSONValue {
        guard result.status == status, let json = try? JSONValue(parsing: result.body) else {
            throw ChildProcess.Failure(
                description:
                    "\(what): \(result.status) \(result.message) \(String(decoding: result.body, as: UTF8.self))")
        }
        return json
    }

    private func logIn() async throws {
        let answer = try await call(
            .post, .gateway, "/auth/login", json: #"{"username":"admin","password":"password"}"#)
        token = try json(answer, "logging in", 200)["token"]?.text ?? ""
    }

    /// Returns the webhook's id once the dispatcher knows it.
    func makeWebhook(url: String, type: String) async throws -> String {
        let known = try await metric("webhook_table_webhooks", .dispatcher) ?? 0
        let answer = try await call(
            .post, .gateway, "/api/v1/webhooks", json: #"{"url":"\#(url)","event_types":["\#(type)"]}"#)
        guard let id = try json(answer, "making a webhook", 201)["id"]?.text else {
            throw ChildProcess.Failure(description: "a webhook has no id")
        }
        let isKnown = await eventually(within: .seconds(20)) {
            (try? await self.metric("webhook_table_webhooks", .dispatcher)) == known + 1
        }
        guard isKnown else { throw ChildProcess.Failure(description: "the dispatcher does not learn of a webhook") }
        return id
    }

    func get(_ path: String) async throws -> JSONValue {
        try json(try await call(.get, .gateway, path), path, 200)
    }
}
