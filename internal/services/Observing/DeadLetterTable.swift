internal import Postgres
internal import Records

/// What became of a dead letter, as the table has it. Who is requeuing an open one claims it for a while.
enum DeadLetterState: Int, Sendable {
    case open = 0
    case requeued, discarded
}

/// One row of table `dead_letters`. Times are milliseconds since 1970.
struct StoredLetter: Sendable {
    var delivery: DeliveryID
    var firstSeen: Int64
    var deadAt: Int64
    var eventTime: Int64
    var standing: Standing.Letter
    var parent: DeliveryID?
    var record: StoredOutcome.Place
    var origin: StoredOutcome.Place
    var attempt: Int64
    var generation: Int64
    var lastStatus: Int64?
    var webhook: String
    var eventID: String
    var eventType: String
    var reason: String
    var failure: String?
    var response: String?

    static let columns = """
        delivery, first_seen, dead_at, event_time, state, requeued_as, parent, record_topic, record_offset, log_partition,
        origin_topic, origin_partition, origin_offset, attempt, generation, last_status, webhook, event_id, event_type,
        reason, failure, response, claimed_until IS NOT NULL AND claimed_until > now() AS claimed
        """

    init(_ row: PostgresRow) throws {
        delivery = try row.decode("delivery", as: StoredDelivery.self).id
        firstSeen = try row.decode("first_seen", as: PostgresTimestamp.self).milliseconds
        deadAt = try row.decode("dead_at", as: PostgresTimestamp.self).milliseconds
        eventTime = try row.decode("event_time", as: PostgresTimestamp.self).milliseconds
        let child = try row.decodeIfPresent("requeued_as", as: StoredDelivery.self)?.id.description ?? ""
        let isClaimed: Bool = try row.decode("claimed")
        standing =
            switch DeadLetterState(rawValue: try row.decode("state")) {
            case .requeued: .requeued(child)
            case .discarded: .discarded
            case .open, nil: isClaimed ? .requeuing : .open
            }
        parent = try row.decodeIfPresent("parent", as: StoredDelivery.self)?.id
        record = StoredOutcome.Place(
            topic: try row.decode("record_topic"), partition: try row.decode("log_partition"),
            offset: try row.decode("record_offset"))
        origin = StoredOutcome.Place(
            topic: try row.decode("origin_topic"), partition: try row.decode("origin_partition"),
            offset: try row.decode("origin_offset"))
        attempt = try row.decode("attempt")
        generation = try row.decode("generation")
        lastStatus = try row.decodeIfPresent("last_status")
        webhook = try row.decode("webhook")
        eventID = try row.decode("event_id")
        eventType = try row.decode("event_type")
        reason = try row.decode("reason")
        failure = try row.decodeIfPresent("failure")
        response = try row.decodeIfPresent("response")
    }
}

/// Which of a tenant's dead letters are meant.
struct DeadLetterFilter: Sendable {
    /// As the API names states.
    enum State: String, CaseIterable, Sendable { case open, requeuing, requeued, discarded }

    var tenant: String
    var state = State.open
    var webhook: String?
    var type: String?
    var reason: String?
    /// Given up at this time or later, and before that one; milliseconds since 1970.
    var from: Int64?
    var to: Int64?

    /// The condition and its parameters, `$1` and on. Only what is asked for stands in it, so that the planner sees which index fits.
    var condition: PostgresStatement {
        var parts = ["tenant = $1", "state = \(stored.rawValue)"]
        var parameters: [PostgresValue] = [.text(tenant)]
        func add(_ part: String, _ value: PostgresValue?) {
            guard let value else { return }
            parameters.append(value)
            parts.append("\(part) $\(parameters.count)")
        }
        if state == .open { parts.append("(claimed_until IS NULL OR claimed_until <= now())") }
        if state == .requeuing { parts.append("claimed_until > now()") }
        add("webhook =", webhook.map { .text($0) })
        add("event_type =", type.map { .text($0) })
        add("reason =", reason.map { .text($0) })
        add("dead_at >=", from.map { .timestamp(milliseconds: HistoryTime.bounded($0)) })
        add("dead_at <", to.map { .timestamp(milliseconds: HistoryTime.bounded($0)) })
        return PostgresStatement(parts.joined(separator: " AND "), parameters)
    }

