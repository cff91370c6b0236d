import CLinux
import Kafka
import Logs
import Postgres
import Records
import Redis
import ServiceSupport

/// What a system is given to have before it is measured again.
struct Filling {
    private let configuration: Configuration
    private let logger = Logger(label: "bench", output: LogOutput(service: "bench") { _ in })

    init(_ system: BenchSystem) throws {
        configuration = try Configuration.load(environment: [
            "MARTLET_PROFILE": "development", "MARTLET_KAFKA_BROKERS": system.brokers,
            "MARTLET_REDIS_PORT": "\(system.port("Redis"))", "MARTLET_POSTGRES_PORT": "\(system.port("PostgreSQL"))",
        ])
    }

    /// A topic of as many partitions as the pipeline's. The in-memory broker makes its own when asked for.
    func makeTopic(_ name: String, isMemory: Bool) async throws {
        guard !isMemory else { return }
        let admin = try Admin(configuration.kafka.client("bench", logger: logger))
        let failures = try await admin.createTopics([NewTopic(name, partitions: configuration.kafka.partitions)])
        if let failure = failures[name] { throw failure }
    }

    // MARK: Retries

    /// Writes deliveries that are due in an hour to topic `retries`, as a dispatcher does.
    func retries(_ count: Int) async throws {
        let producer = try await AsyncProducer.start(configuration.producer("bench", logger: logger))
        let due = clinux_realtime_ms() + 3_600_000
        let value = [UInt8](repeating: UInt8(ascii: "x"), count: 450)
        for start in stride(from: 0, to: count, by: 10_000) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in start..<min(start + 10_000, count) {
                    group.addTask { try await put(number, due: due + Int64(number), value, producer) }
                }
                try await group.waitForAll()
            }
        }
        await producer.close()
    }

    private func put(_ number: Int, due: Int64, _ value: [UInt8], _ producer: AsyncProducer) async throws {
        let id = DeliveryID(random: UInt64.random(in: 0 ... .max), UInt64(number))
        var headers = RecordHeaders()
        headers.append(RecordHeader.delivery, id.description)
        headers.append(RecordHeader.webhook, "wh_1")
        headers.append(RecordHeader.generation, "1")
        headers.append(RecordHeader.due, "\(due)")
        try await producer.send(
            to: configuration.kafka.topics.retries, partition: Int32(number % configuration.kafka.partitions),
            key: Array(RetryKey.delivery(id, generation: 1).description.utf8), value: value, headers: headers)
    }

    /// Redis' `used_memory`.
    func redisBytes() async throws -> Int {
        let client = try RedisClient(configuration.redis.client("bench"))
        client.start()
        // It connects in the background.
        var text = ""
        for _ in 0..<100 where text.isEmpty {
            text = (try? await client.command("INFO", "memory").text) ?? ""
            if text.isEmpty { try await Task.sleep(for: .milliseconds(50)) }
        }
        await client.close()
        guard !text.isEmpty else { throw BenchError("Redis does not answer") }
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("used_memory:") }
        return line.flatMap { Int($0.dropFirst("used_memory:".count)) } ?? 0
    }

    // MARK: History

    /// Fills the hours before this one with copies of rows that are there, under other ids. Returns the bytes that the table has grown by.
    func history(hours: Int, rowsEach: Int) async throws -> Int {
        let pool = try PostgresPool(configuration.postgres.pool("bench"))
        pool.start()
        let now = clinux_realtime_ms() / 3_600_000
        let columns = try await columns(pool)
        let before = try await historyBytes(pool)
        for hour in (now - Int64(hours))..<now { try await fill(pool, hour, rowsEach, columns) }
        let after = try await historyBytes(pool)
        await pool.close()
        return after - before
    }

    private func historyBytes(_ pool: PostgresPool) async throws -> Int {
        let rows = try await pool.query(
            "SELECT sum(pg_total_relation_size(inhrelid))::bigint AS bytes FROM pg_inherits WHERE inhparent = 'observability.outcomes'::regclass"
        )
        return Int(try rows.first?.decode("bytes", as: Int64.self) ?? 0)
    }

    private func columns(_ pool: PostgresPool) async throws -> [String] {
        try await pool.query(
            """
            SELECT attname::text AS name FROM pg_attribute
            WHERE attrelid = 'observability.outcomes'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
            """
        ).map { try $0.decode("name", as: String.self) }
    }

    /// As observability makes an hour's table (`HourPartitions`); it seals it when it sees it.
    private func fill(_ pool: PostgresPool, _ hour: Int64, _ rows: Int, _ columns: [String]) async throws {
        let name = "outcomes_h\(hour)"
        let (from, to) = (hour * 3_600, (hour + 1) * 3_600)
        let values = columns.map { column in
            switch column {
            case "at": "to_timestamp(\(from) + random() * 3599)"
            case "event_key": "(random() * 9e18)::bigint"
            case "delivery": "gen_random_uuid()"
            default: column
            }
        }
        try await pool.query(
            "CREATE TABLE observability.\(name) (LIKE observability.outcomes INCLUDING CONSTRAINTS) WITH (autovacuum_enabled = off)"
        )
        try await pool.query(
            """
            INSERT INTO observability.\(name) (\(columns.joined(separator: ", ")))
            SELECT \(values.joined(separator: ", "))
            FROM (SELECT * FROM observability.outcomes ORDER BY at DESC LIMIT 10000) newest,
                generate_series(1, \(max(1, rows / 10_000)))
            """, timeoutMilliseconds: 600_000)
        try await pool.query(
            "CREATE INDEX \(name)_webhook ON observability.\(name) (webhook_key, at)", timeoutMilliseconds: 600_000)
        try await pool.query(
            "ALTER TABLE observability.outcomes ATTACH PARTITION observability.\(name) FOR VALUES FROM (to_timestamp(\(from))) TO (to_timestamp(\(to)))",
            timeoutMilliseconds: 600_000)
    }
}
