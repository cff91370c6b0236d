internal import Postgres
internal import Records

/// A batch's outcomes as rows of table `outcomes`, by the hour that they belong to.
struct HistoryRows {
    /// Milliseconds.
    static let hourMs: Int64 = 3_600_000

    private var byHour: [Int64: [HistoryEntry]] = [:]
    private(set) var count = 0

    init(_ entries: [HistoryEntry]) {
        for entry in entries {
            guard case .outcome(_, let at?) = entry.content else { continue }
            byHour[Self.hour(of: at), default: []].append(entry)
            count += 1
        }
    }

    /// The hours since 1970 that have rows.
    var hours: Set<Int64> { Set(byHour.keys) }

    /// Floor division: times before 1970 have hours too.
    static func hour(of milliseconds: Int64) -> Int64 {
        milliseconds >= 0 ? milliseconds / hourMs : (milliseconds - hourMs + 1) / hourMs
    }

    static func copyStatement(hour: Int64) -> String {
        "COPY \(HourPartitions.table(hour)) (\(columns.joined(separator: ", "))) FROM STDIN (FORMAT binary)"
    }

    /// The data of each hour's COPY.
    func copies() -> [(hour: Int64, data: [UInt8])] {
        byHour.sorted { $0.key < $1.key }.map { hour, entries in
            var writer = PostgresCopyWriter(fields: Self.columns.count, reservingBytes: entries.count * 420)
            for entry in entries {
                if case .outcome(let outcome, let at?) = entry.content {
                    Self.write(outcome, at: at, entry.partition, entry.offset, &writer)
                }
            }
            return (hour, writer.finished())
        }
    }

    private static let columns = [
        "at", "event_key", "webhook_key", "delivery", "request_id", "log_offset", "origin_offset", "source_offset",
        "record_offset", "event_time", "due_at", "parent", "log_partition", "origin_partition", "duration_us",
        "attempt", "generation", "fan_out", "kind", "status", "tenant", "webhook", "event_id", "event_type",
        "origin_topic", "source_topic", "record_topic", "reason", "failure",
        "response",
    ]

    /// In the order of `columns`.
    private static func write(
        _ outcome: Outcome, at: Int64, _ partition: Int32, _ offset: Int64, _ writer: inout PostgresCopyWriter
    ) {
        let isOrigin = outcome.sourceTopic == outcome.originTopic && outcome.sourceOffset == outcome.originOffset
        writer.beginRow()
        writer.timestamp(milliseconds: at)
        writer.int64(HistoryKey.of(tenant: outcome.tenant, id: outcome.eventID))
        writer.int64(HistoryKey.of(tenant: outcome.tenant, id: outcome.webhookID))
        writer.optional(outcome.delivery?.bytes)
        writer.int64(Int64(bitPattern: outcome.requestID))
        writer.int64(offset)
        writer.int64(outcome.originOffset)
        writer.optional(isOrigin ? nil : outcome.sourceOffset)
        writer.optional(outcome.recordTopic.isEmpty ? nil : outcome.recordOffset)
        writer.timestamp(milliseconds: HistoryTime.bounded(outcome.eventTimeMs))
        if outcome.dueAtMs > 0 {
            writer.timestamp(milliseconds: HistoryTime.bounded(outcome.dueAtMs))
        } else {
            writer.null()
        }
        writer.optional(outcome.parent?.bytes)
        writer.int32(partition)
        if outcome.originPartition == partition { writer.null() } else { writer.int32(outcome.originPartition) }
        writer.int32(Int32(clamping: outcome.durationUs))
        writer.int32(Int32(clamping: outcome.attempt))
        writer.int32(Int32(clamping: outcome.generation))
        writer.int32(Int32(clamping: outcome.fanOut))
        writer.int16(Int16(clamping: outcome.kind.rawValue))
        if outcome.status == 0 { writer.null() } else { writer.int16(Int16(clamping: outcome.status)) }
        writer.text(outcome.tenant)
        writer.text(outcome.webhookID)
        writer.text(outcome.eventID)
        writer.text(outcome.eventType)
        writer.text(outcome.originTopic)
        writer.optional(isOrigin ? "" : outcome.sourceTopic)
        writer.optional(outcome.recordTopic)
        writer.optional(outcome.reason)
        writer.optional(outcome.failure)
        if outcome.response.isEmpty { writer.null() } else { writer.raw(outcome.response) }
    }
}

extension PostgresCopyWriter {
    fileprivate mutating func optional(_ bytes: [UInt8]?) {
        if let bytes { raw(bytes) } else { null() }
    }

    fileprivate mutating func optional(_ number: Int64?) {
        if let number { int64(number) } else { null() }
    }

    /// NULL for the empty text.
    fileprivate mutating func optional(_ value: String) {
        if value.isEmpty { null() } else { text(value) }
    }
}

enum HistoryTime {
    /// What `timestamptz` surely takes: years 1970 to 9999. Others are some producer's mistake.
    static func bounded(_ milliseconds: Int64) -> Int64 { min(max(milliseconds, 0), 253_402_300_799_999) }
}
