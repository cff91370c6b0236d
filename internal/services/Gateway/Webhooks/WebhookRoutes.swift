internal import HTTPServing
internal import JSONScanning
internal import Records
internal import Tokens

/// `/api/v1/webhooks`: each request becomes one call to the registry, for the token's tenant.
struct WebhookRoutes: Sendable {
    let registry: RegistryCalls
    let access: Access

    var routes: [HTTPRoute] {
        let path = "/api/v1/webhooks"
        return [
            access.route("POST", path, .writeWebhooks, create),
            access.route("GET", path, .readWebhooks, list),
            access.route("GET", path + "/{id}", .readWebhooks, get),
            access.route("PATCH", path + "/{id}", .writeWebhooks) { try await update($0, $1, .change) },
            access.route("PUT", path + "/{id}", .writeWebhooks) { try await update($0, $1, .replacement) },
            access.route("DELETE", path + "/{id}", .writeWebhooks, delete),
            access.route("POST", path + "/{id}/rotate-secret", .writeWebhooks, rotateSecret),
            access.route("POST", path + "/{id}/pause", .writeWebhooks) { try await pause($0, $1, true) },
            access.route("POST", path + "/{id}/resume", .writeWebhooks) { try await pause($0, $1, false) },
        ]
    }

    private func create(_ request: HTTPRequest, _ caller: TokenClaims) async throws -> HTTPResponse {
        var call = CreateWebhookRequest()
        call.tenant = caller.tenant
        call.fields = try WebhookBody.fields(try request.jsonBody(), for: .creation)
        let reply = try await registry.change(
            RegistryMethod.create, call, headers: call.fields.headers, returning: CreateWebhookReply.self)
        let body = WebhookAnswers.change(reply.webhook, pending: reply.pending, secret: reply.secret)
        return .json(
            status: 201, body,
            headers: [
                ("location", "/api/v1/webhooks/\(reply.webhook.id)"), ("etag", entityTag(reply.webhook.version)),
                Self.notStored,
            ])
    }

    private func list(_ request: HTTPRequest, _ caller: TokenClaims) async throws -> HTTPResponse {
        let parameters = try request.parameters("limit", "cursor")
        var call = ListWebhooksRequest()
        call.tenant = caller.tenant
        if let limit = parameters["limit"] {
            guard let number = UInt32(limit), (1...100).contains(number) else {
                throw RequestProblem(
                    field: "limit", .fieldInvalid, "The parameter limit must be a number from 1 to 100.")
            }
            call.limit = number
        }
        call.cursor = parameters["cursor"] ?? ""
        let page = try await registry.read(RegistryMethod.list, call, returning: ListWebhooksReply.self)
        return .json(WebhookAnswers.list(page))
    }

    private func get(_ request: HTTPRequest, _ caller: TokenClaims) async throws -> HTTPResponse {
        var call = GetWebhookRequest()
        call.tenant = caller.tenant
        call.id = request.parameters["id"] ?? ""
        let reply = try await registry.read(RegistryMethod.get, call, returning: GetWebhookReply.self)
        return .json(WebhookAnswers.webhook(reply.webhook), headers: [("etag", entityTag(reply.webhook.version))])
    }

    private func update(
        _ request: HTTPRequest, _ caller: TokenClaims, _ purpose: WebhookBody.Purpose
    ) async throws -> HTTPResponse {
        var call = UpdateWebhookRequest()
        call.tenant = caller.tenant
        call.id = request.parameters["id"] ?? ""
        call.expectedVersion = try request.expectedVersion() ?? 0
        call.fields = try WebhookBody.fields(try request.jsonBody(), for: purpose)
        let reply = try await registry.change(
            RegistryMethod.update, call, headers: call.fields.headers, returning: UpdateWebhookReply.self)
        return .json(
            WebhookAnswers.change(reply.webhook, pending: reply.pending),
            headers: [("etag", entityTag(reply.webhook.version))])
    }

    /// Sets whether it is paused; where it is already, nothing changes.
    private func pause(_ request: HTTPRequest, _ caller: TokenClaims, _ isPaused: Bool) async throws -> HTTPResponse {
        var call = UpdateWebhookRequest()
        call.tenant = caller.tenant
        call.id = request.parameters["id"] ?? ""
        call.expectedVersion = try request.expectedVersion() ?? 0
        call.fields.paused = isPaused
        let reply = try await registry.change(RegistryMethod.update, call, returning: UpdateWebhookReply.self)
        return .json(
            WebhookAnswers.change(reply.webhook, pending: reply.pending),
            headers: [("etag", entityTag(reply.webhook.version))])
    }

    private func delete(_ request: HTTPRequest, _ caller: TokenClaims) async throws -> HTTPResponse {
        var call = DeleteWebhookRequest()
        call.tenant = caller.tenant
        call.id = request.parameters["id"] ?? ""
        call.expectedVersion = try request.expectedVersion() ?? 0
        _ = try await registry.change(RegistryMethod.delete, call, returning: DeleteWebhookReply.self)
        return HTTPResponse(status: 204)
    }

    /// The body is optional: `{"overlap_seconds": 3600}`.
    private func rotateSecret(_ request: HTTPRequest, _ caller: TokenClaims) async throws -> HTTPResponse {
        var call = RotateSecretRequest()
        call.tenant = caller.tenant
        call.id = request.parameters["id"] ?? ""
        call.expectedVersion = try request.expectedVersion() ?? 0
        if !request.body.isEmpty {
            var fields = try JSONFields(try request.jsonBody())
            call.overlapSeconds = try fields.integer("overlap_seconds", in: 0...(30 * 86_400)).map { UInt32($0) }
            try fields.refuseOthers()
        }
        let reply = try await registry.change(RegistryMethod.rotateSecret, call, returning: RotateSecretReply.self)
        return .json(
            WebhookAnswers.change(reply.webhook, pending: reply.pending, secret: reply.secret),
            headers: [("etag", entityTag(reply.webhook.version)), Self.notStored])
    }

    /// For answers with a secret in them.
    private static let notStored = (name: "cache-control", value: "no-store")
}
