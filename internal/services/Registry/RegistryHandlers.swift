internal import Cryptography
internal import Editing
internal import GRPC
internal import Logs
internal import Metrics
internal import Postgres
internal import Records
internal import ServiceSupport
internal import StandardWebhooks
internal import Validation

/// The methods of `martlet.v1.Registry`.
struct RegistryHandlers: Sendable {
    /// How long a change's answer waits for Kafka's acknowledgement.
    private static let patience = Duration.seconds(5)
    /// What is left of a caller's deadline for the answer itself.
    private static let answerTime = Duration.milliseconds(300)
    private static let maximumOverlapSeconds: UInt32 = 30 * 86_400

    let store: WebhookStore
    let published: PublishedRecords
    let sealer: SecretSealer
    let rules: WebhookRules
    /// Of a rotation that does not say.
    let overlap: Duration
    let metrics: RegistryMetrics
    let logger: Logger
    /// Milliseconds since 1970.
    let clock: @Sendable () -> Int64

    func create(_ request: CreateWebhookRequest, _ context: GRPCContext) async throws -> CreateWebhookReply {
        try check(tenant: request.tenant)
        try check(rules.problems(inNew: request.fields))
        let secret = WebhookSecret()
        var webhook = Webhook().applying(request.fields)
        webhook.id =
            "wh_" + randomBytes(16).map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
        webhook.tenant = request.tenant
        webhook.version = 1
        webhook.createdAtMs = clock()
        webhook.updatedAtMs = webhook.createdAtMs
        webhook.secrets = [try sealer.seal(secret.key, of: webhook.id)]
        let change = try await store.create(webhook)
        note("created", webhook)
        var reply = CreateWebhookReply()
        reply.webhook = webhook.withoutSealedSecrets
        reply.secret = secret.text
        reply.pending = await isPending(change.outboxNumber, context)
        return reply
    }

    func get(_ request: GetWebhookRequest, _ context: GRPCContext) async throws -> GetWebhookReply {
        try check(tenant: request.tenant)
        try check(id: request.id)
        var reply = GetWebhookReply()
        reply.webhook = try await store.find(request.id, of: request.tenant).withoutSealedSecrets
        return reply
    }

    func list(_ request: ListWebhooksRequest, _ context: GRPCContext) async throws -> ListWebhooksReply {
        try check(tenant: request.tenant)
        guard request.limit <= 100 else {
            throw RequestProblem(field: "limit", .fieldInvalid, "is \(request.limit), expected is 1 to 100")
        }
        let position = request.cursor.isEmpty ? nil : ListPosition(cursor: request.cursor)
        guard request.cursor.isEmpty || position != nil else {
            throw RequestProblem(field: "cursor", .fieldInvalid, "is not what a page's next was")
        }
        let count = request.limit == 0 ? 50 : Int(request.limit)
        let found = try await store.list(tenant: request.tenant, after: position, count: count + 1)
        var reply = ListWebhooksReply()
        reply.webhooks = found.prefix(count).map(\.withoutSealedSecrets)
        if found.count > count, let last = reply.webhooks.last {
            reply.next = ListPosition(createdAtMs: last.createdAtMs, id: last.id).text
        }
        return reply
    }

    func update(_ request: UpdateWebhookRequest, _ context: GRPCContext) async throws -> UpdateWebhookReply {
        try check(tenant: request.tenant)
        try check(id: request.id)
        try check(rules.problems(in: request.fields))
        let change = try await store.change(
            request.id, of: request.tenant, expecting: Self.expected(request.expectedVersion), at: clock()
        ) { $0.applying(request.fields) }
        if change.outboxNumber != nil { note("updated", change.webhook) }
        var reply = UpdateWebhookReply()
        reply.webhook = change.webhook.withoutSealedSecrets
        reply.pending = await isPending(change.outboxNumber, context)
        return reply
    }

    func delete(_ request: DeleteWebhookRequest, _ context: GRPCContext) async throws -> DeleteWebhookReply {
        try check(tenant: request.tenant)
        try check(id: request.id)
        let number = try await store.delete(
            request.id, of: request.tenant, expecting: Self.expected(request.expectedVersion))
        var webhook = Webhook()
        webhook.id = request.id
        webhook.tenant = request.tenant
        note("deleted", webhook)
        var reply = DeleteWebhookReply()
        reply.pending = await isPending(number, context)
        return reply
    }

    func rotateSecret(_ request: RotateSecretRequest, _ context: GRPCContext) async throws -> RotateSecretReply {
        try check(tenant: request.tenant)
        try check(id: request.id)
        if let seconds = request.overlapSeconds, seconds > Self.maximumOverlapSeconds {
            let detail = "is \(seconds), expected is 0 to \(Self.maximumOverlapSeconds)"
            throw RequestProblem(field: "overlap_seconds", .fieldInvalid, detail)
        }
        let overlapMs = request.overlapSeconds.map { Int64($0) * 1_000 } ?? Int64(overlap.milliseconds)
        let secret = WebhookSecret()
        let sealed = try sealer.seal(secret.key, of: request.id)
        let now = clock()
        let change = try await store.change(
            request.id, of: request.tenant, expecting: Self.expected(request.expectedVersion), at: now
        ) { try $0.rotating(to: sealed, now: now, overlapMs: overlapMs) }
        note("secret_rotated", change.webhook)
        var reply = RotateSecretReply()
        reply.webhook = change.webhook.withoutSealedSecrets
        reply.secret = secret.text
        reply.pending = await isPending(change.outboxNumber, context)
        return reply
    }

    // MARK: Parts

    private static func expected(_ version: UInt64) -> UInt64? { version == 0 ? nil : version }

    private func check(tenant: String) throws(RequestProblem) {
        guard isTenant(tenant.utf8) else {
            throw RequestProblem(
                field: "tenant", .fieldInvalid, "is not 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit")
        }
    }

    /// What cannot be an id is nobody's.
    private func check(id: String) throws(RequestProblem) {
        guard id.utf8.count <= 64, !id.utf8.contains(0) else {
            throw RequestProblem(.notFound, "there is no webhook with this id")
        }
    }

    private func check(_ problems: [RequestProblem]) throws(RequestProblems) {
        guard problems.isEmpty else { throw RequestProblems(problems) }
    }

    /// Whether the change's answer goes out before Kafka's acknowledgement has come.
    private func isPending(_ number: Int64?, _ context: GRPCContext) async -> Bool {
        guard let number else { return false }
        let rest = context.deadline.map { $0 - .now - Self.answerTime } ?? Self.patience
        if await published.wait(for: number, within: max(.zero, min(rest, Self.patience))) { return false }
        if let isPublished = try? await Outbox.isPublished(number, store.pool), isPublished { return false }
        metrics.pendingAnswers.increment()
        return true
    }

    private func note(_ change: String, _ webhook: Webhook) {
        metrics.changes.labelled(change).increment()
        logger.info(
            "webhook changed",
            metadata: [
                "change": "\(change)", LogKey.webhook: "\(webhook.id)", LogKey.tenant: "\(webhook.tenant)",
                "version": .stringConvertible(webhook.version),
            ])
    }
}
