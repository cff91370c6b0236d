internal import ChildProcesses
internal import Glibc
internal import HTTPSending
internal import Kafka
internal import Logs
internal import Postgres
internal import ServiceSupport
internal import Settings

/// Starts and stops everything of one local system, in order: servers, migrations, services, each awaited.
actor LocalSystem {
    /// The services, in the order of their start, each with the port whose `/ready` is awaited.
    static var services: [(name: String, port: KeyPath<LocalPorts, UInt16>)] {
        [
            ("webhook-registry", \.registry), ("observability", \.observability), ("event-ingestion", \.ingestion),
            ("retry-manager", \.retryManager), ("webhook-dispatcher", \.dispatcher), ("api-gateway", \.gateway),
        ]
    }

    private let state: LocalState
    private let ports: LocalPorts
    private let executables: String
    private let progress: @Sendable (String) -> Void
    private var keepers: [Keeper] = []
    private var mock: MockCluster?
    private var environment: [String: String]

    /// - Parameters:
    ///   - executables: the folder that the services' programs lie in.
    ///   - progress: gets one line for each step.
    init(_ state: LocalState, ports: LocalPorts, executables: String, progress: @escaping @Sendable (String) -> Void) {
        self.state = state
        self.ports = ports
        self.executables = executables
        self.progress = progress
        environment = Self.environment(ports)
    }

    /// What the services are told beyond what the caller's own environment says.
    static func environment(_ ports: LocalPorts) -> [String: String] {
        func address(_ port: UInt16) -> String { "127.0.0.1:\(port)" }
        return [
            "MARTLET_PROFILE": "development", "MARTLET_GATEWAY_LISTEN": address(ports.gateway),
            "MARTLET_GATEWAY_REGISTRY": address(ports.registryGRPC),
            "MARTLET_GATEWAY_OBSERVABILITY": address(ports.observability),
            "MARTLET_GATEWAY_DISPATCHERS": address(ports.dispatcher),
            "MARTLET_REGISTRY_LISTEN": address(ports.registry),
            "MARTLET_REGISTRY_LISTEN_GRPC": address(ports.registryGRPC),
            "MARTLET_INGESTION_LISTEN": address(ports.ingestion),
            "MARTLET_DISPATCHER_LISTEN": address(ports.dispatcher),
            "MARTLET_RETRY_MANAGER_LISTEN": address(ports.retryManager),
            "MARTLET_OBSERVABILITY_LISTEN": address(ports.observability), "MARTLET_POSTGRES_HOST": "127.0.0.1",
            "MARTLET_POSTGRES_PORT": "\(ports.postgres)", "MARTLET_REDIS_HOST": "127.0.0.1",
            "MARTLET_REDIS_PORT": "\(ports.redis)",
        ]
    }

    /// The configuration that the services will have.
    private func configuration() throws(SupervisionError) -> Configuration {
        do {
            return try Configuration.load(
                environment: SettingsSources.processEnvironment().merging(environment) { $1 })
        } catch {
            throw SupervisionError("the configuration is wrong: \(error)")
        }
    }

    // MARK: Starting

    /// Starts everything; where a step fails, stops what has been started and throws one line about it. Cancelled, it does the same and
    /// throws `CancellationError`.
    func start() async throws {
        do {
            try await startAll()
        } catch {
            // In a task of its own: in a cancelled one nothing waits.
            await Task { await stop() }.value
            if Task.isCancelled { throw CancellationError() }
            throw error
        }
    }

    private func startAll() async throws {
        try Files.makeDirectory(state.directory)
        try Files.makeDirectory(state.logs)
        try state.writeStarting()
        for log in ["postgresql", "redis", "kafka"] + Self.services.map(\.name) { rotate(state.log(log)) }
        let kafka = try kafkaMode()
        try ports.check(without: kafka.usesOwnPorts ? [] : ["Kafka", "Kafka's controller"])
        try checkExecutables()
        let postgres = try LocalPostgres(state, port: ports.postgres)
        let redis = try LocalRedis.program(state, port: ports.redis)
        try await startPostgres(postgres)
        try await startRedis(redis)
        try await startKafka(kafka)
        try await step("migrations") { [self] in try await migrate() }
        for (name, path) in Self.services { try await startService(name, ports[keyPath: path]) }
        for keeper in keepers { keeper.watch() }
        try state.write(
            LocalState.Running(
                pid: getpid(), ports: ports, kafka: kafka.name, brokers: environment["MARTLET_KAFKA_BROKERS"] ?? "",
                logID: environment["MARTLET_KAFKA_LOG_ID"] ?? ""))
    }

    /// The last run's log stays beside the new one.
    private func rotate(_ log: String) {
        if Files.exists(log) { rename(log, log + ".1") }
    }

    private func checkExecutables() throws(SupervisionError) {
        for (name, _) in Self.services where !Files.isExecutable("\(executables)/\(name)") {
            throw SupervisionError("\(executables)/\(name) is missing: build it with make build")
        }
    }

    /// Carries a step out and says how long it took.
    private func step(_ name: String, _ body: () async throws -> Void) async throws {
        try Task.checkCancellation()
        let start = ContinuousClock.now
        try await body()
        let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
        progress("  ✓ \(name)\(String(repeating: " ", count: max(1, 22 - name.count)))\(milliseconds) ms")
    }

    private func startPostgres(_ postgres: LocalPostgres) async throws {
        let settings = try configuration().postgres
        try await step("PostgreSQL") { [self] in
            try await postgres.prepare(settings)
            let keeper = try await keep(postgres.program)
            try await named(keeper) { try await LocalPostgres.awaitDatabase(settings, while: { keeper.isAlive }) }
        }
    }

    private func startRedis(_ program: ChildProgram) async throws {
        let settings = try configuration().redis
        try await step("Redis") { [self] in
            let keeper = try await keep(program)
            try await named(keeper) { try await LocalRedis.awaitAnswer(settings, while: { keeper.isAlive }) }
        }
    }

    private func keep(_ program: ChildProgram) async throws -> Keeper {
        let keeper = try await Keeper(program, report: progress)
        keepers.append(keeper)
        return keeper
    }

    /// What went wrong, said by the program that died where one did.
    private func named(_ keeper: Keeper, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            if !keeper.isAlive { throw keeper.deathNotice }
            throw SupervisionError("\(keeper.program.name) does not become ready: \(error)")
        }
    }

    private func migrate() async throws {
        let pool = try PostgresPool(try configuration().postgres.pool("martlet-migrate"))
        pool.start()
        do {
            for migrator in SchemaMigrations.all { _ = try await migrator.migrate(pool) }
        } catch {
            await pool.close()
            throw SupervisionError("the migrations failed: \(error)")
        }
        await pool.close()
    }

    private func startService(_ name: String, _ port: UInt16) async throws {
        try await step(name) { [self] in
            let keeper = try await keep(
                ChildProgram(
                    name: name, executable: "\(executables)/\(name)", environment: environment, log: state.log(name)))
            try await named(keeper) { try await awaitReady(port, keeper) }
        }
    }

    private func awaitReady(_ port: UInt16, _ keeper: Keeper) async throws {
        let client = try HTTPClient()
        let endpoint = try Endpoint("http://127.0.0.1:\(port)/ready")
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            let answer = await client.send(.get, to: endpoint)
            if answer.status == 200 { return }
            guard keeper.isAlive, ContinuousClock.now < deadline else {
                throw SupervisionError(
                    answer.status == 0 ? "no answer from /ready" : String(decoding: answer.body, as: UTF8.self))
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    // MARK: Kafka

    private enum KafkaMode {
        case cluster(String)
        case distribution(home: String)
        case memory

        var usesOwnPorts: Bool { if case .distribution = self { true } else { false } }

        var name: String {
            switch self {
            case .cluster: "cluster"
            case .distribution: "real"
            case .memory: "memory"
            }
        }
    }

    /// The cluster that the configuration names, else the distribution in `KAFKA_HOME`, else none of its own.
    private func kafkaMode() throws(SupervisionError) -> KafkaMode {
        let setting = try configuration().effective.first { $0.path == "kafka.brokers" }
        if let setting, setting.value != setting.defaultValue { return .cluster(setting.value) }
        let home = getenv("KAFKA_HOME").map { String(cString: $0) } ?? ""
        return home.isEmpty ? .memory : .distribution(home: home)
    }

    private func startKafka(_ mode: KafkaMode) async throws {
        switch mode {
        case .cluster(let brokers):
            let client = try configuration().kafka.client("martlet", logger: .init(label: "martlet"))
            try await step("Kafka at \(brokers)") {
                do { try await LocalKafka.awaitAnswer(client, while: { true }) } catch {
                    throw SupervisionError("the configured Kafka at \(brokers) does not answer: \(error)")
                }
            }
        case .distribution(let home):
            let kafka = try LocalKafka(state, home: home, ports: ports)
            environment["MARTLET_KAFKA_BROKERS"] = "127.0.0.1:\(ports.kafka)"
            let client = try configuration().kafka.client("martlet", logger: .init(label: "martlet"))
            try await step("Kafka") { [self] in
                try await kafka.prepare()
                let keeper = try await keep(kafka.program)
                try await named(keeper) { try await LocalKafka.awaitAnswer(client, while: { keeper.isAlive }) }
            }
        case .memory: try await startMemoryBroker()
        }
    }

    /// Hosted in this process. It has no Admin API, so its host makes the topics, and it is a new log at each start, so its host names it.
    private func startMemoryBroker() async throws {
        try await step("Kafka, in memory") { [self] in
            let cluster = try MockCluster()
            environment["MARTLET_KAFKA_BROKERS"] = cluster.bootstrapServers
            environment["MARTLET_KAFKA_LOG_ID"] = "memory-\(getpid())-\(time(nil))"
            let kafka = try configuration().kafka
            for topic in kafka.topics.all { try cluster.createTopic(topic, partitions: kafka.partitions) }
            mock = cluster
        }
        progress(
            "    Warning: this is librdkafka's in-memory broker. It keeps nothing when it stops, and the oldest records go when a partition"
                + " holds about 5 MiB. Set KAFKA_HOME to an Apache Kafka distribution for a real one.")
    }

    // MARK: Stopping

    /// In reverse order, each within its time.
    func stop() async {
        state.forget()
        for keeper in keepers.reversed() {
            await keeper.stop(within: keeper.program.name == "webhook-dispatcher" ? .seconds(45) : .seconds(15))
        }
        keepers = []
        mock = nil
    }
}
