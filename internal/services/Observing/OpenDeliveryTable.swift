internal import Postgres
internal import Records

/// One row of table `open_deliveries`. Times are milliseconds since 1970.
struct StoredOpenDelivery: Sendable {
    var delivery: DeliveryID
    var state: Standing.State
    var firstSeen: Int64
    var updatedAt: Int64
    var dueAt: Int64?
    var partition: Int32
    var attempt: Int64
    var generation: Int64
    var webhook: String
    var eventID: String
    var eventType: String
    var eventTime: Int64
    var parent: DeliveryID?
    var origin: StoredOutcome.Place?
    var record: StoredOutcome.Place?
    var reason: String?
    var failure: String?
    var lastStatus: Int64?
    var requested: Standing.Request?

    init(_ row: PostgresRow) throws {
        delivery = try row.decode("delivery", as: StoredDelivery.self).id
        let kind = Outcome.Kind(rawValue: UInt64(try row.decode("kind", as: Int.self))) ?? .unspecified
        state = Standing.State(kind)
        firstSeen = try row.decode("first_seen", as: PostgresTimestamp.self).milliseconds
        updatedAt = try row.decode("updated_at", as: PostgresTimestamp.self).milliseconds
        dueAt = try row.decodeIfPresent("due_at", as: PostgresTimestamp.self)?.milliseconds
        partition = try row.decode("log_partition")
        attempt = try row.decode("attempt")
        generation = try row.decode("generation")
        webhook = try row.decode("webhook")
        eventID = try row.decode("event_id")
        eventType = try row.decodeIfPresent("event_type") ?? ""
        eventTime = try row.decodeIfPresent("event_time", as: PostgresTimestamp.self)?.milliseconds ?? firstSeen
        parent = try row.decodeIfPresent("parent", as: StoredDelivery.self)?.id
        if let topic = try row.decodeIfPresent("origin_topic", as: String.self) {
            origin = StoredOutcome.Place(
                topic: topic, partition: try row.decode("origin_partition"), offset: try row.decode("origin_offset"))
        }
        if let topic = try row.decodeIfPresent("record_topic", as: String.self) {
            record = StoredOutcome.Place(topic: topic, partition: partition, offset: try row.decode("record_offset"))
        }
        reason = try row.decodeIfPresent("reason")
        failure = try row.decodeIfPresent("failure")
        lastStatus = try row.decodeIfPresent("last_status")
        if let what = try row.decodeIfPresent("requested", as: String.self).flatMap(Standing.Wish.init) {
            requested = Standing.Request(
                what: what, at: try row.decode("requested_at", as: PostgresTimestamp.self).milliseconds)
        }
    }
}

extension Standing.State {
    /// As table `open_deliveries` has it; nil for one that is not open.
    fileprivate var openKind: UInt64? {
        switch self {
        case .pending: Outcome.Kind.unspecified.rawValue
        case .retrying: Outcome.Kind.failed.rawValue
        case .parked: Outcome.Kind.parked.rawValue
        case .delivered, .dead, .cancelled: nil
        }
    }

    /// After an outcome of this kind; none yet, for the unspecified one.
    init(_ kind: Outcome.Kind) {
        self =
            switch kind {
            case .unspecified, .covered: .pending
            case .failed: .retrying
            case .parked: .parked
            case .delivered: .delivered
            case .dead: .dead
            case .cancelled: .cancelled
            }
    }
}

/// A delivery that a user asked for, before Kafka has it.
struct RegisteredDelivery: Sendable {
    var tenant: String
    var webhook: String
    var eventID: String
    var eventType: String
    /// Milliseconds since 1970.
    var eventTime: Int64
    var parent: DeliveryID?
    /// Of the pipeline's topics.
    var partition: Int32
    /// nil: its own record will be.
    var origin: StoredOutcome.Place?
}

/// What users ask for, in table `open_deliveries`. Throws `PostgresError`.
struct OpenDeliveryTable: Sendable {
    private let pool: PostgresPool

    init(_ pool: PostgresPool) { self.pool = pool }

    private static let columns = """
        delivery, kind, first_seen, updated_at, due_at, log_partition, attempt, generation, webhook, event_id, event_type,
        event_time, parent, origin_topic, origin_partition, origin_offset, record_topic, record_offset, reason, failure,
        last_status, requested, requested_at
        """

