internal import Delivering
internal import Postgres
internal import Records

/// Questions about history. Every one is bounded: by rows, and by the pool's statement timeout. Throws `PostgresError`.
struct HistoryQueries: Sendable {
    /// Most deliveries of an event, and attempts of a delivery, in one answer.
    static let maxRows = 1_000

    private let pool: PostgresPool

    init(_ pool: PostgresPool) { self.pool = pool }

    /// The settings that every session of the pool needs: the tables have no statistics while they are written, and
    /// without sequential scans the planner takes the one index that fits.
    static let session = [
        "jit": "off", "enable_seqscan": "off", "max_parallel_workers_per_gather": "0", "lock_timeout": "4s",
    ]

    private static let columns = """
        at, delivery, log_partition, log_offset, origin_topic, coalesce(origin_partition, log_partition) AS origin_partition,
        origin_offset, coalesce(source_topic, origin_topic) AS source_topic,
        coalesce(source_offset, origin_offset) AS source_offset, record_topic, record_offset, event_time, due_at, parent,
        duration_us, attempt, generation, fan_out, kind, status, webhook, event_id, event_type, reason, failure, response
        """

    /// The outcomes of an event's deliveries, oldest first. One more than `limit` tells that there are more.
    func outcomes(event: String, tenant: String, limit: Int) async throws -> [StoredOutcome] {
        try await pool.query(
            """
            SELECT \(Self.columns) FROM observability.outcomes
            WHERE event_key = $1 AND tenant = $2 AND event_id = $3 ORDER BY at, log_offset LIMIT $4
            """,
            [
                .integer(HistoryKey.of(tenant: tenant, id: event)), .text(tenant), .text(event), .integer(Int64(limit)),
            ]
        ).map { try StoredOutcome($0) }
    }

    /// All that is known of a delivery, with its first outcomes, oldest first.
    func delivery(
        _ id: DeliveryID, tenant: String
    ) async throws -> (summary: DeliverySummary?, outcomes: [StoredOutcome]) {
        let results = try await pool.batch([
            PostgresStatement(
                """
                SELECT \(Self.columns) FROM observability.outcomes
                WHERE delivery = $1 AND tenant = $2 ORDER BY at, log_offset LIMIT \(Self.maxRows)
                """, [.text(id.hexadecimal), .text(tenant)]),
            OpenDeliveryTable.find(id, tenant), DeadLetterTable.find(id, tenant),
        ])
        let outcomes = try results[0].map { try StoredOutcome($0) }
        let open = try results[1].first.map { try StoredOpenDelivery($0) }
        let letter = try results[2].first.map { try StoredLetter($0) }
        return (DeliverySummary(outcomes, open: open, letter: letter), outcomes)
    }

    /// A webhook's outcomes before `cursor`, newest first.
    func outcomes(
        webhook: String, tenant: String, kind: Outcome.Kind?, before cursor: HistoryCursor?, limit: Int
    ) async throws -> [StoredOutcome] {
        let cursor = cursor ?? HistoryCursor(at: HistoryTime.bounded(.max), partition: .max, offset: .max)
        return try await pool.query(
            """
            SELECT \(Self.columns) FROM observability.outcomes
            WHERE webhook_key = $1 AND tenant = $2 AND webhook = $3 AND ($4::smallint IS NULL OR kind = $4)
                AND at <= $5 AND (at, log_partition, log_offset) < ($5, $6, $7)
            ORDER BY at DESC, log_partition DESC, log_offset DESC LIMIT $8
            """,
            [
                .integer(HistoryKey.of(tenant: tenant, id: webhook)), .text(tenant), .text(webhook),
                .optional(kind.map { Int64($0.rawValue) }), .timestamp(milliseconds: cursor.at),
                .integer(Int64(cursor.partition)), .integer(cursor.offset), .integer(Int64(limit)),
            ]
        ).map { try StoredOutcome($0) }
    }

    /// What happened at a webhook since `from` (milliseconds since 1970), and what is open now.
    func stats(webhook: String, tenant: String, from: Int64, to: Int64) async throws -> WebhookStats {
        let key = HistoryKey.of(tenant: tenant, id: webhook)
        let results = try await pool.batch([
            PostgresStatement(
                """
                SELECT count(*) FILTER (WHERE kind = 1) AS delivered, count(*) FILTER (WHERE kind = 2) AS failed,
                    count(*) FILTER (WHERE kind = 3) AS parked, count(*) FILTER (WHERE kind = 4) AS dead,
                    count(*) FILTER (WHERE kind = 5) AS cancelled, count(*) FILTER (WHERE requested) AS requests,
                    avg(duration_us) FILTER (WHERE requested) AS mean,
                    percentile_disc(ARRAY[0.5, 0.9, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY duration_us)
                        FILTER (WHERE requested) AS percentiles
                FROM (SELECT kind, duration_us, kind IN (1, 2) OR duration_us > 0 AS requested
                    FROM observability.outcomes WHERE webhook_key = $1 AND tenant = $2 AND webhook = $3
                        AND at >= $4 AND at < $5) AS attempt
                """,
                [
                    .integer(key), .text(tenant), .text(webhook), .timestamp(milliseconds: from),
                    .timestamp(milliseconds: to),
                ]),
            PostgresStatement(
                """
                SELECT count(*) AS open FROM observability.open_deliveries
                WHERE webhook_key = $1 AND tenant = $2 AND webhook = $3
                """, [.integer(key), .text(tenant), .text(webhook)]),
        ])
        return try WebhookStats(results[0][0], open: results[1][0].decode("open"))
    }
}

