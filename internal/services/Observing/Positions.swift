internal import Kafka
internal import Logs
internal import Metrics
internal import Postgres
internal import ServiceSupport

/// Where each partition of `attempts` is read on: table `positions`.
struct Positions: Sendable {
    private let pool: PostgresPool
    private let settings: HistorySettings
    private let metrics: HistoryMetrics
    private let log: Logger

    init(_ pool: PostgresPool, _ settings: HistorySettings, _ metrics: HistoryMetrics, _ log: Logger) {
        self.pool = pool
        self.settings = settings
        self.metrics = metrics
        self.log = log
    }

    /// The next offset to store of each partition, by what is `stored` and the logs' bounds, asked for after that. Positions that do not
    /// fit the log are corrected in the database. Throws `PostgresError`, and `PositionConflict` where another instance changed one
    /// meanwhile.
    func resolve(
        _ logs: [Int32: Watermarks], stored: [Int32: PositionPlan.Stored]
    ) async throws -> [Int32: Int64] {
        var next: [Int32: Int64] = [:]
        for (partition, bounds) in logs.sorted(by: { $0.key < $1.key }) {
            let plan = PositionPlan(stored: stored[partition], log: bounds, logID: settings.logID)
            try await apply(plan, partition, stored[partition])
            next[partition] = plan.next
        }
        return next
    }

    /// Whether the database still has exactly these positions.
    func hold(_ expected: [Int32: Int64]) async throws -> Bool {
        let stored = try await read()
        return expected.allSatisfy { stored[$0.key] == PositionPlan.Stored(logID: settings.logID, next: $0.value) }
    }

    /// What is stored. Throws `PostgresError`.
    func read() async throws -> [Int32: PositionPlan.Stored] {
        let rows = try await pool.query(
            "SELECT partition, log_id, next_offset FROM observability.positions WHERE topic = $1",
            [.text(settings.attemptsTopic)])
        var stored: [Int32: PositionPlan.Stored] = [:]
        for row in rows {
            stored[try row.decode("partition")] = PositionPlan.Stored(
                logID: try row.decode("log_id"), next: try row.decode("next_offset"))
        }
        return stored
    }

    private func apply(_ plan: PositionPlan, _ partition: Int32, _ stored: PositionPlan.Stored?) async throws {
        let place: Logger.Metadata = [LogKey.partition: "\(partition)", LogKey.offset: "\(plan.next)"]
        switch plan {
        case .resume: return
        case .begin:
            try await insert(partition, plan.next)
            log.info("history begins at the log's start", metadata: place)
        case .startOver:
            let abandoned = try await replace(stored, partition, plan.next, forgettingOpen: true)
            metrics.abandoned.increment(by: abandoned)
            log.warning(
                "the log is another one: history goes on at its start",
                metadata: place.merging([LogKey.count: "\(abandoned)"]) { $1 })
        case .skip(_, let lost):
            _ = try await replace(stored, partition, plan.next, forgettingOpen: false)
            metrics.lost.increment(by: Int(lost))
            log.error(
                "retention took outcomes before they were stored",
                metadata: place.merging([LogKey.count: "\(lost)"]) { $1 })
        }
    }

    private func insert(_ partition: Int32, _ next: Int64) async throws {
        let inserted = try await pool.query(
            """
            INSERT INTO observability.positions (topic, partition, log_id, next_offset) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING
            """,
            [.text(settings.attemptsTopic), .integer(Int64(partition)), .text(settings.logID), .integer(next)])
        guard inserted.affectedRows == 1 else { throw PositionConflict() }
    }

    /// Returns how many open deliveries were forgotten: their retries went with the log.
    private func replace(
        _ stored: PositionPlan.Stored?, _ partition: Int32, _ next: Int64, forgettingOpen: Bool
    ) async throws -> Int {
        try await pool.transaction { transaction in
            let moved = try await transaction.query(
                """
                UPDATE observability.positions SET log_id = $3, next_offset = $4, updated_at = now()
                WHERE topic = $1 AND partition = $2 AND log_id = $5 AND next_offset = $6
                """,
                [
                    .text(settings.attemptsTopic), .integer(Int64(partition)), .text(settings.logID), .integer(next),
                    .text(stored?.logID ?? ""), .integer(stored?.next ?? -1),
                ])
            guard moved.affectedRows == 1 else { throw PositionConflict() }
            guard forgettingOpen else { return 0 }
            return try await transaction.query(
                "DELETE FROM observability.open_deliveries WHERE log_partition = $1", [.integer(Int64(partition))]
            ).affectedRows
        }
    }
}