    static func find(_ delivery: DeliveryID, _ tenant: String) -> PostgresStatement {
        PostgresStatement(
            "SELECT \(columns) FROM observability.open_deliveries WHERE delivery = $1 AND tenant = $2",
            [.text(delivery.hexadecimal), .text(tenant)])
    }

    /// A tenant's, newest first. Each state by itself comes in the order of an index.
    func list(
        _ states: [Standing.State], webhook: String?, tenant: String, before cursor: DeliveryCursor?, limit: Int
    ) async throws -> [StoredOpenDelivery] {
        let statement = Self.list(states, webhook: webhook, tenant: tenant, before: cursor, limit: limit)
        return try await pool.query(statement.sql, statement.parameters).map { try StoredOpenDelivery($0) }
    }

    static func list(
        _ states: [Standing.State], webhook: String?, tenant: String, before cursor: DeliveryCursor?, limit: Int
    ) -> PostgresStatement {
        var condition = "tenant = $1"
        var parameters: [PostgresValue] = [.text(tenant)]
        if let webhook {
            condition += " AND webhook_key = $2 AND webhook = $3"
            parameters += [.integer(HistoryKey.of(tenant: tenant, id: webhook)), .text(webhook)]
        }
        if let cursor {
            let next = parameters.count + 1
            condition += " AND (first_seen, delivery) < ($\(next), $\(next + 1))"
            parameters += [.timestamp(milliseconds: cursor.at), .text(cursor.delivery.hexadecimal)]
        }
        let order = "ORDER BY first_seen DESC, delivery DESC LIMIT \(limit)"
        let lists = states.compactMap(\.openKind).map { kind in
            "SELECT \(columns) FROM observability.open_deliveries WHERE \(condition) AND kind = \(kind) \(order)"
        }
        guard lists.count > 1 else { return PostgresStatement(lists.joined(), parameters) }
        return PostgresStatement(lists.map { "(\($0))" }.joined(separator: " UNION ALL ") + " " + order, parameters)
    }

    /// Makes it visible as pending. False where there is one of this id.
    func register(_ id: DeliveryID, _ delivery: RegisteredDelivery) async throws -> Bool {
        let origin = delivery.origin
        return try await pool.query(
            """
            INSERT INTO observability.open_deliveries (delivery, webhook_key, first_seen, updated_at, log_partition,
                attempt, generation, kind, tenant, webhook, event_id, event_type, event_time, parent, origin_topic,
                origin_partition, origin_offset)
            VALUES ($1, $2, date_trunc('milliseconds', now()), now(), $3, 0, 0, 0, $4, $5, $6, $7, $8, $9::uuid, $10, $11, $12)
            ON CONFLICT DO NOTHING
            """,
            [
                .text(id.hexadecimal), .integer(HistoryKey.of(tenant: delivery.tenant, id: delivery.webhook)),
                .integer(Int64(delivery.partition)), .text(delivery.tenant), .text(delivery.webhook),
                .text(delivery.eventID), .text(delivery.eventType),
                .timestamp(milliseconds: HistoryTime.bounded(delivery.eventTime)),
                .optional(delivery.parent?.hexadecimal), .optional(origin?.topic),
                .optional(origin.map { Int64($0.partition) }), .optional(origin?.offset),
            ]
        ).affectedRows == 1
    }

    /// Takes a registered one back that Kafka did not take.
    func withdraw(_ id: DeliveryID, tenant: String) async throws {
        try await pool.query(
            "DELETE FROM observability.open_deliveries WHERE delivery = $1 AND tenant = $2 AND kind = 0",
            [.text(id.hexadecimal), .text(tenant)])
    }

    /// Notes what a user wants of an open delivery. A cancellation stays one.
    /// - Parameter generation: For which it was asked; a delivery that has gone on since then is not waiting for it any more.
    func request(
        _ what: Standing.Wish, of id: DeliveryID, generation: Int?, tenant: String
    ) async throws {
        try await pool.query(
            """
            UPDATE observability.open_deliveries
            SET requested_at = CASE requested WHEN 'cancel' THEN requested_at ELSE now() END,
                requested = CASE requested WHEN 'cancel' THEN requested ELSE $3 END
            WHERE delivery = $1 AND tenant = $2 AND generation = coalesce($4, generation)
            """,
            [
                .text(id.hexadecimal), .text(tenant), .text(what.rawValue), .optional(generation.map { Int64($0) }),
            ])
    }
}
