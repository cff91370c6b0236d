import CLinux
import Glibc
import Kafka
import Logs
import Records
import Redis
import ServiceSupport
import Settings
import TestSupport

/// Fills `retries` with deliveries that are due in an hour, starts a retry-manager of its own, and prints what the index costs:
/// seconds and CPU to build it, bytes of Redis an entry, memory of the process.
///
///     KAFKA_HOME=… swift run -c release bench-retry-index [deliveries, 1000000 unless given] [of them parked in a lane, 0]
@main struct Main {
    static func main() async throws {
        let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        let count = numbers.first ?? 1_000_000
        let parked = numbers.dropFirst().first ?? 0
        guard KafkaBroker.available.contains(.real) else {
            print("bench-retry-index: needs KAFKA_HOME, for the in-memory broker does not hold that much")
            exit(1)
        }
        let bench = try await RetryIndexBench()
        try await bench.fill(count, parked: parked)
        try await bench.measure(count)
    }
}

private struct RetryIndexBench {
    let redis: RedisServer
    let client: RedisClient
    let environment: [String: String]
    let configuration: Configuration
    let logger = Logger(label: "bench", output: LogOutput(service: "bench") { _ in })

    init() async throws {
        let broker = try await KafkaBroker.shared(.real)
        redis = try await RedisServer()
        environment = [
            "MARTLET_PROFILE": "development", "MARTLET_KAFKA_BROKERS": broker.bootstrapServers,
            "MARTLET_KAFKA_TOPIC_PREFIX": "bench.", "MARTLET_REDIS_PORT": "\(redis.port)",
            "MARTLET_RETRY_MANAGER_LISTEN": "127.0.0.1:\(freePort())",
        ]
        configuration = try Configuration.load(environment: environment)
        client = try RedisClient(configuration.redis.client("bench"))
        client.start()
        try await TopicKeeper(configuration, clientID: "bench", logger: logger).ensure()
    }

    func fill(_ count: Int, parked: Int) async throws {
        let producer = try await AsyncProducer.start(configuration.producer("bench", logger: logger))
        let due = clinux_realtime_ms() + 3_600_000
        let value = [UInt8](repeating: UInt8(ascii: "x"), count: 450)
        for start in stride(from: 0, to: count, by: 10_000) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in start..<min(start + 10_000, count) {
                    group.addTask { try await put(number, due, value, isParked: number < parked, producer) }
                }
                try await group.waitForAll()
            }
        }
        await producer.close()
        print(
            "\(count) deliveries of \(value.count) bytes, \(parked) of them parked, are in \(configuration.kafka.topics.retries)"
        )
    }

    private func put(
        _ number: Int, _ due: Int64, _ value: [UInt8], isParked: Bool, _ producer: AsyncProducer
    ) async throws {
        let id = DeliveryID(random: UInt64.random(in: 0 ... .max), UInt64(number))
        var headers = RecordHeaders()
        headers.append(RecordHeader.delivery, id.description)
        headers.append(RecordHeader.webhook, "wh_1")
        headers.append(RecordHeader.generation, "1")
        headers.append(RecordHeader.due, "\(due + Int64(number))")
        if isParked {
            headers.append(RecordHeader.lane, "wh_1")
            headers.append(RecordHeader.since, "\(due + Int64(number))")
        }
        try await producer.send(
            to: configuration.kafka.topics.retries, partition: Int32(number % configuration.kafka.partitions),
            key: Array(RetryKey.delivery(id, generation: 1).description.utf8), value: value, headers: headers)
    }

    func measure(_ count: Int) async throws {
        let before = try await usedMemory()
        let directory = try temporaryDirectory("bench")
        let start = ContinuousClock.now
        let manager = try ServerProcess(
            Executables.path("retry-manager"), [], log: "\(directory)/log", environment: environment)
        let isIndexed = await eventually(within: .seconds(600)) { (try? await pending()) == count }
        let seconds = ContinuousClock.now - start
        guard isIndexed else {
            print(
                "bench-retry-index: the index has \(try await pending()) of \(count): \(contents(of: manager.log).suffix(2_000))"
            )
            exit(1)
        }
        let bytes = Double(try await usedMemory() - before) / Double(count)
        let status = contents(of: "/proc/\(manager.pid)/status").split(separator: "\n")
        let resident = status.first { $0.hasPrefix("VmHWM") } ?? "VmHWM: unknown"
        print("indexed in \(seconds), \(cpuMicroseconds(manager.pid) / Double(count)) µs of CPU a record")
        print("Redis: \(bytes) bytes a pending retry; retry-manager: \(resident)")
        await manager.end()
        await client.close()
        await redis.remove()
        removeDirectory(directory)
    }

    private func pending() async throws -> Int {
        var sum = 0
        for partition in 0..<configuration.kafka.partitions {
            let reply = try await client.command("HLEN", .text("martlet:bench.{r\(partition)}:at"))
            sum += max(0, Int(reply.integerValue ?? 0) - 1)
        }
        return sum
    }

    private func usedMemory() async throws -> Int {
        let text = try await client.command("INFO", "memory").text ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("used_memory:") }
        return line.flatMap { Int($0.dropFirst("used_memory:".count)) } ?? 0
    }

    private func cpuMicroseconds(_ pid: Int32) -> Double {
        let fields = contents(of: "/proc/\(pid)/stat").split(separator: " ")
        let ticks = fields[13...14].reduce(0.0) { $0 + (Double($1) ?? 0) }
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK))) * 1e6
    }
}
