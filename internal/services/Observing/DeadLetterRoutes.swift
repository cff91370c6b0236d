internal import HTTPServing
internal import JSONScanning
internal import Records

/// Dead letters for the gateway (docs/internals/history.md).
struct DeadLetterRoutes: Sendable {
    let table: DeadLetterTable
    let access: InternalAccess

    var routes: [HTTPRoute] {
        let path = "/internal/v1/dead-letters"
        return [
            access.route("GET", path, list), access.route("GET", path + "/count", count),
            access.route("GET", path + "/{id}", letter), access.route("POST", path + "/{id}/state", move),
        ]
    }

    private func filter(_ question: InternalQuestion) throws(HTTPProblem) -> DeadLetterFilter {
        var filter = DeadLetterFilter(tenant: question.tenant)
        filter.webhook = try question.text("webhook_id")
        filter.type = try question.text("event_type")
        filter.reason = try question.text("reason")
        filter.from = try question.time("from")
        filter.to = try question.time("to")
        if let text = try question.parameter("state") {
            guard let state = DeadLetterFilter.State(rawValue: text) else {
                let names = DeadLetterFilter.State.allCases.map(\.rawValue).joined(separator: ", ")
                throw .wrong("state", "must be one of \(names)")
            }
            filter.state = state
        }
        return filter
    }

    private func list(_ question: InternalQuestion) async throws -> [UInt8] {
        let limit = try question.integer("limit", in: 1...500, default: 50)
        let letters = try await table.list(try filter(question), before: try question.cursor(), limit: limit + 1)
        let page = letters.prefix(limit)
        var json = JSONWriter(reserving: 600 * page.count + 100)
        json.object { json in
            json.key("data")
            json.array { json in for letter in page { json.object { letter.write(to: &$0) } } }
            json.optional("next", letters.count > limit ? page.last.map { DeliveryCursor($0).text } : nil)
        }
        return json.bytes
    }

    private func count(_ question: InternalQuestion) async throws -> [UInt8] {
        let count = try await table.count(try filter(question))
        var json = JSONWriter()
        json.object { $0.member("count", count) }
        return json.bytes
    }

    private func letter(_ question: InternalQuestion) async throws -> [UInt8] {
        let found = try await table.find(try question.delivery(), tenant: question.tenant)
        guard let found else { throw HTTPProblem.unknownID }
        return Self.json(found)
    }

    private func move(_ question: InternalQuestion) async throws -> [UInt8] {
        let id = try question.delivery()
        var fields = try question.fields()
        let name = try fields.required("state", try fields.string("state"))
        let child = try fields.string("requeued_as")
        try fields.refuseOthers()
        let move = try Self.move(name, child)
        if let moved = try await table.move(id, tenant: question.tenant, move) { return Self.json(moved) }
        guard let present = try await table.find(id, tenant: question.tenant) else { throw HTTPProblem.unknownID }
        throw HTTPProblem(present)
    }

    private static func move(_ name: String, _ child: String?) throws(JSONFieldError) -> DeadLetterMove {
        if name == "discarded" { return .discard }
        guard let child else { throw JSONFieldError(path: "requeued_as", reason: .missing) }
        guard let child = DeliveryID(child) else {
            throw JSONFieldError(path: "requeued_as", reason: .outOfRange(expected: "a delivery's id"))
        }
        switch name {
        case "requeuing": return .claim(child)
        case "requeued": return .requeued(child)
        case "open": return .release(child)
        default:
            throw JSONFieldError(
                path: "state", reason: .outOfRange(expected: "one of requeuing, requeued, discarded, open"))
        }
    }

    private static func json(_ letter: StoredLetter) -> [UInt8] {
        var json = JSONWriter(reserving: 800)
        json.object { letter.write(to: &$0) }
        return json.bytes
    }
}

extension HTTPProblem {
    /// What was asked for does not go with the state that the dead letter is in.
    fileprivate init(_ letter: StoredLetter) {
        self.init(status: 409, code: "state_conflict", detail: "")
        switch letter.standing {
        case .open:
            code = "not_claimed"
            detail = "The dead letter is open, and this delivery has no claim on it."
        case .requeuing:
            code = "being_requeued"
            detail = "The dead letter is being requeued at this moment: look at it again in a minute."
        case .requeued(let child):
            code = "already_requeued"
            detail = "The dead letter has been requeued as \(child) already; resend that, should it have ended."
        case .discarded:
            code = "already_discarded"
            detail = "The dead letter has been discarded; resend the delivery to send it all the same."
        }
    }
}

extension StoredLetter {
    /// The members of a dead letter, without its braces.
    func write(to json: inout JSONWriter) {
        json.member("delivery_id", delivery.description)
        json.member("event_id", eventID)
        json.member("event_type", eventType)
        json.member("webhook_id", webhook)
        json.member("reason", reason)
        json.optional("failure", failure)
        json.optional("last_status", lastStatus)
        json.optional("response", response)
        json.member("attempt_count", attempt)
        json.key("event_time")
        json.time(eventTime)
        json.key("first_seen_at")
        json.time(firstSeen)
        json.key("dead_at")
        json.time(deadAt)
        json.member("state", name)
        var child: String?
        if case .requeued(let id) = standing { child = id }
        json.optional("requeued_as", child)
        json.optional("parent", parent?.description)
        json.key("record")
        json.place(record)
        json.key("origin")
        json.place(origin)
    }

    private var name: String {
        switch standing {
        case .open: DeadLetterFilter.State.open.rawValue
        case .requeuing: DeadLetterFilter.State.requeuing.rawValue
        case .requeued: DeadLetterFilter.State.requeued.rawValue
        case .discarded: DeadLetterFilter.State.discarded.rawValue
        }
    }
}
