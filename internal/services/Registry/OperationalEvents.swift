internal import Editing
internal import JSONScanning
internal import Kafka
internal import Records

extension OutboxEvent {
    /// What is told of a signal's change; nil where it is not worth telling. Told twice, it has the same id.
    init?(from before: Webhook, to after: Webhook) {
        guard let event = OperationalEvent(from: before, to: after) else { return nil }
        let id = "\(after.id)-\(after.version)"
        let time = rfc3339(after.updatedAtMs)
        headers = [
            "\(RecordHeader.id)", id, "\(RecordHeader.type)", event.rawValue,
            "\(RecordHeader.source)", OperationalEvent.source, "\(RecordHeader.subject)", after.id,
            "\(RecordHeader.time)", time, "\(RecordHeader.specVersion)", "1.0",
            "\(RecordHeader.contentType)", "application/json", "\(RecordHeader.tenant)", after.tenant,
        ]
        var json = JSONWriter(reserving: 512)
        json.object { json in
            json.member("id", id)
            json.member("type", event.rawValue)
            json.member("source", OperationalEvent.source)
            json.member("timestamp", time)
            json.key("data")
            json.object { json in
                json.member("webhook_id", after.id)
                json.member("description", after.description)
                json.key("reason")
                if after.disabledReason.isEmpty { json.null() } else { json.string(after.disabledReason) }
                json.key("failing_since")
                let since = max(before.failingSinceMs, after.failingSinceMs)
                if since == 0 { json.null() } else { json.time(since) }
            }
        }
        value = json.bytes
    }
}

extension OutboxRecord {
    /// As ingestion has it: the tenant, NUL, and the event's id.
    var eventKey: [UInt8] {
        Array((text(RecordHeader.tenant) + "\u{0}" + text(RecordHeader.id)).utf8)
    }

    var recordHeaders: RecordHeaders {
        var result = RecordHeaders()
        for index in stride(from: 0, to: headers.count - 1, by: 2) {
            var (name, value) = (headers[index], headers[index + 1])
            name.withUTF8 { name in
                value.withUTF8 { result.append(UnsafeRawBufferPointer(name), UnsafeRawBufferPointer($0)) }
            }
        }
        return result
    }

    private func text(_ name: StaticString) -> String {
        guard let index = headers.firstIndex(of: "\(name)"), index + 1 < headers.count else { return "" }
        return headers[index + 1]
    }
}
