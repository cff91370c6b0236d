internal import CLinux
internal import Delivering
internal import HTTPServing
internal import JSONScanning
internal import Records

/// One delivery, and what users want of it, for the gateway (docs/internals/history.md).
struct DeliveryRoutes: Sendable {
    let queries: HistoryQueries
    let table: OpenDeliveryTable
    let letters: DeadLetterTable
    let access: InternalAccess
    let rules: ClassificationRules

    var routes: [HTTPRoute] {
        let path = "/internal/v1/deliveries/{id}"
        return [
            access.route("GET", "/internal/v1/deliveries", list), access.route("GET", path, delivery),
            access.route("POST", path, register),
            access.route("DELETE", path, withdraw), access.route("POST", path + "/requested", request),
        ]
    }

    private func delivery(_ question: InternalQuestion) async throws -> [UInt8] {
        let known = try await queries.delivery(try question.delivery(), tenant: question.tenant)
        guard let summary = known.summary else { throw HTTPProblem.unknownID }
        return HistoryAnswers.delivery(summary, attempts: known.outcomes, rules: rules, now: clinux_realtime_ms())
    }

    /// What is not delivered: open deliveries of one state or of all, or dead letters that nobody has dealt with.
    private func list(_ question: InternalQuestion) async throws -> [UInt8] {
        let states = [Standing.State.pending, .retrying, .parked]
        var asked: Standing.State?
        if let text = try question.parameter("state") {
            asked = Standing.State(rawValue: text)
            guard let asked, states.contains(asked) || asked == .dead else {
                throw HTTPProblem.wrong("state", "must be one of pending, retrying, parked, dead")
            }
        }
        let webhook = try question.text("webhook")
        let limit = try question.integer("limit", in: 1...500, default: 50)
        let cursor = try question.cursor()
        let found: [(summary: DeliverySummary?, cursor: DeliveryCursor)]
        if asked == .dead {
            var filter = DeadLetterFilter(tenant: question.tenant)
            filter.webhook = webhook
            found = try await letters.list(filter, before: cursor, limit: limit + 1).map {
                (DeliverySummary([], open: nil, letter: $0), DeliveryCursor($0))
            }
        } else {
            found = try await table.list(
                asked.map { [$0] } ?? states, webhook: webhook, tenant: question.tenant, before: cursor,
                limit: limit + 1
            ).map { (DeliverySummary([], open: $0, letter: nil), DeliveryCursor($0)) }
        }
        let page = found.prefix(limit)
        return HistoryAnswers.deliveries(
            page.compactMap(\.summary), next: found.count > limit ? page.last?.cursor : nil, now: clinux_realtime_ms())
    }

    private func register(_ question: InternalQuestion) async throws -> [UInt8] {
        let id = try question.delivery()
        let delivery = try RegisteredDelivery(try question.fields(), tenant: question.tenant)
        guard try await table.register(id, delivery) else {
            throw HTTPProblem(status: 409, code: "exists", detail: "There is a delivery of this id already.")
        }
        return try await outlook(id, question)
    }

    private func withdraw(_ question: InternalQuestion) async throws -> [UInt8] {
        try await table.withdraw(try question.delivery(), tenant: question.tenant)
        return Array("{}".utf8)
    }

    private func request(_ question: InternalQuestion) async throws -> [UInt8] {
        let id = try question.delivery()
        var fields = try question.fields()
        let name = try fields.required("what", try fields.string("what"))
        let generation = try fields.integer("generation", in: 0...Int(Int32.max))
        try fields.refuseOthers()
        guard let what = Standing.Wish(rawValue: name) else {
            let names = Standing.Wish.allCases.map(\.rawValue).joined(separator: ", ")
            throw JSONFieldError(path: "what", reason: .outOfRange(expected: "one of \(names)"))
        }
        try await table.request(what, of: id, generation: generation, tenant: question.tenant)
        return try await outlook(id, question)
    }

    /// How it stands now.
    private func outlook(_ id: DeliveryID, _ question: InternalQuestion) async throws -> [UInt8] {
        guard let summary = try await queries.delivery(id, tenant: question.tenant).summary else {
            throw HTTPProblem.unknownID
        }
        return HistoryAnswers.delivery(summary, attempts: nil, rules: rules, now: clinux_realtime_ms())
    }
}

extension RegisteredDelivery {
    /// Throws for the first field that is wrong.
    fileprivate init(_ body: JSONFields, tenant: String) throws(JSONFieldError) {
        var body = body
        func text(_ name: String, _ value: String?) throws(JSONFieldError) -> String {
            let text = try body.required(name, value)
            guard !text.utf8.contains(0) else {
                throw JSONFieldError(path: name, reason: .outOfRange(expected: "a text without NUL"))
            }
            return text
        }
        let webhook = try text("webhook_id", try body.string("webhook_id"))
        let eventID = try text("event_id", try body.string("event_id"))
        let eventType = try text("event_type", try body.string("event_type"))
        let timeText = try body.required("event_time", try body.string("event_time"))
        guard let eventTime = milliseconds(rfc3339: timeText) else {
            throw JSONFieldError(path: "event_time", reason: .outOfRange(expected: "an RFC 3339 time"))
        }
        let partition = try body.required("partition", try body.integer("partition", in: 0...Int(Int32.max)))
        let parentText = try body.string("parent")
        let parent = parentText.flatMap { DeliveryID($0) }
        if parentText != nil, parent == nil {
            throw JSONFieldError(path: "parent", reason: .outOfRange(expected: "a delivery's id"))
        }
        let origin = try body.value("origin").map { (value) throws(JSONFieldError) in
            try StoredOutcome.Place(value, path: "origin")
        }
        try body.refuseOthers()
        self.init(
            tenant: tenant, webhook: webhook, eventID: eventID, eventType: eventType, eventTime: eventTime,
            parent: parent, partition: Int32(partition), origin: origin)
    }
}

extension StoredOutcome.Place {
    fileprivate init(_ value: JSONValue, path: String) throws(JSONFieldError) {
        var fields = try JSONFields(value, path: path)
        topic = try fields.required("topic", try fields.string("topic"))
        partition = Int32(try fields.required("partition", try fields.integer("partition", in: 0...Int(Int32.max))))
        offset = Int64(try fields.required("offset", try fields.integer("offset", in: 0...Int.max)))
        try fields.refuseOthers()
    }
}