/// One row of table `outcomes`. Times are milliseconds since 1970.
struct StoredOutcome: Sendable {
    /// A record's place.
    struct Place: Hashable, Sendable {
        var topic: String
        var partition: Int32
        var offset: Int64
    }

    var at: Int64
    var delivery: DeliveryID
    var logPartition: Int32
    var logOffset: Int64
    var origin: Place
    /// Whether it settles the event's own record: the delivery's first outcome then.
    var isOfOrigin: Bool
    var record: Place?
    var eventTime: Int64
    var dueAt: Int64?
    var parent: DeliveryID?
    var durationUs: Int64
    var attempt: Int64
    var generation: Int64
    var fanOut: Int64
    var kind: Outcome.Kind
    var status: Int64?
    var webhook: String
    var eventID: String
    var eventType: String
    var reason: String?
    /// Of one that gives up: why its last request failed.
    var failure: String?
    var response: [UInt8]?

    init(_ row: PostgresRow) throws {
        at = try row.decode("at", as: PostgresTimestamp.self).milliseconds
        delivery = try row.decode("delivery", as: StoredDelivery.self).id
        logPartition = try row.decode("log_partition")
        logOffset = try row.decode("log_offset")
        let sourceTopic: String = try row.decode("source_topic")
        let sourceOffset: Int64 = try row.decode("source_offset")
        origin = Place(
            topic: try row.decode("origin_topic"), partition: try row.decode("origin_partition"),
            offset: try row.decode("origin_offset"))
        isOfOrigin = sourceTopic == origin.topic && sourceOffset == origin.offset
        if let topic = try row.decodeIfPresent("record_topic", as: String.self) {
            // What an outcome causes lies in the partition of the same number.
            record = Place(topic: topic, partition: logPartition, offset: try row.decode("record_offset"))
        }
        eventTime = try row.decode("event_time", as: PostgresTimestamp.self).milliseconds
        dueAt = try row.decodeIfPresent("due_at", as: PostgresTimestamp.self)?.milliseconds
        parent = try row.decodeIfPresent("parent", as: StoredDelivery.self)?.id
        durationUs = try row.decode("duration_us")
        attempt = try row.decode("attempt")
        generation = try row.decode("generation")
        fanOut = try row.decode("fan_out")
        kind = Outcome.Kind(rawValue: UInt64(try row.decode("kind", as: Int.self))) ?? .unspecified
        status = try row.decodeIfPresent("status")
        webhook = try row.decode("webhook")
        eventID = try row.decode("event_id")
        eventType = try row.decode("event_type")
        reason = try row.decodeIfPresent("reason")
        failure = try row.decodeIfPresent("failure")
        response = try row.decodeIfPresent("response")
    }

    /// A request was made.
    var hasRequest: Bool { kind == .delivered || kind == .failed || durationUs > 0 }

    /// Why its request failed; nil where it did not, or there was none.
    var cause: FailureCause? {
        guard hasRequest, kind != .delivered else { return nil }
        return FailureCause(reason: failure ?? reason ?? "", status: status.map { Int($0) })
    }
}

/// A delivery's id as the `uuid` that it is stored as.
struct StoredDelivery: PostgresDecodable {
    static let expectation = "a uuid"
    let id: DeliveryID

    init?(postgresText: UnsafeRawBufferPointer) {
        let digits = String(decoding: postgresText, as: UTF8.self).filter { $0 != "-" }
        guard let id = DeliveryID("dlv_" + digits) else { return nil }
        self.id = id
    }
}

/// Numbers of a webhook over a window. Latencies are microseconds.
struct WebhookStats: Sendable, Equatable {
    var outcomes: [(kind: Outcome.Kind, count: Int64)] = []
    var requests: Int64
    var mean: Double?
    /// 50 %, 90 %, 95 %, 99 %, 100 %; empty without requests.
    var percentiles: [Int64]
    var open: Int64

    init(_ row: PostgresRow, open: Int64) throws {
        for kind in [Outcome.Kind.delivered, .failed, .parked, .dead, .cancelled] {
            outcomes.append((kind, try row.decode(kind.name)))
        }
        requests = try row.decode("requests")
        mean = try row.decodeIfPresent("mean")
        percentiles = try row.decodeIfPresent("percentiles") ?? []
        self.open = open
    }

    var successRate: Double? {
        let delivered = outcomes.first { $0.kind == .delivered }?.count ?? 0
        return requests == 0 ? nil : Double(delivered) / Double(requests)
    }

    static func == (a: WebhookStats, b: WebhookStats) -> Bool {
        a.outcomes.map(\.count) == b.outcomes.map(\.count) && a.requests == b.requests && a.mean == b.mean
            && a.percentiles == b.percentiles && a.open == b.open
    }
}

/// The last row of a page: the next one begins below it.
struct HistoryCursor: Equatable, Sendable {
    var at: Int64
    var partition: Int32
    var offset: Int64

    /// As it travels: opaque to users.
    var text: String { "\(at).\(partition).\(offset)" }

    init(at: Int64, partition: Int32, offset: Int64) {
        self.at = at
        self.partition = partition
        self.offset = offset
    }

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let at = Int64(parts[0]), let partition = Int32(parts[1]), let offset = Int64(parts[2])
        else { return nil }
        guard at == HistoryTime.bounded(at), partition >= 0, offset >= 0 else { return nil }
        self.init(at: at, partition: partition, offset: offset)
    }
}
