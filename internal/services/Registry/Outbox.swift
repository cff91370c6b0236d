internal import Postgres

/// A record that topic `webhooks` still has to get, or `events`.
struct OutboxRecord: Equatable, Sendable {
    let number: Int64
    let webhookID: String
    /// nil: a tombstone.
    let value: [UInt8]?
    /// Of an event, names and values by turns; empty: a record of `webhooks`.
    var headers: [String] = []
}

/// What the tenant's webhooks are told: the value and the headers of an event's record.
struct OutboxEvent: Equatable, Sendable {
    let value: [UInt8]
    /// Names and values by turns.
    let headers: [String]
}

/// Table `registry.outbox`, as the relay's leader works on it over the session that holds its lock.
enum Outbox {
    /// Notifications: "" says that a record waits, numbers say which ones have been published.
    static let channel = "registry_outbox"

    /// Puts a record into the outbox within the change's transaction; the row gives its `number`.
    /// - Parameter headers: of an event.
    static func insertion(_ webhookID: String, value: [UInt8]?, headers: [String]? = nil) -> PostgresStatement {
        PostgresStatement(
            """
            WITH queued AS (
                INSERT INTO registry.outbox (webhook_id, value, headers) VALUES ($1, $2::bytea, $3::text[])
                RETURNING number)
            SELECT number, pg_notify('\(channel)', '') FROM queued
            """, [.text(webhookID), value.map { .bytes($0) } ?? .null, headers.map { .textArray($0) } ?? .null])
    }

    /// Makes this session the leader; false where another one is.
    static func lead(_ session: PostgresConnection) async throws -> Bool {
        let rows = try await session.query(
            "SELECT pg_try_advisory_lock(hashtextextended('registry relay', 0)) AS leads")
        return try rows.first?.decode("leads") ?? false
    }

    /// The oldest records, and how many there are altogether. An error tells that the session, and with it the lead, is lost.
    static func oldest(_ count: Int, _ session: PostgresConnection) async throws -> (
        records: [OutboxRecord], total: Int
    ) {
        let results = try await session.batch([
            PostgresStatement(
                "SELECT number, webhook_id, value, headers FROM registry.outbox ORDER BY number LIMIT $1",
                [.integer(Int64(count))]),
            PostgresStatement("SELECT count(*) AS total FROM registry.outbox"),
        ])
        let records = try results[0].map { row in
            OutboxRecord(
                number: try row.decode("number"), webhookID: try row.decode("webhook_id"),
                value: try row.decodeIfPresent("value"),
                headers: try row.decodeIfPresent("headers") ?? [])
        }
        return (records, try results[1].first?.decode("total") ?? records.count)
    }

    /// Removes records that Kafka has acknowledged, and tells whoever waits for them.
    static func remove(_ numbers: [Int64], _ session: PostgresConnection) async throws {
        let text = numbers.map { String($0) }.joined(separator: ",")
        try await session.batch([
            PostgresStatement("DELETE FROM registry.outbox WHERE number = ANY($1)", [.integerArray(numbers)]),
            PostgresStatement("SELECT pg_notify('\(channel)', $1)", [.text(text)]),
        ])
    }

    /// Whether a record has been published.
    static func isPublished(_ number: Int64, _ pool: PostgresPool) async throws -> Bool {
        try await pool.query("SELECT 1 FROM registry.outbox WHERE number = $1", [.integer(number)]).isEmpty
    }
}
