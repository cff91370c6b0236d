internal import Kafka
internal import Records
internal import Scheduling

extension RetryRecord {
    /// nil where the key is none of ours.
    init?(_ record: borrowing Record) {
        guard let bytes = record.key, let key = RetryKey(bytes) else { return nil }
        self.init(
            offset: record.offset, timestampMs: record.timestamp, key: key, content: Self.content(of: record, key))
    }

    private static func content(of record: borrowing Record, _ key: RetryKey) -> Content {
        guard record.value != nil else { return .tombstone }
        guard case .delivery = key else { return .command }
        return .waiting(
            dueAtMs: record.header(RecordHeader.due).flatMap(Int64.init(decimal:)) ?? record.timestamp,
            place: LanePlace(record))
    }
}

extension LanePlace {
    /// How long a lane's name may be; what is longer names none, and the record waits by its due time.
    private static let maxNameBytes = 64

    /// nil where the record is not to wait in a lane.
    init?(_ record: borrowing Record) {
        guard let name = record.header(RecordHeader.lane), (1...Self.maxNameBytes).contains(name.count) else {
            return nil
        }
        self.init(
            lane: LaneID(webhook: String(decoding: name, as: UTF8.self)),
            sinceMs: record.header(RecordHeader.since).flatMap(Int64.init(decimal:)) ?? record.timestamp)
    }
}

extension Int64 {
    /// From decimal text, as headers carry numbers.
    init?(decimal bytes: UnsafeRawBufferPointer) {
        guard let number = Int64(String(decoding: bytes, as: UTF8.self)) else { return nil }
        self = number
    }
}

extension Payload {
    /// A copy of what a record of `retries` carries; nil for one that carries no delivery.
    init?(_ record: borrowing Record) {
        guard let value = record.value, let webhook = record.header(RecordHeader.webhook) else { return nil }
        var headers = RecordHeaders()
        headers.append(from: record) {
            !$0.elementsEqual("martlet-due".utf8) && !$0.elementsEqual("martlet-lane".utf8)
        }
        self.init(
            webhook: String(decoding: webhook, as: UTF8.self), headers: headers,
            dueAtMs: LanePlace(record) == nil
                ? record.header(RecordHeader.due).flatMap(Int64.init(decimal:)) ?? record.timestamp : 0,
            value: Array(value))
    }

    /// What is fired where the record is lost: the delivery's id alone.
    init(lost delivery: DeliveryID, _ entry: IndexEntry) {
        var headers = RecordHeaders()
        headers.append(RecordHeader.delivery, delivery.description)
        headers.append(RecordHeader.generation, String(entry.generation))
        self.init(webhook: "", headers: headers, dueAtMs: 0, value: [])
    }
}
