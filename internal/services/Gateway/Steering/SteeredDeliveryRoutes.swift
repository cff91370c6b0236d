internal import HTTPSending
internal import HTTPServing
internal import Ingestion
internal import JSONScanning
internal import Kafka
internal import Records
internal import ServiceSupport
internal import Tokens

/// Retrying, cancelling and resending a delivery, and trying a webhook out.
struct SteeredDeliveryRoutes: Sendable {
    let steering: Steering
    let access: Access

    static let testType = "martlet.test"
    static let testSource = "martlet"

    var routes: [HTTPRoute] {
        let path = "/api/v1/deliveries/{id}"
        return [
            access.route("POST", path + "/retry", .writeDeliveries, retry),
            access.route("POST", path + "/cancel", .writeDeliveries, cancel),
            access.route("POST", path + "/resend", .writeDeliveries, resend),
            access.route("POST", "/api/v1/webhooks/{id}/test", .writeDeliveries, test),
        ]
    }

    private func known(_ request: HTTPRequest, _ caller: Steering.Caller) async throws -> KnownDelivery {
        _ = try request.parameters()
        try request.refuseBody()
        return try await steering.delivery(request.parameters["id"] ?? "", caller)
    }

    // MARK: Commands

    private func retry(_ request: HTTPRequest, _ claims: TokenClaims) async throws -> HTTPResponse {
        let caller = Steering.Caller(claims, request)
        let delivery = try await known(request, caller)
        if let problem = delivery.retryProblem { throw problem }
        try await steering.command("retry", .retryNow(delivery.id, generation: delivery.generation), delivery)
        return await noted("retry", delivery, caller)
    }

    private func cancel(_ request: HTTPRequest, _ claims: TokenClaims) async throws -> HTTPResponse {
        let caller = Steering.Caller(claims, request)
        let delivery = try await known(request, caller)
        if let problem = delivery.cancelProblem { throw problem }
        try await steering.command("cancel", .cancel(delivery.id), delivery)
        return await noted("cancel", delivery, caller)
    }

    /// Kafka has the command: that is answered, whether or not history can be told of it.
    private func noted(_ what: String, _ delivery: KnownDelivery, _ caller: Steering.Caller) async -> HTTPResponse {
        var body = JSONWriter()
        body.object { json in
            json.member("what", what)
            // By now the retry may be over, and that it was wanted is no news; a cancellation holds for whatever follows.
            if what == "retry" { json.member("generation", Int64(delivery.generation)) }
        }
        var noted: JSONValue?
        await steering.attempt("a request of a user's cannot be noted") {
            noted = try await steering.history.call(
                .post, ["deliveries", delivery.id.description, "requested"], tenant: caller.tenant, body: body,
                requestID: caller.requestID)
        }
        var json = JSONWriter()
        json.object { json in
            json.member("delivery_id", delivery.id.description)
            json.member("status", noted?["status"]?.text ?? delivery.status.rawValue)
            json.member("explanation", noted?["explanation"]?.text ?? delivery.explanation)
            json.key("at")
            if let at = noted?["next"]?["at"]?.text { json.string(at) } else { json.null() }
        }
        return .json(status: 202, json.bytes)
    }

    // MARK: New deliveries

    private func resend(_ request: HTTPRequest, _ claims: TokenClaims) async throws -> HTTPResponse {
        let caller = Steering.Caller(claims, request)
        let delivery = try await known(request, caller)
        guard try await steering.hasWebhook(delivery.webhookID, caller) else { throw Steering.webhookGone }
        let source = try await steering.kafka.source(of: delivery, tenant: caller.tenant, prefersOwn: false)
        let wanted = Steering.Wanted(Steering.Wanted.newID(), repeating: delivery, from: source)
        return .accepted(try await steering.make(wanted, caller), wanted)
    }

    /// The body is optional: `{"type": …, "data": …}`.
    private func test(_ request: HTTPRequest, _ claims: TokenClaims) async throws -> HTTPResponse {
        let caller = Steering.Caller(claims, request)
        _ = try request.parameters()
        let webhookID = request.parameters["id"] ?? ""
        let (type, event) = try Self.testEvent(request, tenant: caller.tenant, maximumBytes: steering.maxEventBytes)
        guard try await steering.hasWebhook(webhookID, caller) else {
            throw HTTPProblem.notFound("There is no webhook with this id.")
        }
        let wanted = Steering.Wanted(
            test: Steering.Wanted.newID(), webhookID: webhookID, eventID: event.id, eventType: type,
            eventTime: rfc3339(event.builtAt),
            partition: partition(ofKey: webhookID.utf8, count: steering.partitions), payload: event.value,
            headers: event.headers)
        return .accepted(try await steering.make(wanted, caller), wanted)
    }

    private static func testEvent(
        _ request: HTTPRequest, tenant: String, maximumBytes: Int
    ) throws -> (type: String, event: BuiltEvent) {
        var type = testType
        var data: JSONValue?
        if !request.body.isEmpty {
            var fields = try JSONFields(try request.jsonBody())
            type = try fields.string("type") ?? type
            data = fields.value("data")
            try fields.refuseOthers()
        }
        var json = JSONWriter(reserving: request.body.count + 100)
        json.object { json in
            json.member("type", type)
            json.member("source", testSource)
            guard let data else { return }
            json.key("data")
            json.value(data)
        }
        return (type, try BuiltEvent(json.bytes, tenant: tenant, maximumBytes: maximumBytes))
    }
}

extension KnownDelivery {
    private static func conflict(_ code: String, _ detail: String) -> HTTPProblem {
        HTTPProblem(status: 409, code: code, detail: detail)
    }

    /// Why it cannot be retried now.
    fileprivate var retryProblem: HTTPProblem? {
        switch status {
        case .retrying, .parked:
            isBeingCancelled
                ? Self.conflict("not_waiting", "It is being cancelled; resend it to send it all the same.") : nil
        case .pending: Self.conflict("not_waiting", "Its first request has not ended yet and needs no retry.")
        case .delivered: Self.conflict("not_waiting", "It is delivered; resend it to send it once more.")
        case .dead:
            Self.conflict("not_waiting", "It has been given up; requeue its dead letter to deliver it again.")
        case .cancelled: Self.conflict("not_waiting", "It has been cancelled; resend it to send it all the same.")
        }
    }

    /// Why it cannot be cancelled.
    fileprivate var cancelProblem: HTTPProblem? {
        switch status {
        case .pending, .retrying, .parked: nil
        case .delivered: Self.conflict("already_ended", "It is delivered; there is nothing to cancel.")
        case .dead:
            Self.conflict("already_ended", "It has been given up; discard its dead letter to be done with it.")
        case .cancelled: Self.conflict("already_ended", "It has been cancelled already.")
        }
    }
}

extension HTTPResponse {
    /// Kafka has a new delivery.
    static func accepted(_ delivery: KnownDelivery, _ wanted: Steering.Wanted) -> HTTPResponse {
        var json = JSONWriter(reserving: 400)
        json.object { json in
            json.member("delivery_id", wanted.id.description)
            if let parent = wanted.parent { json.member("parent", parent.description) }
            json.member("event_id", wanted.eventID)
            json.member("webhook_id", wanted.webhookID)
            json.member("status", delivery.status.rawValue)
            json.member("explanation", delivery.explanation)
        }
        return .json(status: 202, json.bytes)
    }
}

extension HTTPRequest {
    /// For routes that take none: 422 for a body with something in it.
    func refuseBody() throws {
        guard !body.isEmpty else { return }
        try JSONFields(try jsonBody()).refuseOthers()
    }
}
