internal import JSONScanning
internal import Kafka
internal import Records
internal import WireFormat

/// An outcome in topic `attempts`.
struct TailedAttempt: TailedRecord {
    private let record: CopiedRecord
    private let outcome: Records.Outcome
    private let delivery: DeliveryID

    var tenant: String { outcome.tenant }
    var webhookID: String { outcome.webhookID }

    /// nil for an outcome that only says which records need no delivery any more. Throws for what is none.
    init?(_ record: CopiedRecord) throws(UnreadableRecord) {
        self.record = record
        guard let value = record.value else { throw UnreadableRecord(description: "it has no value") }
        do throws(WireError) {
            outcome = try Records.Outcome(decoding: value)
        } catch {
            throw UnreadableRecord(description: "its value is no outcome: \(error)")
        }
        if outcome.kind == .covered { return nil }
        guard outcome.kind != .unspecified, let delivery = outcome.delivery else {
            throw UnreadableRecord(description: "its value is no outcome of a delivery")
        }
        self.delivery = delivery
    }

    /// Whether a request was made for it: parking and closing make none.
    private var wasSent: Bool { outcome.durationUs > 0 || outcome.status > 0 }

    var text: String {
        columns([
            clockText(record.timestamp), "\(delivery)", outcome.webhookID, outcome.eventType, outcome.kind.name,
            outcome.status > 0 ? "status \(outcome.status)" : wasSent ? "no answer" : nil,
            wasSent ? "\(Double(outcome.durationUs / 100) / 10) ms" : nil,
            outcome.attempt > 0 ? "request \(outcome.attempt)" : nil, outcome.reason,
            outcome.dueAtMs > 0 ? "due \(dueText)" : nil,
        ])
    }

    /// The time of day where that is enough.
    private var dueText: String {
        abs(outcome.dueAtMs - record.timestamp) < 43_200_000
            ? clockText(outcome.dueAtMs) : rfc3339(outcome.dueAtMs)
    }

    func write(to writer: inout JSONWriter) {
        writer.member("time", time: record.timestamp)
        writer.member("delivery_id", "\(delivery)")
        writer.member("webhook_id", outcome.webhookID)
        writer.member("tenant", outcome.tenant)
        writer.member("event_id", outcome.eventID)
        writer.member("event_type", outcome.eventType)
        writer.member("outcome", outcome.kind.name)
        writer.member("attempt", outcome.attempt)
        writer.member("generation", outcome.generation)
        writer.member("status", optional: outcome.status > 0 ? outcome.status : nil)
        writer.member("reason", optional: outcome.reason)
        writer.member("started_at", time: outcome.startedAtMs)
        writer.key("duration_ms")
        if wasSent { writer.double(Double(outcome.durationUs) / 1_000) } else { writer.null() }
        writer.member("response", optional: String(decoding: outcome.response, as: UTF8.self))
        writer.member("due_at", time: outcome.dueAtMs)
        writer.member("parent", optional: outcome.parent.map { "\($0)" })
        writer.key("source")
        Supervising.write(place: outcome.sourceTopic, outcome.sourcePartition, outcome.sourceOffset, to: &writer)
        writer.key("at")
        record.writePlace(to: &writer)
    }
}
