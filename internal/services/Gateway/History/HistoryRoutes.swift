internal import HTTPServing
internal import Records
internal import Tokens

/// What became of events, deliveries and webhooks: questions passed on to observability for the token's tenant.
struct HistoryRoutes: Sendable {
    let history: HistoryCalls
    let registry: RegistryCalls
    let access: Access

    var routes: [HTTPRoute] {
        [
            access.route("GET", "/api/v1/events/{id}", .readDeliveries) { request, caller in
                _ = try request.parameters()
                return try await ask("events", request, caller)
            },
            access.route("GET", "/api/v1/deliveries", .readDeliveries) { request, caller in
                let query = try request.parameters("state", "webhook", "limit", "cursor")
                return try await history.ask(
                    ["deliveries"], tenant: caller.tenant, query: query, requestID: request.requestID)
            },
            access.route("GET", "/api/v1/deliveries/{id}", .readDeliveries) { request, caller in
                _ = try request.parameters()
                return try await ask("deliveries", request, caller)
            },
            access.route("GET", "/api/v1/webhooks/{id}/attempts", .readDeliveries) { request, caller in
                let query = try request.parameters("limit", "cursor", "outcome")
                try await demandWebhook(request, caller)
                return try await ask("webhooks", request, caller, ["attempts"], query)
            },
            access.route("GET", "/api/v1/webhooks/{id}/stats", .readDeliveries) { request, caller in
                let query = try request.parameters("window")
                try await demandWebhook(request, caller)
                return try await ask("webhooks", request, caller, ["stats"], query)
            },
        ]
    }

    private func ask(
        _ kind: String, _ request: HTTPRequest, _ caller: TokenClaims, _ rest: [String] = [],
        _ query: [String: String] = [:]
    ) async throws -> HTTPResponse {
        try await history.ask(
            [kind, request.parameters["id"] ?? ""] + rest, tenant: caller.tenant, query: query,
            requestID: request.requestID)
    }

    /// History answers for a webhook that never was with an empty list; the registry knows better. While it is away, history alone
    /// answers, for the tenant's own.
    private func demandWebhook(_ request: HTTPRequest, _ caller: TokenClaims) async throws {
        var call = GetWebhookRequest()
        call.tenant = caller.tenant
        call.id = request.parameters["id"] ?? ""
        do {
            _ = try await registry.read(RegistryMethod.get, call, returning: GetWebhookReply.self)
        } catch let problem as HTTPProblem where problem.status == 503 {}
    }
}