    private var stored: DeadLetterState {
        switch state {
        case .open, .requeuing: .open
        case .requeued: .requeued
        case .discarded: .discarded
        }
    }
}

/// A change of a dead letter's state that somebody asks for.
enum DeadLetterMove: Sendable {
    /// For whoever makes this delivery of it. Lapses after a minute.
    case claim(DeliveryID)
    case requeued(DeliveryID)
    /// Whoever claimed it could not do it.
    case release(DeliveryID)
    case discard
}

/// Table `dead_letters`. Throws `PostgresError`.
struct DeadLetterTable: Sendable {
    private static let claimSeconds = 60

    private let pool: PostgresPool

    init(_ pool: PostgresPool) { self.pool = pool }

    /// Newest first.
    func list(
        _ filter: DeadLetterFilter, before cursor: DeliveryCursor?, limit: Int
    ) async throws -> [StoredLetter] {
        var statement = filter.condition
        if let cursor {
            let next = statement.parameters.count + 1
            statement.sql += " AND (dead_at, delivery) < ($\(next), $\(next + 1))"
            statement.parameters += [.timestamp(milliseconds: cursor.at), .text(cursor.delivery.hexadecimal)]
        }
        return try await pool.query(
            """
            SELECT \(StoredLetter.columns) FROM observability.dead_letters WHERE \(statement.sql)
            ORDER BY dead_at DESC, delivery DESC LIMIT \(limit)
            """, statement.parameters
        ).map { try StoredLetter($0) }
    }

    func count(_ filter: DeadLetterFilter) async throws -> Int64 {
        let condition = filter.condition
        return try await pool.query(
            "SELECT count(*) AS count FROM observability.dead_letters WHERE \(condition.sql)", condition.parameters)[0]
            .decode("count")
    }

    func find(_ delivery: DeliveryID, tenant: String) async throws -> StoredLetter? {
        try await pool.query(Self.find(delivery, tenant).sql, Self.find(delivery, tenant).parameters).first.map {
            try StoredLetter($0)
        }
    }

    static func find(_ delivery: DeliveryID, _ tenant: String) -> PostgresStatement {
        PostgresStatement(
            "SELECT \(StoredLetter.columns) FROM observability.dead_letters WHERE delivery = $1 AND tenant = $2",
            [.text(delivery.hexadecimal), .text(tenant)])
    }

    /// Changes a state, if it is one that this can be done with; nil otherwise.
    func move(_ delivery: DeliveryID, tenant: String, _ move: DeadLetterMove) async throws -> StoredLetter? {
        let (open, requeued) = (DeadLetterState.open.rawValue, DeadLetterState.requeued.rawValue)
        let isFree = "state = \(open) AND (claimed_until IS NULL OR claimed_until <= now())"
        let change: String
        let condition: String
        var parameters: [PostgresValue] = [.text(delivery.hexadecimal), .text(tenant)]
        switch move {
        case .claim(let child):
            parameters.append(.text(child.hexadecimal))
            change = "requeued_as = $3, claimed_until = now() + interval '\(Self.claimSeconds) seconds'"
            condition = "(\(isFree))"
        case .requeued(let child):
            parameters.append(.text(child.hexadecimal))
            change = "state = \(requeued), claimed_until = NULL"
            condition = "state IN (\(open), \(requeued)) AND requeued_as = $3"
        case .release(let child):
            parameters.append(.text(child.hexadecimal))
            change = "requeued_as = NULL, claimed_until = NULL"
            condition = "state = \(open) AND requeued_as = $3"
        case .discard:
            change = "state = \(DeadLetterState.discarded.rawValue), requeued_as = NULL, claimed_until = NULL"
            condition = isFree
        }
        return try await pool.query(
            """
            UPDATE observability.dead_letters SET \(change) WHERE delivery = $1 AND tenant = $2 AND \(condition)
            RETURNING \(StoredLetter.columns)
            """, parameters
        ).first.map { try StoredLetter($0) }
    }
}
