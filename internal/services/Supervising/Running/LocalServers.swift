internal import ChildProcesses
internal import Glibc
internal import Kafka
internal import Redis
internal import ServiceSupport

/// A Redis from the system's packages that keeps its data: ids and, later, the retry index survive a restart.
enum LocalRedis {
    static func program(_ state: LocalState, port: UInt16) throws(SupervisionError) -> ChildProgram {
        guard let executable = Files.program("redis-server") else {
            throw SupervisionError("redis-server is not installed: apt-get install redis-server")
        }
        let data = "\(state.directory)/redis"
        try Files.makeDirectory(data)
        return ChildProgram(
            name: "Redis", executable: executable,
            arguments: [
                "--bind", "127.0.0.1", "--port", "\(port)", "--dir", data, "--appendonly", "yes", "--appendfsync",
                "everysec", "--save", "",
                "--maxmemory-policy", "noeviction", "--daemonize", "no",
            ], log: state.log("redis"))
    }

    static func awaitAnswer(_ settings: RedisSettings, while isAlive: @Sendable () -> Bool) async throws {
        let client = try RedisClient(settings.client("martlet"))
        client.start()
        let deadline = ContinuousClock.now + .seconds(30)
        while (try? await client.command("PING")) == nil {
            guard isAlive(), ContinuousClock.now < deadline else {
                await client.close()
                throw SupervisionError("Redis does not answer")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        await client.close()
    }
}

/// A Kafka distribution's broker in KRaft mode, started by its own scripts.
struct LocalKafka {
    let program: ChildProgram
    private let format: ChildProgram
    private let data: String

    init(_ state: LocalState, home: String, ports: LocalPorts) throws(SupervisionError) {
        let start = "\(home)/bin/kafka-server-start.sh"
        guard Files.isExecutable(start) else {
            throw SupervisionError(
                "KAFKA_HOME is \(home), which has no bin/kafka-server-start.sh: point it to an Apache Kafka distribution"
            )
        }
        guard Files.program("java") != nil else {
            throw SupervisionError("Kafka needs Java 17 or newer: apt-get install openjdk-17-jre-headless")
        }
        let folder = "\(state.directory)/kafka"
        data = "\(folder)/data"
        try Files.makeDirectory(data)
        let properties = "\(folder)/server.properties"
        try Files.write(Self.properties(data: data, ports: ports), to: properties)
        let environment = ["KAFKA_HEAP_OPTS": "-Xms192m -Xmx512m", "LOG_DIR": "\(folder)/logs"]
        let log = state.log("kafka")
        program = ChildProgram(
            name: "Kafka", executable: start, arguments: [properties], environment: environment, log: log)
        format = ChildProgram(
            name: "kafka-storage.sh", executable: "\(home)/bin/kafka-storage.sh",
            arguments: ["format", "--standalone", "-t", Self.clusterID(), "-c", properties], environment: environment,
            log: log)
    }

    /// Formats the storage, the first time.
    func prepare() async throws(SupervisionError) {
        guard !Files.exists("\(data)/meta.properties") else { return }
        let reason = try await starting { () throws(ChildError) in try await Child.run(format) }
        guard reason == "exit code 0" else {
            throw SupervisionError("Kafka's storage cannot be formatted (\(reason)): \(Files.tail(format.log))")
        }
    }

    static func awaitAnswer(_ client: KafkaConfiguration, while isAlive: @Sendable () -> Bool) async throws {
        let admin = try Admin(client, timeoutMilliseconds: 2_000)
        let deadline = ContinuousClock.now + .seconds(90)
        while true {
            do {
                if try await admin.brokerCount() > 0 { return }
            } catch {
                guard isAlive(), ContinuousClock.now < deadline else { throw error }
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// 16 random bytes in base64 for URLs, as Kafka writes its UUIDs; not one that begins like an option.
    private static func clusterID() -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        return "M" + String((0..<20).map { _ in letters.randomElement() ?? "A" }) + "A"
    }

    private static func properties(data: String, ports: LocalPorts) -> String {
        """
        process.roles=broker,controller
        node.id=1
        controller.quorum.bootstrap.servers=127.0.0.1:\(ports.kafkaController)
        controller.listener.names=CONTROLLER
        listeners=PLAINTEXT://127.0.0.1:\(ports.kafka),CONTROLLER://127.0.0.1:\(ports.kafkaController)
        advertised.listeners=PLAINTEXT://127.0.0.1:\(ports.kafka),CONTROLLER://127.0.0.1:\(ports.kafkaController)
        log.dirs=\(data)
        auto.create.topics.enable=false
        offsets.topic.num.partitions=4
        offsets.topic.replication.factor=1
        transaction.state.log.num.partitions=4
        transaction.state.log.replication.factor=1
        transaction.state.log.min.isr=1
        share.coordinator.state.topic.num.partitions=1
        share.coordinator.state.topic.replication.factor=1
        share.coordinator.state.topic.min.isr=1
        group.initial.rebalance.delay.ms=0
        num.network.threads=2
        num.io.threads=4

        """
    }
}
