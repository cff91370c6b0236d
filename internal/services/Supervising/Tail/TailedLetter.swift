internal import JSONScanning
internal import Kafka
internal import Records

/// A delivery that was given up, in topic `dead-letters`.
struct TailedLetter: TailedRecord {
    private let record: CopiedRecord
    private let delivery: DeliveryID
    let webhookID: String
    private let eventID: String
    private let eventType: String
    private let reason: String
    /// The HTTP status of the last failed request.
    private let status: Int64?
    private let requests: Int64?

    var tenant: String { record.tenant }

    init(_ record: CopiedRecord) throws(UnreadableRecord) {
        self.record = record
        let text = try record.required(RecordHeader.delivery)
        guard let delivery = DeliveryID(text) else {
            throw UnreadableRecord(
                description: "header \(RecordHeader.delivery) is '\(oneLine(text))': expected a delivery's id")
        }
        self.delivery = delivery
        webhookID = try record.required(RecordHeader.webhook)
        eventID = try record.required(RecordHeader.id)
        eventType = try record.required(RecordHeader.type)
        reason = try record.required(RecordHeader.reason)
        status = try record.number(RecordHeader.status)
        requests = try record.number(RecordHeader.attempt)
    }

    var text: String {
        let failure = record.text(RecordHeader.failure)
        return columns([
            clockText(record.timestamp), "\(delivery)", webhookID, eventType, "dead", status.map { "status \($0)" },
            requests.map { $0 == 1 ? "1 request" : "\($0) requests" }, reason, failure == reason ? nil : failure,
        ])
    }

    func write(to writer: inout JSONWriter) {
        writer.member("time", time: record.timestamp)
        writer.member("delivery_id", "\(delivery)")
        writer.member("webhook_id", webhookID)
        writer.member("tenant", tenant)
        writer.member("event_id", eventID)
        writer.member("event_type", eventType)
        writer.member("reason", reason)
        writer.member("failure", optional: record.text(RecordHeader.failure))
        writer.member("last_status", optional: status)
        writer.member("attempt_count", optional: requests)
        writer.member("response", optional: record.text(RecordHeader.response))
        writer.member("parent", optional: record.text(RecordHeader.parent))
        writer.member("size", record.value?.count ?? 0)
        writer.key("at")
        record.writePlace(to: &writer)
    }
}
