internal import Postgres
internal import Records
internal import WireFormat

/// A stored change: the webhook as it is now, and the outbox record that tells topic `webhooks`.
struct StoredChange: Sendable {
    let webhook: Webhook
    /// nil where nothing had to be changed.
    let outboxNumber: Int64?
}

/// The webhooks in PostgreSQL. Every change is one transaction with its version and its outbox record.
///
/// Throws `PostgresError`, or `RequestProblem` where the request is at fault. A change whose commit was not answered may have happened.
struct WebhookStore: Sendable {
    let pool: PostgresPool
    /// Webhooks that one tenant may have.
    let limit: Int

    /// Stores a new webhook.
    func create(_ webhook: Webhook) async throws -> StoredChange {
        let rows = try await pool.query(
            """
            WITH room AS (
                INSERT INTO registry.tenants AS known (tenant, webhooks) VALUES ($2, 1)
                ON CONFLICT (tenant) DO UPDATE SET webhooks = known.webhooks + 1 WHERE known.webhooks < $21
                RETURNING 1),
            stored AS (
                INSERT INTO registry.webhooks (\(WebhookColumns.names))
                SELECT \(WebhookColumns.parameters) FROM room RETURNING id),
            queued AS (
                INSERT INTO registry.outbox (webhook_id, value) SELECT id, $22::bytea FROM stored RETURNING number)
            SELECT number, pg_notify('\(Outbox.channel)', '') FROM queued
            """,
            WebhookColumns.values(webhook) + [.integer(Int64(limit)), .bytes(webhook.encoded())])
        guard let row = rows.first else {
            let detail = "the tenant has \(limit) webhooks already, which is the limit"
            throw RequestProblem(.tooManyWebhooks, detail)
        }
        return StoredChange(webhook: webhook, outboxNumber: try row.decode("number"))
    }

    /// One webhook of the tenant. Throws `notFound`.
    func find(_ id: String, of tenant: String) async throws -> Webhook {
        let rows = try await pool.query(
            "SELECT \(WebhookColumns.names) FROM registry.webhooks WHERE id = $1 AND tenant = $2",
            [.text(id), .text(tenant)])
        guard let row = rows.first else { throw Self.notFound }
        return try WebhookColumns.webhook(row)
    }

    /// The tenant's webhooks in order of creation: up to `count` of those behind `position`.
    func list(tenant: String, after position: ListPosition?, count: Int) async throws -> [Webhook] {
        var parameters: [PostgresValue] = [.text(tenant), .integer(Int64(count))]
        var condition = ""
        if let position {
            condition = "AND (created_at, id) > ($3, $4)"
            parameters += [.timestamp(milliseconds: position.createdAtMs), .text(position.id)]
        }
        let rows = try await pool.query(
            """
            SELECT \(WebhookColumns.names) FROM registry.webhooks WHERE tenant = $1 \(condition)
            ORDER BY created_at, id LIMIT $2
            """, parameters)
        return try rows.map { try WebhookColumns.webhook($0) }
    }

    /// Changes a webhook to what `edit` makes of it, with the next version. Where `edit` changes nothing, nothing is stored. Throws
    /// `notFound`, `versionMismatch`, and what `edit` throws.
    /// - Parameters:
    ///   - tenant: nil: whosever it is.
    ///   - expected: The version that it must have; nil: any.
    ///   - floor: The new version is above this one.
    ///   - telling: What the tenant's other webhooks are told, in the same transaction.
    func change(
        _ id: String, of tenant: String?, expecting expected: UInt64?, at now: Int64, above floor: UInt64 = 0,
        force: Bool = false, telling: @Sendable (_ before: Webhook, _ after: Webhook) -> OutboxEvent? = { _, _ in nil },
        _ edit: @Sendable (Webhook) throws -> Webhook
    ) async throws -> StoredChange {
        try await pool.transaction { transaction in
            let before = try await Self.lock(id, of: tenant, expecting: expected, transaction)
            var after = try edit(before)
            guard after != before || force else { return StoredChange(webhook: before, outboxNumber: nil) }
            after.version = max(before.version, floor) + 1
            after.updatedAtMs = max(now, before.updatedAtMs)
            let event =
                telling(before, after).map { [Outbox.insertion(id, value: $0.value, headers: $0.headers)] } ?? []
            let results = try await transaction.batch(
                [
                    PostgresStatement(
                        """
                        UPDATE registry.webhooks SET (\(WebhookColumns.names)) = (\(WebhookColumns.parameters)) WHERE id = $1
                        """, WebhookColumns.values(after)),
                    Outbox.insertion(id, value: after.encoded()),
                ] + event)
            return StoredChange(webhook: after, outboxNumber: try results[1].first?.decode("number"))
        }
    }

    /// Deletes a webhook; returns the number of its tombstone's outbox record. Throws `notFound`, `versionMismatch`.
    func delete(_ id: String, of tenant: String, expecting expected: UInt64?) async throws -> Int64? {
        try await pool.transaction { transaction in
            _ = try await Self.lock(id, of: tenant, expecting: expected, transaction)
            let results = try await transaction.batch([
                PostgresStatement("DELETE FROM registry.webhooks WHERE id = $1", [.text(id)]),
                PostgresStatement(
                    "UPDATE registry.tenants SET webhooks = webhooks - 1 WHERE tenant = $1", [.text(tenant)]),
                Outbox.insertion(id, value: nil),
            ])
            return try results[2].first?.decode("number")
        }
    }

    /// Rows in order of id, `count` behind `id`: for walking through the table.
    func page(after id: String, count: Int) async throws -> [Webhook] {
        let rows = try await pool.query(
            "SELECT \(WebhookColumns.names) FROM registry.webhooks WHERE id > $1 ORDER BY id LIMIT $2",
            [.text(id), .integer(Int64(count))])
        return try rows.map { try WebhookColumns.webhook($0) }
    }

    private static func lock(
        _ id: String, of tenant: String?, expecting expected: UInt64?, _ transaction: PostgresConnection
    ) async throws -> Webhook {
        let rows = try await transaction.query(
            """
            SELECT \(WebhookColumns.names) FROM registry.webhooks
            WHERE id = $1 AND ($2::text IS NULL OR tenant = $2) FOR UPDATE
            """, [.text(id), .optional(tenant)])
        guard let row = rows.first else { throw notFound }
        let webhook = try WebhookColumns.webhook(row)
        guard expected == nil || expected == webhook.version else {
            let detail = "the webhook has version \(webhook.version) by now; read it and decide again"
            throw RequestProblem(.versionMismatch, detail)
        }
        return webhook
    }

    private static var notFound: RequestProblem {
        RequestProblem(.notFound, "there is no webhook with this id")
    }
}
