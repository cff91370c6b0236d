internal import Postgres

/// The partitions of table `outcomes`, one for each hour: made on demand, sealed, dropped.
///
/// An actor for the set of hours known to exist: one that another instance dropped is noticed when storing fails.
actor HourPartitions {
    /// One partition, as the database has it.
    struct Partition: Sendable {
        var hour: Int64
        var bytes: Int64
        var isSealed: Bool
    }

    private let pool: PostgresPool
    private var known: Set<Int64> = []
    /// When each hour was last asked for, in milliseconds since 1970.
    private var lastUse: [Int64: Int64] = [:]
    private let clock: @Sendable () -> Int64

    /// - Parameter clock: Milliseconds since 1970.
    init(_ pool: PostgresPool, clock: @escaping @Sendable () -> Int64) {
        self.pool = pool
        self.clock = clock
    }

    private static let prefix = "outcomes_h"
    /// Every instance takes it to create, and to look after, partitions.
    private static let lock = "hashtextextended('martlet observability partitions', 0)"

    /// The hour's table, schema included.
    static func table(_ hour: Int64) -> String { "observability.\(prefix)\(hour)" }

    /// Makes the tables of these hours (since 1970) that do not exist. Throws `PostgresError`.
    func ensure(_ hours: Set<Int64>) async throws {
        let now = clock()
        for hour in hours { lastUse[hour] = now }
        for hour in hours.subtracting(known).sorted() {
            try await create(hour)
            known.insert(hour)
        }
    }

    func forget(_ hours: Set<Int64>) { known.subtract(hours) }

    private func create(_ hour: Int64) async throws {
        let table = Self.table(hour)
        let name = "\(Self.prefix)\(hour)"
        let (from, to) = (hour * 3_600, (hour + 1) * 3_600)
        try await pool.transaction { transaction in
            try await transaction.query("SELECT pg_advisory_xact_lock(\(Self.lock))")
            let exists = try await transaction.query("SELECT to_regclass($1) IS NOT NULL AS exists", [.text(table)])
            guard try exists.first?.decode("exists", as: Bool.self) == false else { return }
            // Made by itself and attached then, because `PARTITION OF` would lock out every reader. Autovacuum has nothing to do in a
            // table that is only appended to and soon dropped.
            try await transaction.execute(
                script: """
                    CREATE TABLE \(table) (LIKE observability.outcomes INCLUDING CONSTRAINTS)
                        WITH (autovacuum_enabled = off);
                    CREATE INDEX \(name)_webhook ON \(table) (webhook_key, at);
                    CREATE INDEX \(name)_bloom ON \(table) USING brin (
                        event_key int8_bloom_ops (n_distinct_per_range = 1200, false_positive_rate = 0.01),
                        delivery uuid_bloom_ops (n_distinct_per_range = 1200, false_positive_rate = 0.01))
                        WITH (pages_per_range = 32);
                    ALTER TABLE observability.outcomes ATTACH PARTITION \(table)
                        FOR VALUES FROM (to_timestamp(\(from))) TO (to_timestamp(\(to)));
                    """)
        }
    }

    // MARK: Upkeep

    /// All partitions, oldest first.
    func all() async throws -> [Partition] {
        let rows = try await pool.query(
            """
            SELECT substr(table_.relname, \(Self.prefix.utf8.count + 1))::bigint AS hour,
                pg_total_relation_size(table_.oid) AS bytes,
                count(index_.oid) FILTER (WHERE index_.relname LIKE '%\\_delivery' AND pg_index.indisvalid) > 0 AS sealed
            FROM pg_inherits JOIN pg_class table_ ON table_.oid = inhrelid
            LEFT JOIN pg_index ON pg_index.indrelid = table_.oid
            LEFT JOIN pg_class index_ ON index_.oid = pg_index.indexrelid
            WHERE inhparent = 'observability.outcomes'::regclass
            GROUP BY table_.oid, table_.relname ORDER BY 1
            """)
        return try rows.map {
            Partition(
                hour: try $0.decode("hour"), bytes: try $0.decode("bytes"), isSealed: try $0.decode("sealed"))
        }
    }

    /// Which partitions go: those that ended before the retention, and the oldest as long as the rest is too large. Never the present hour or
    /// a later one.
    static func surplus(
        _ partitions: [Partition], nowMs: Int64, retentionMs: Int64, maxSizeBytes: Int64
    ) -> [Partition] {
        let present = HistoryRows.hour(of: nowMs)
        var rest = partitions.reduce(0) { $0 + $1.bytes }
        return partitions.sorted { $0.hour < $1.hour }.filter { partition in
            let end = (partition.hour + 1) * HistoryRows.hourMs
            guard partition.hour < present, end <= nowMs - retentionMs || rest > maxSizeBytes else { return false }
            rest -= partition.bytes
            return true
        }
    }

    /// Drops a partition. Gives up, to be tried again, where readers hold it for long: whoever queues behind a waiting
    /// drop waits too.
    func drop(_ hour: Int64) async throws {
        try await pool.transaction { transaction in
            try await transaction.query("SET LOCAL lock_timeout = '2s'")
            try await transaction.query("DROP TABLE IF EXISTS \(Self.table(hour))")
        }
        known.remove(hour)
        lastUse[hour] = nil
    }

    /// Lets an hour's Bloom filters cover what was stored since the last time.
    func summarize(_ hour: Int64) async throws {
        try await pool.query(
            "SELECT brin_summarize_new_values($1::regclass)", [.text("\(Self.table(hour))_bloom")],
            timeoutMilliseconds: 60_000)
    }

    /// Whether the hour is over and nothing was stored in it for `quietMs`.
    func isQuiet(_ hour: Int64, quietMs: Int64) -> Bool {
        let now = clock()
        return (hour + 1) * HistoryRows.hourMs + quietMs <= now && (lastUse[hour] ?? 0) + quietMs <= now
    }

    /// Builds an hour's final indexes beside whatever reads and writes there, and drops the one that they replace.
    func seal(_ hour: Int64) async throws {
        let table = Self.table(hour)
        let name = "\(Self.prefix)\(hour)"
        let limit: UInt64 = 3_600_000
        for (suffix, column) in [("event", "event_key"), ("delivery", "delivery")] {
            // What an interrupted build leaves behind is invalid.
            try await pool.query("DROP INDEX CONCURRENTLY IF EXISTS observability.\(name)_\(suffix)")
            try await pool.query(
                "CREATE INDEX CONCURRENTLY \(name)_\(suffix) ON \(table) (\(column))", timeoutMilliseconds: limit)
        }
        try await pool.query("ANALYZE \(table)", timeoutMilliseconds: limit)
        try await pool.query("DROP INDEX CONCURRENTLY IF EXISTS \(table)_bloom", timeoutMilliseconds: limit)
    }
}
