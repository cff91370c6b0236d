internal import Postgres
internal import Records
internal import WireFormat

/// How a webhook lies in table `registry.webhooks`.
enum WebhookColumns {
    static let names = """
        id, tenant, version, url, event_types, header_names, header_values, enabled, disabled_reason, secrets, timeout_ms, \
        max_in_flight, description, hub_signature, created_at, updated_at, retry, rate_per_second, paused, \
        failing_since
        """

    /// `$1` … `$20`, in the order of `names`. Cast, because a SELECT's bare parameter would be text.
    static let parameters = """
        $1::text, $2::text, $3::bigint, $4::text, $5::text[], $6::text[], $7::text[], $8::boolean, $9::text, $10::bytea, \
        $11::integer, $12::integer, $13::text, $14::boolean, $15::timestamptz, $16::timestamptz, $17::bytea, $18::integer, \
        $19::boolean, $20::timestamptz
        """

    static func values(_ webhook: Webhook) -> [PostgresValue] {
        [
            .text(webhook.id), .text(webhook.tenant), .integer(Int64(webhook.version)), .text(webhook.url),
            .textArray(webhook.eventTypes), .textArray(webhook.headers.map(\.name)),
            .textArray(webhook.headers.map(\.value)), .boolean(webhook.enabled), .text(webhook.disabledReason),
            .bytes(encoded(webhook.secrets)), .integer(Int64(webhook.timeoutMs)), .integer(Int64(webhook.maxInFlight)),
            .text(webhook.description), .boolean(webhook.hubSignature),
            .timestamp(milliseconds: webhook.createdAtMs), .timestamp(milliseconds: webhook.updatedAtMs),
            webhook.retry.map { .bytes($0.encoded()) } ?? .null, .integer(Int64(webhook.ratePerSecond)),
            .boolean(webhook.paused),
            webhook.failingSinceMs == 0 ? .null : .timestamp(milliseconds: webhook.failingSinceMs),
        ]
    }

    /// Throws `PostgresDecodingError`, or `WireError` where secrets or retries are no message.
    static func webhook(_ row: PostgresRow) throws -> Webhook {
        var webhook = Webhook()
        webhook.id = try row.decode("id")
        webhook.tenant = try row.decode("tenant")
        webhook.version = UInt64(try row.decode("version", as: Int64.self))
        webhook.url = try row.decode("url")
        webhook.eventTypes = try row.decode("event_types")
        let headers = zip(
            try row.decode("header_names", as: [String].self), try row.decode("header_values", as: [String].self))
        webhook.headers = headers.map { Webhook.Header(name: $0, value: $1) }
        webhook.enabled = try row.decode("enabled")
        webhook.disabledReason = try row.decode("disabled_reason")
        webhook.secrets = try Webhook(decoding: try row.decode("secrets", as: [UInt8].self)).secrets
        webhook.timeoutMs = try row.decode("timeout_ms")
        webhook.maxInFlight = try row.decode("max_in_flight")
        webhook.description = try row.decode("description")
        webhook.hubSignature = try row.decode("hub_signature")
        webhook.createdAtMs = try row.decode("created_at", as: PostgresTimestamp.self).milliseconds
        webhook.updatedAtMs = try row.decode("updated_at", as: PostgresTimestamp.self).milliseconds
        webhook.retry = try row.decodeIfPresent("retry", as: [UInt8].self).map { try WebhookRetry(decoding: $0) }
        webhook.ratePerSecond = try row.decode("rate_per_second")
        webhook.paused = try row.decode("paused")
        webhook.failingSinceMs =
            try row.decodeIfPresent("failing_since", as: PostgresTimestamp.self)?.milliseconds ?? 0
        return webhook
    }

    private static func encoded(_ secrets: [SealedSecret]) -> [UInt8] {
        var carrier = Webhook()
        carrier.enabled = false
        carrier.secrets = secrets
        return carrier.encoded()
    }
}
