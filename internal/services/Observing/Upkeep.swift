internal import Logs
internal import Metrics
internal import Postgres
internal import ServiceSupport

/// Looks after the partitions every few seconds: makes the coming hours', lets Bloom filters follow, seals, drops, counts. Of several instances
/// the one that gets the advisory lock does it.
struct Upkeep: Sendable {
    let pool: PostgresPool
    let hours: HourPartitions
    let settings: HistorySettings
    let metrics: HistoryMetrics
    let log: Logger
    /// Milliseconds since 1970.
    let clock: @Sendable () -> Int64
    private let failures = LogLimiter(every: .seconds(30))

    init(
        pool: PostgresPool, hours: HourPartitions, settings: HistorySettings, metrics: HistoryMetrics, log: Logger,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.pool = pool
        self.hours = hours
        self.settings = settings
        self.metrics = metrics
        self.log = log
        self.clock = clock
    }

    /// Runs until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            do {
                try await round()
            } catch {
                log.warning("upkeep of history failed", metadata: [LogKey.error: "\(error)"], limit: failures)
            }
            try? await Task.sleep(for: .milliseconds(settings.upkeepMs))
        }
    }

    /// One round. Throws `PostgresError`.
    func round() async throws {
        let present = HistoryRows.hour(of: clock())
        try await hours.ensure([present, present + 1, present + 2])
        try await pool.withConnection { connection in
            let locked = try await connection.query(
                "SELECT pg_try_advisory_lock(hashtextextended('martlet observability upkeep', 0)) AS locked")
            guard try locked.first?.decode("locked", as: Bool.self) == true else { return }
            try await tidy()
        }
        try await count()
    }

    private func tidy() async throws {
        let partitions = try await hours.all()
        let surplus = HourPartitions.surplus(
            partitions, nowMs: clock(), retentionMs: settings.retentionMs, maxSizeBytes: settings.maxSizeBytes)
        for partition in surplus {
            try await hours.drop(partition.hour)
            log.info(
                "dropped an hour of history",
                metadata: ["hour": .stringConvertible(partition.hour), "bytes": .stringConvertible(partition.bytes)])
        }
        let dropped = Set(surplus.map(\.hour))
        var hasSealed = false
        for partition in partitions where !partition.isSealed && !dropped.contains(partition.hour) {
            // One a round, so that the coming hours never wait long for their tables.
            if !hasSealed, await hours.isQuiet(partition.hour, quietMs: settings.sealAfterMs) {
                try await hours.seal(partition.hour)
                hasSealed = true
            } else {
                try await hours.summarize(partition.hour)
            }
        }
        for (rows, ageMs) in [
            ("rejected WHERE at", settings.retentionMs), ("dead_letters WHERE dead_at", settings.deadLetterRetentionMs),
            ("open_deliveries WHERE kind = 0 AND first_seen", settings.maxDeliveryAgeMs),
        ] {
            try await pool.query(
                "DELETE FROM observability.\(rows) < to_timestamp($1::bigint / 1000.0)", [.integer(clock() - ageMs)])
        }
    }

    private func count() async throws {
        let partitions = try await hours.all()
        metrics.partitions.set(partitions.count)
        metrics.sealed.set(partitions.count(where: \.isSealed))
        metrics.size.set(Int(partitions.reduce(0) { $0 + $1.bytes }))
        try await countOpen()
    }

    private func countOpen() async throws {
        let now = clock()
        let rows = try await pool.query(
            """
            SELECT log_partition, count(*) FILTER (WHERE kind = 0) AS pending,
                count(*) FILTER (WHERE kind = 2) AS retrying, count(*) FILTER (WHERE kind = 3) AS parked,
                count(*) FILTER (WHERE first_seen < to_timestamp($1::bigint / 1000.0)
                    AND coalesce(due_at, updated_at) < to_timestamp($2::bigint / 1000.0)) AS overdue
            FROM observability.open_deliveries GROUP BY log_partition
            """, [.integer(now - settings.maxDeliveryAgeMs), .integer(now - settings.overdueGraceMs)])
        var total: [String: Int] = ["pending": 0, "retrying": 0, "parked": 0, "overdue": 0]
        var byPartition: [String: Int] = [:]
        for row in rows {
            for name in total.keys { total[name, default: 0] += try row.decode(name, as: Int.self) }
            let states = try ["pending", "retrying", "parked"].map { try row.decode($0, as: Int.self) }
            byPartition["\(try row.decode("log_partition", as: Int.self))"] = states.reduce(0, +)
        }
        for state in ["pending", "retrying", "parked"] { metrics.open.labelled(state).set(total[state] ?? 0) }
        let ledger = metrics.ledger
        ledger.overdue.set(total["overdue"] ?? 0)
        ledger.open.set(byPartition.values.reduce(0, +))
        // A partition without any has no row.
        for (labels, gauge) in ledger.openByPartition.all where byPartition[labels[0]] == nil { gauge.set(0) }
        for (partition, count) in byPartition { ledger.openByPartition.labelled(partition).set(count) }
    }
}
