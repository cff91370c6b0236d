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
        let open = try await pool.query(
            """
            SELECT count(*) FILTER (WHERE kind = 0) AS pending, count(*) FILTER (WHERE kind = 2) AS retrying,
                count(*) FILTER (WHERE kind = 3) AS parked FROM observability.open_deliveries
            """)[0]
        metrics.open.labelled("pending").set(try open.decode("pending", as: Int.self))
        metrics.open.labelled("retrying").set(try open.decode("retrying", as: Int.self))
        metrics.open.labelled("parked").set(try open.decode("parked", as: Int.self))
    }
}
