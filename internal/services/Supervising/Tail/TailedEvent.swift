internal import JSONScanning
internal import Kafka
internal import Records

/// An event, in topic `events`.
struct TailedEvent: TailedRecord {
    private let record: CopiedRecord
    private let id: String
    private let type: String
    private let source: String

    var tenant: String { record.tenant }
    var webhookID: String { "" }

    init(_ record: CopiedRecord) throws(UnreadableRecord) {
        self.record = record
        id = try record.required(RecordHeader.id)
        type = try record.required(RecordHeader.type)
        source = try record.required(RecordHeader.source)
    }

    var text: String {
        columns([
            clockText(record.timestamp), id, type, "from \(source)", tenant == defaultTenant ? nil : "tenant \(tenant)",
            record.text(RecordHeader.orderingKey).map { "key \($0)" }, "\(record.value?.count ?? 0) bytes",
        ])
    }

    func write(to writer: inout JSONWriter) {
        writer.member("time", time: record.timestamp)
        writer.member("id", id)
        writer.member("type", type)
        writer.member("source", source)
        writer.member("tenant", tenant)
        writer.member("event_time", optional: record.text(RecordHeader.time))
        writer.member("ordering_key", optional: record.text(RecordHeader.orderingKey))
        writer.member("content_type", optional: record.text(RecordHeader.contentType))
        writer.member("traceparent", optional: record.text(RecordHeader.traceParent))
        writer.key("payload")
        if let value = record.value { writer.string(bytes: value) } else { writer.null() }
        writer.key("at")
        record.writePlace(to: &writer)
    }
}
