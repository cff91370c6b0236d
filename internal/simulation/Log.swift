internal import Records
internal import Scheduling

enum Topic: Int, CaseIterable, Hashable {
    case events, deliveries, attempts, retries, deadLetters

    var name: String {
        switch self {
        case .events: "events"
        case .deliveries: "deliveries"
        case .attempts: "attempts"
        case .retries: "retries"
        case .deadLetters: "dead-letters"
        }
    }
}

/// One partition of one topic.
struct Place: Hashable, Comparable, CustomStringConvertible {
    var topic: Topic
    var partition: Int

    var description: String { "\(topic.name)-\(partition)" }

    static func < (left: Place, right: Place) -> Bool {
        (left.topic.rawValue, left.partition) < (right.topic.rawValue, right.partition)
    }
}

/// What a record says about the delivery it carries, in `deliveries`, `retries` and `dead-letters`.
struct DeliveryFields: Equatable {
    var id: DeliveryID
    var webhook: String
    var generation: UInt32
    var attempt: UInt32
    var originOffset: Int64
    var originTimestamp: Int64
    var since: Int64
    var isCancelled = false
    var isPayloadLost = false
}

struct Record {
    indirect enum Value {
        case event(type: Int)
        case delivery(DeliveryFields)
        case outcome(Outcome)
        /// With a place, it waits in its webhook's lane.
        case waiting(DeliveryFields, dueAtMs: Int64, place: LanePlace?)
        case command
        case fence
        case tombstone
        case dead(DeliveryFields)
    }

    var offset: Int64 = -1
    /// By its producer's clock.
    var timestamp: Int64
    /// When it came into the log, in the world's time.
    var appendedAt: Int64 = 0
    var key: RetryKey?
    var value: Value
    /// Of what is fired: which record of `retries` it came from.
    var firedFrom: Int64?

    init(timestamp: Int64, key: RetryKey? = nil, value: Value, firedFrom: Int64? = nil) {
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.firedFrom = firedFrom
    }

    var retry: RetryContent? {
        guard let key else { return nil }
        switch value {
        case .waiting(let fields, let due, let place):
            return RetryContent(key: key, fields: fields, dueAtMs: due, place: place)
        case .command, .fence, .tombstone: return RetryContent(key: key, fields: nil, dueAtMs: 0, place: nil)
        case .event, .delivery, .outcome, .dead: return nil
        }
    }
}

/// What a record of `retries` holds.
struct RetryContent {
    var key: RetryKey
    var fields: DeliveryFields?
    var dueAtMs: Int64
    var place: LanePlace?
}

/// The records of one partition. Offsets may have gaps: what compaction or an aborted transaction left.
struct Log {
    private(set) var records: [Record?] = []
    /// The first offset that exists.
    private(set) var start: Int64 = 0

    var end: Int64 { Int64(records.count) }

    subscript(offset: Int64) -> Record? {
        offset >= start && offset < end ? records[Int(offset)] : nil
    }

    mutating func append(_ record: Record?, at now: Int64) -> Int64 {
        let offset = end
        var record = record
        record?.offset = offset
        record?.appendedAt = now
        records.append(record)
        return offset
    }

    var first: Record? { records[Int(start)...].lazy.compactMap { $0 }.first }

    /// Of the first record that is so; where there is none, the end.
    func firstOffset(where isSo: (Record) -> Bool) -> Int64 {
        for case let record? in records[Int(start)...] where isSo(record) { return record.offset }
        return end
    }

    /// What is to be read from `position` on: at most `limit` records that exist below `end`, and the position behind the last one.
    func read(from position: Int64, limit: Int, end: Int64? = nil) -> (records: [Record], next: Int64) {
        var found: [Record] = []
        var next = max(position, start)
        let end = min(end ?? self.end, self.end)
        while next < end, found.count < limit {
            if let record = records[Int(next)] { found.append(record) }
            next += 1
        }
        // A consumer learns of a gap only from the record behind it.
        return (found, found.last.map { $0.offset + 1 } ?? position)
    }

    /// Retention: what lies below goes.
    mutating func truncate(to offset: Int64) {
        let offset = min(offset, end)
        guard offset > start else { return }
        for place in Int(start)..<Int(offset) { records[place] = nil }
        start = offset
    }

    /// Compaction: only the last record of each key stays.
    /// - Parameters:
    ///   - dirty: the last so many offsets are left alone.
    ///   - dropsTombstones: whether those that are last of their key go as well.
    mutating func compact(dirty: Int, dropsTombstones: Bool) {
        var last: [RetryKey: Int64] = [:]
        for case let record? in records { if let key = record.key { last[key] = record.offset } }
        for place in 0..<max(0, records.count - dirty) {
            guard let record = records[place], let key = record.key else { continue }
            if last[key] != record.offset {
                records[place] = nil
            } else if case .tombstone = record.value, dropsTombstones {
                records[place] = nil
            }
        }
    }
}
