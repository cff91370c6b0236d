internal import Metrics
internal import Postgres
internal import Records

/// The database holds another position than the one that a batch continues: another instance stored the same records, or this one did
/// without having heard of it. The position must be read again.
struct PositionConflict: Error {}

/// Stores batches: rows, open deliveries and positions in one transaction each.
struct HistoryStore: Sendable {
    private let pool: PostgresPool
    private let settings: HistorySettings
    private let hours: HourPartitions
    private let metrics: HistoryMetrics

    init(_ pool: PostgresPool, _ settings: HistorySettings, _ hours: HourPartitions, _ metrics: HistoryMetrics) {
        self.pool = pool
        self.settings = settings
        self.hours = hours
        self.metrics = metrics
    }

    /// Stores a batch. Where PostgreSQL refuses it for its data, it is halved until the entry to blame is alone, and that one is set aside.
    /// Throws `PositionConflict`, or `PostgresError` where it may be tried again; parts of the batch may be stored by then, which
    /// the next try meets as a conflict.
    func store(_ batch: HistoryBatch) async throws {
        do {
            try await transact(batch)
        } catch let error as PostgresError where error.isDataError {
            if batch.entries.count > 1 {
                let (first, second) = batch.halves()
                try await store(first)
                try await store(second)
            } else {
                try await transact(batch.rejecting(because: error.description))
            }
        }
    }

    private func transact(_ batch: HistoryBatch) async throws {
        let rows = HistoryRows(batch.entries)
        try await hours.ensure(rows.hours)
        do {
            try await pool.transaction { transaction in
                try await move(batch.steps, transaction)
                for (hour, data) in rows.copies() {
                    try await transaction.copyIn(
                        HistoryRows.copyStatement(hour: hour), data, timeoutMilliseconds: 60_000)
                }
                try await DeadLetterChanges(batch.entries).apply(transaction)
                try await OpenDeliveries(batch.entries, deliveriesTopic: settings.deliveriesTopic).apply(transaction)
                try await reject(batch.entries, transaction)
            }
        } catch let error as PostgresError where error.sqlState == "42P01" {
            // Another instance dropped an hour meanwhile.
            await hours.forget(rows.hours)
            throw error
        }
        metrics.stored.increment(by: rows.count)
        metrics.batchRows.observe(Double(batch.entries.count))
    }

    /// Moves the positions first: a batch that another instance has stored fails before its rows are sent.
    private func move(_ steps: [Int32: HistoryBatch.Step], _ transaction: PostgresConnection) async throws {
        let steps = steps.sorted { $0.key < $1.key }
        let moved = try await transaction.query(
            """
            UPDATE observability.positions AS p SET next_offset = step.next, updated_at = now()
            FROM unnest($3::int[], $4::bigint[], $5::bigint[]) AS step (partition, expected, next)
            WHERE p.topic = $1 AND p.log_id = $2 AND p.partition = step.partition AND p.next_offset = step.expected
            """,
            [
                .text(settings.attemptsTopic), .text(settings.logID),
                .integerArray(steps.map { Int64($0.key) }), .integerArray(steps.map(\.value.expected)),
                .integerArray(steps.map(\.value.next)),
            ])
        guard moved.affectedRows == steps.count else { throw PositionConflict() }
    }

    private func reject(_ entries: [HistoryEntry], _ transaction: PostgresConnection) async throws {
        var count = 0
        for entry in entries {
            guard case .unreadable(let value, let reason) = entry.content else { continue }
            count += 1
            try await transaction.query(
                """
                INSERT INTO observability.rejected (log_id, log_partition, log_offset, reason, value)
                VALUES ($1, $2, $3, $4, $5)
                """,
                [
                    .text(settings.logID), .integer(Int64(entry.partition)), .integer(entry.offset),
                    .text(PostgresText.sanitized(reason)), .bytes(value),
                ])
        }
        metrics.rejected.increment(by: count)
    }
}
