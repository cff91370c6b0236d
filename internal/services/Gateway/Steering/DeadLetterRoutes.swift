internal import HTTPSending
internal import HTTPServing
internal import JSONScanning
internal import Records
internal import ServiceSupport
internal import Tokens

/// `/api/v1/dead-letters`: what was given up, to be looked at, delivered again or closed.
struct DeadLetterRoutes: Sendable {
    let steering: Steering
    let access: Access

    var routes: [HTTPRoute] {
        let path = "/api/v1/dead-letters"
        return [
            access.route("GET", path, .readDeliveries, list),
            access.route("GET", path + "/{id}", .readDeliveries, letter),
            access.route("POST", path + "/requeue", .writeDeliveries, requeueMany),
            access.route("POST", path + "/{id}/requeue", .writeDeliveries, requeue),
            access.route("POST", path + "/{id}/discard", .writeDeliveries, discard),
        ]
    }

    private func list(_ request: HTTPRequest, _ claims: TokenClaims) async throws -> HTTPResponse {
        var query = try request.parameters("webhook_id", "type", "reason", "from", "to", "state", "limit", "cursor")
        for name in ["webhook_id", "type", "reason"] {
            guard let text = query[name], !BulkOrder.isFilter(text) else { continue }
            throw HTTPProblem(
                status: 422, code: "field_invalid",
                detail: "The parameter \(name) must be \(BulkOrder.filterExpectation).",
                field: name)
        }
        if let type = query.removeValue(forKey: "type") { query["event_type"] = type }
        return try await steering.history.ask(
            ["dead-letters"], tenant: claims.tenant, query: query, requestID: request.requestID)
    }

    private func letter(_ request: HTTPRequest, _ claims: TokenClaims) async throws -> HTTPResponse {
        _ = try request.parameters()
        return try await steering.history.ask(
            ["dead-letters", request.parameters["id"] ?? ""], tenant: claims.tenant, requestID: request.requestID)
    }

    private func requeue(_ request: HTTPRequest, _ claims: TokenClaims) async throws -> HTTPResponse {
        let caller = Steering.Caller(claims, request)
        _ = try request.parameters()
        try request.refuseBody()
        let letter = try KnownDelivery(
            try await steering.history.call(
                .get, ["dead-letters", request.parameters["id"] ?? ""], tenant: caller.tenant,
                requestID: caller.requestID))
        guard try await steering.hasWebhook(letter.webhookID, caller) else { throw Steering.webhookGone }
        let (delivery, wanted) = try await steering.requeue(letter, caller)
        return .accepted(delivery, wanted)
    }

    private func discard(_ request: HTTPRequest, _ claims: TokenClaims) async throws -> HTTPResponse {
        _ = try request.parameters()
        try request.refuseBody()
        var body = JSONWriter()
        body.object { $0.member("state", "discarded") }
        _ = try await steering.history.call(
            .post, ["dead-letters", request.parameters["id"] ?? "", "state"], tenant: claims.tenant, body: body,
            requestID: request.requestID)
        return HTTPResponse(status: 204)
    }

    private func requeueMany(_ request: HTTPRequest, _ claims: TokenClaims) async throws -> HTTPResponse {
        let caller = Steering.Caller(claims, request)
        _ = try request.parameters()
        let order = try BulkOrder(try request.jsonBody())
        return .json(try await BulkRequeue(steering: steering, order: order, caller: caller).run())
    }
}

extension Steering {
    /// Makes a delivery of a dead letter. It is claimed first, so that of two who want this one does it; who dies on the way leaves a claim that
    /// lapses, and where Kafka had the delivery by then, its outcome marks the dead letter.
    /// Throws `HTTPProblem`: 409 where it is not open.
    func requeue(_ letter: KnownDelivery, _ caller: Caller) async throws -> (KnownDelivery, Wanted) {
        let id = Wanted.newID()
        try await move(letter, to: "requeuing", id, caller)
        let wanted: Wanted
        let delivery: KnownDelivery
        do {
            let source = try await kafka.source(of: letter, tenant: caller.tenant, prefersOwn: true)
            wanted = Wanted(id, repeating: letter, from: source)
            delivery = try await make(wanted, caller)
        } catch {
            // What Kafka may have all the same keeps its claim until that lapses.
            if (error as? HTTPProblem) != SteeringKafka.unacknowledged {
                await attempt("a dead letter's claim cannot be released") {
                    try await move(letter, to: "open", id, caller)
                }
            }
            throw error
        }
        await attempt("a dead letter cannot be marked as requeued") {
            try await move(letter, to: "requeued", id, caller)
        }
        return (delivery, wanted)
    }

    private func move(_ letter: KnownDelivery, to state: String, _ child: DeliveryID, _ caller: Caller) async throws {
        var body = JSONWriter()
        body.object { json in
            json.member("state", state)
            json.member("requeued_as", child.description)
        }
        _ = try await history.call(
            .post, ["dead-letters", letter.id.description, "state"], tenant: caller.tenant, body: body,
            requestID: caller.requestID)
    }
}
