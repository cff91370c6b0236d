internal import Postgres
internal import Records

/// What a batch changes in the table of dead letters: those that it brings, and those whose repetition has an outcome.
struct DeadLetterChanges {
    /// Of an endpoint's answer.
    static let maxResponseBytes = 1_024

    private struct Letter {
        var outcome: Outcome
        var partition: Int32
        var at: Int64
        var failure: LastFailure
    }

    /// A dead letter and the delivery that repeats it.
    private struct Repetition {
        var child: DeliveryID
        var tenant: String
    }

    private var letters: [DeliveryID: Letter] = [:]
    private var repeated: [DeliveryID: Repetition] = [:]

    init(_ entries: [HistoryEntry]) {
        var failures: [DeliveryID: LastFailure] = [:]
        for entry in entries {
            guard case .outcome(let outcome, let storedAt) = entry.content, let id = outcome.delivery else { continue }
            if let parent = outcome.parent, repeated[parent] == nil {
                repeated[parent] = Repetition(child: id, tenant: outcome.tenant)
            }
            if outcome.kind == .dead {
                let at = storedAt ?? HistoryTime.bounded(outcome.startedAtMs)
                let failure = LastFailure(outcome) ?? failures[id] ?? LastFailure()
                letters[id] = Letter(outcome: outcome, partition: entry.partition, at: at, failure: failure)
            } else if let failure = LastFailure(outcome) {
                failures[id] = failure
            }
        }
    }

    /// To be called while the deliveries are still among the open ones: what their last request came to is read there.
    func apply(_ transaction: PostgresConnection) async throws {
        var statements: [PostgresStatement] = []
        if !letters.isEmpty { statements.append(insertion) }
        if !repeated.isEmpty { statements.append(marking) }
        try await transaction.batch(statements)
    }

    private var insertion: PostgresStatement {
        let letters = letters.sorted { $0.key.hexadecimal < $1.key.hexadecimal }
        func numbers(_ number: (Letter) -> Int64) -> PostgresValue { .integerArray(letters.map { number($0.value) }) }
        func texts(_ text: (Letter) -> String) -> PostgresValue {
            .textArray(letters.map { PostgresText.sanitized(text($0.value)) })
        }
        return PostgresStatement(
            """
            INSERT INTO observability.dead_letters (delivery, first_seen, dead_at, event_time, parent, record_offset,
                origin_offset, log_partition, origin_partition, attempt, generation, last_status, tenant, webhook,
                event_id, event_type, origin_topic, record_topic, reason, failure, response)
            SELECT letter.delivery, coalesce(waiting.first_seen, to_timestamp(letter.dead_at / 1000.0)),
                to_timestamp(letter.dead_at / 1000.0), to_timestamp(letter.event_time / 1000.0),
                nullif(letter.parent, '')::uuid, letter.record_offset, letter.origin_offset, letter.log_partition,
                letter.origin_partition, letter.attempt, letter.generation,
                CASE WHEN letter.failure = '' THEN waiting.last_status ELSE nullif(letter.last_status, 0) END,
                letter.tenant, letter.webhook, letter.event_id, letter.event_type, letter.origin_topic,
                letter.record_topic, letter.reason, coalesce(nullif(letter.failure, ''), waiting.failure),
                nullif(letter.response, '')
            FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::int[],
                $8::int[], $9::int[], $10::int[], $11::smallint[], $12::text[], $13::text[], $14::text[], $15::text[],
                $16::text[], $17::text[], $18::text[], $19::text[], $20::text[])
                AS letter (delivery, dead_at, event_time, parent, record_offset, origin_offset, log_partition,
                origin_partition, attempt, generation, last_status, tenant, webhook, event_id, event_type,
                origin_topic, record_topic, reason, failure, response)
            LEFT JOIN observability.open_deliveries AS waiting USING (delivery)
            ON CONFLICT DO NOTHING
            """,
            [
                .textArray(letters.map(\.key.hexadecimal)), numbers(\.at),
                numbers { HistoryTime.bounded($0.outcome.eventTimeMs) }, texts { $0.outcome.parent?.hexadecimal ?? "" },
                numbers(\.outcome.recordOffset), numbers(\.outcome.originOffset), numbers { Int64($0.partition) },
                numbers { Int64($0.outcome.originPartition) }, numbers { Int64(Int32(clamping: $0.outcome.attempt)) },
                numbers { Int64(Int32(clamping: $0.outcome.generation)) },
                numbers { Int64(Int16(clamping: $0.failure.status)) }, texts(\.outcome.tenant),
                texts(\.outcome.webhookID), texts(\.outcome.eventID), texts(\.outcome.eventType),
                texts(\.outcome.originTopic), texts(\.outcome.recordTopic), texts(\.outcome.reason),
                texts(\.failure.reason),
                texts { String(decoding: $0.outcome.response.prefix(Self.maxResponseBytes), as: UTF8.self) },
            ])
    }

    /// Whatever became of who asked for the repetition: here it is.
    private var marking: PostgresStatement {
        let pairs = repeated.sorted { $0.key.hexadecimal < $1.key.hexadecimal }
        return PostgresStatement(
            """
            UPDATE observability.dead_letters AS letter
            SET state = \(DeadLetterState.requeued.rawValue), requeued_as = repetition.child, claimed_until = NULL
            FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS repetition (parent, child, tenant)
            WHERE letter.delivery = repetition.parent AND letter.tenant = repetition.tenant
                AND letter.state = \(DeadLetterState.open.rawValue)
            """,
            [
                .textArray(pairs.map(\.key.hexadecimal)), .textArray(pairs.map(\.value.child.hexadecimal)),
                .textArray(pairs.map { PostgresText.sanitized($0.value.tenant) }),
            ])
    }
}

/// Why a delivery's last request failed.
struct LastFailure: Equatable {
    /// Empty: there was none.
    var reason = ""
    /// 0: there was no answer.
    var status: UInt32 = 0

    init() {}

    /// nil where the outcome tells of no request that failed.
    init?(_ outcome: Outcome) {
        status = outcome.status
        switch outcome.kind {
        case .failed: reason = outcome.reason
        case .dead where !outcome.failure.isEmpty: reason = outcome.failure
        // Written by a dispatcher that did not say it yet.
        case .dead where outcome.status > 0: reason = "status_\(outcome.status)"
        default: return nil
        }
    }
}
