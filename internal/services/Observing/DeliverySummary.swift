internal import JSONScanning
internal import Postgres
internal import Records

/// A delivery as a whole. Its outcomes tell most; where their hours are gone, or none has come yet, the tables of open deliveries and
/// dead letters do. Times are milliseconds since 1970.
struct DeliverySummary: Sendable {
    var id: DeliveryID
    var eventID: String
    var eventType: String
    var eventTime: Int64
    var webhook: String
    var standing: Standing
    var generation: Int64
    var firstSeen: Int64
    var updatedAt: Int64
    var parent: DeliveryID?
    /// Of all its records.
    var partition: Int32
    var origin: StoredOutcome.Place?
    var record: StoredOutcome.Place?

    /// By its outcomes in order; nil without any.
    init?(_ outcomes: [StoredOutcome]) {
        guard let first = outcomes.first, let last = outcomes.last else { return nil }
        id = first.delivery
        eventID = first.eventID
        eventType = first.eventType
        eventTime = first.eventTime
        webhook = first.webhook
        standing = Standing(state: Standing.State(last.kind), attempts: last.attempt, reason: last.reason)
        standing.status = outcomes.last(where: \.hasRequest)?.status
        standing.failure = outcomes.last { $0.kind == .failed }?.reason
        standing.dueAt = last.kind.isFinal ? nil : last.dueAt
        generation = last.generation
        firstSeen = first.at
        updatedAt = last.at
        parent = first.parent
        partition = first.logPartition
        origin = first.origin
        record = last.record
    }

    init(_ open: StoredOpenDelivery) {
        id = open.delivery
        eventID = open.eventID
        eventType = open.eventType
        eventTime = open.eventTime
        webhook = open.webhook
        standing = Standing(state: open.state, attempts: open.attempt, reason: open.reason)
        standing.status = open.lastStatus
        standing.failure = open.failure
        standing.dueAt = open.dueAt
        generation = open.generation
        firstSeen = open.firstSeen
        updatedAt = open.updatedAt
        parent = open.parent
        partition = open.partition
        origin = open.origin
        record = open.record
    }

    init(_ letter: StoredLetter) {
        id = letter.delivery
        eventID = letter.eventID
        eventType = letter.eventType
        eventTime = letter.eventTime
        webhook = letter.webhook
        standing = Standing(state: .dead, attempts: letter.attempt, reason: letter.reason)
        standing.status = letter.lastStatus
        generation = letter.generation
        firstSeen = letter.firstSeen
        updatedAt = letter.deadAt
        parent = letter.parent
        partition = letter.record.partition
        origin = letter.origin
        record = letter.record
    }

    /// Everything that is known of a delivery; nil where that is nothing.
    init?(_ outcomes: [StoredOutcome], open: StoredOpenDelivery?, letter: StoredLetter?) {
        guard
            let summary = DeliverySummary(outcomes) ?? letter.map(DeliverySummary.init)
                ?? open.map(DeliverySummary.init)
        else { return nil }
        self = summary
        if standing.next != nil {
            standing.requested = open?.requested
            standing.failure = open?.failure ?? standing.failure
        }
        guard standing.state == .dead, let letter else { return }
        standing.letter = letter.standing
        standing.failure = letter.failure
        standing.status = letter.lastStatus
    }

    /// The members of a delivery, without its braces.
    func write(to json: inout JSONWriter) {
        json.member("id", id.description)
        json.member("event_id", eventID)
        json.member("event_type", eventType)
        json.member("webhook_id", webhook)
        json.member("status", standing.state.rawValue)
        json.member("attempt_count", standing.attempts)
        json.member("generation", generation)
        json.key("first_seen_at")
        json.time(firstSeen)
        json.key("updated_at")
        json.time(updatedAt)
        json.optional(time: "due_at", standing.dueAt)
        json.optional("last_status", standing.status)
        json.optional("last_reason", standing.reason)
        json.key("event_time")
        json.time(eventTime)
        json.optional("parent", parent?.description)
        json.member("partition", partition)
        json.key("origin")
        json.place(origin)
        json.key("record")
        json.place(record)
    }

    /// What is said of one delivery alone.
    func writeOutlook(to json: inout JSONWriter, now: Int64) {
        json.member("explanation", standing.explanation(now: now))
        json.key("next")
        if let next = standing.next {
            json.object { json in
                json.optional(time: "at", next.at)
                json.member("what", next.what)
            }
        } else {
            json.null()
        }
        json.key("requested")
        if let requested = standing.requested {
            json.object { json in
                json.member("what", requested.what.rawValue)
                json.key("at")
                json.time(requested.at)
            }
        } else {
            json.null()
        }
    }
}

extension JSONWriter {
    /// `null` for nil.
    mutating func optional(_ name: String, _ text: String?) {
        key(name)
        if let text { string(text) } else { null() }
    }

    mutating func optional(_ name: String, _ number: Int64?) {
        key(name)
        if let number { integer(number) } else { null() }
    }

    mutating func optional(time name: String, _ milliseconds: Int64?) {
        key(name)
        if let milliseconds { time(milliseconds) } else { null() }
    }

    mutating func place(_ place: StoredOutcome.Place?) {
        guard let place else { return null() }
        object { json in
            json.member("topic", place.topic)
            json.member("partition", place.partition)
            json.member("offset", place.offset)
        }
    }
}
