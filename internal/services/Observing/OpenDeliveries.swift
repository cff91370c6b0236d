internal import Postgres
internal import Records

/// What a batch changes in the table of open deliveries: a delivery's last outcome in it decides.
struct OpenDeliveries {
    private struct Change {
        var outcome: Outcome
        var partition: Int32
        /// When its first outcome in this batch and its last one were.
        var firstAt: Int64
        var lastAt: Int64
        /// nil: as the table has it.
        var failure: LastFailure?
    }

    private var opened: [DeliveryID: Change] = [:]
    /// Those that may be in the table: what was closed by an event's very first outcome is not.
    private var closed: Set<DeliveryID> = []

    /// - Parameter deliveriesTopic: What comes from there may have been put into the table by whoever wrote it.
    init(_ entries: [HistoryEntry], deliveriesTopic: String) {
        for entry in entries {
            guard case .outcome(let outcome, let storedAt) = entry.content, let id = outcome.delivery else { continue }
            let at = storedAt ?? HistoryTime.bounded(outcome.startedAtMs)
            if outcome.kind.isFinal {
                opened[id] = nil
                // A generation counts the times that it was put off.
                if outcome.generation > 0 || outcome.sourceTopic == deliveriesTopic { closed.insert(id) }
            } else {
                let before = opened[id]
                opened[id] = Change(
                    outcome: outcome, partition: entry.partition, firstAt: before?.firstAt ?? at, lastAt: at,
                    failure: LastFailure(outcome) ?? before?.failure)
                closed.remove(id)
            }
        }
    }

    func apply(_ transaction: PostgresConnection) async throws {
        var statements: [PostgresStatement] = []
        if !closed.isEmpty {
            statements.append(
                PostgresStatement(
                    "DELETE FROM observability.open_deliveries WHERE delivery = ANY($1::uuid[])",
                    [.textArray(closed.map(\.hexadecimal).sorted())]))
        }
        if !opened.isEmpty { statements.append(upsert) }
        try await transaction.batch(statements)
    }

    /// In order of the id, so that two writers never wait for each other crosswise. What a user wants is done with the next outcome, except
    /// for a cancellation: that lasts.
    private static let upsertSQL = """
        INSERT INTO observability.open_deliveries AS present (delivery, webhook_key, first_seen, updated_at, due_at,
            record_offset, log_partition, attempt, generation, kind, tenant, webhook, event_id, reason, event_type,
            event_time, parent, origin_topic, origin_partition, origin_offset, record_topic, failure, last_status)
        SELECT delivery, webhook_key, to_timestamp(first_seen / 1000.0), to_timestamp(updated_at / 1000.0),
            to_timestamp(nullif(due_at, 0) / 1000.0), record_offset, log_partition, attempt, generation, kind,
            tenant, webhook, event_id, nullif(reason, ''), event_type, to_timestamp(event_time / 1000.0),
            nullif(parent, '')::uuid, origin_topic, origin_partition, origin_offset, nullif(record_topic, ''),
            nullif(failure, ''), nullif(last_status, 0)
        FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::int[],
            $8::int[], $9::int[], $10::smallint[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
            $16::bigint[], $17::text[], $18::text[], $19::int[], $20::bigint[], $21::text[], $22::text[],
            $23::smallint[])
            AS change (delivery, webhook_key, first_seen, updated_at, due_at, record_offset, log_partition,
            attempt, generation, kind, tenant, webhook, event_id, reason, event_type, event_time, parent,
            origin_topic, origin_partition, origin_offset, record_topic, failure, last_status)
        ON CONFLICT (delivery) DO UPDATE SET updated_at = excluded.updated_at, due_at = excluded.due_at,
            record_topic = excluded.record_topic, record_offset = excluded.record_offset, attempt = excluded.attempt,
            generation = excluded.generation, kind = excluded.kind, reason = excluded.reason,
            event_type = excluded.event_type, event_time = excluded.event_time, parent = excluded.parent,
            origin_topic = excluded.origin_topic, origin_partition = excluded.origin_partition,
            origin_offset = excluded.origin_offset,
            last_status = CASE WHEN excluded.failure IS NULL THEN present.last_status ELSE excluded.last_status END,
            failure = coalesce(excluded.failure, present.failure),
            requested = CASE present.requested WHEN 'cancel' THEN 'cancel' END,
            requested_at = CASE present.requested WHEN 'cancel' THEN present.requested_at END
        """

    private var upsert: PostgresStatement {
        let changes = opened.sorted { $0.key.hexadecimal < $1.key.hexadecimal }
        func numbers(_ number: (Change) -> Int64) -> PostgresValue { .integerArray(changes.map { number($0.value) }) }
        func texts(_ text: (Change) -> String) -> PostgresValue {
            .textArray(changes.map { PostgresText.sanitized(text($0.value)) })
        }
        return PostgresStatement(
            Self.upsertSQL,
            [
                .textArray(changes.map(\.key.hexadecimal)),
                numbers { HistoryKey.of(tenant: $0.outcome.tenant, id: $0.outcome.webhookID) },
                numbers(\.firstAt), numbers(\.lastAt), numbers { HistoryTime.bounded($0.outcome.dueAtMs) },
                numbers(\.outcome.recordOffset), numbers { Int64($0.partition) },
                numbers { Int64(Int32(clamping: $0.outcome.attempt)) },
                numbers { Int64(Int32(clamping: $0.outcome.generation)) },
                numbers { Int64(Int16(clamping: $0.outcome.kind.rawValue)) }, texts(\.outcome.tenant),
                texts(\.outcome.webhookID), texts(\.outcome.eventID), texts(\.outcome.reason),
                texts(\.outcome.eventType), numbers { HistoryTime.bounded($0.outcome.eventTimeMs) },
                texts { $0.outcome.parent?.hexadecimal ?? "" }, texts(\.outcome.originTopic),
                numbers { Int64($0.outcome.originPartition) }, numbers(\.outcome.originOffset),
                texts(\.outcome.recordTopic), texts { $0.failure?.reason ?? "" },
                numbers { Int64(Int16(clamping: $0.failure?.status ?? 0)) },
            ])
    }
}

extension DeliveryID {
    /// The 32 digits, as a `uuid` takes them.
    var hexadecimal: String { String(description.dropFirst(4)) }
}
