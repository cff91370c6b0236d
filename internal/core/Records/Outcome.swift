public import WireFormat

/// What became of one delivery's record, as topic `attempts` carries it (`proto/martlet/v1/records.proto` explains each field).
public struct Outcome: Equatable, Sendable {
    public enum Kind: UInt64, Sendable, CaseIterable {
        case unspecified = 0
        case delivered, failed, parked, dead, cancelled, covered

        /// Whether nothing will follow for the delivery.
        public var isFinal: Bool { self == .delivered || self == .dead || self == .cancelled }

        /// As it stands in answers, metrics and tables.
        public var name: String { "\(self)" }
    }

    /// Offsets of the source partition, both ends included.
    public struct Span: Equatable, Sendable {
        public var first: Int64
        public var last: Int64
        public init(first: Int64, last: Int64) {
            self.first = first
            self.last = last
        }
    }

    public var kind = Kind.unspecified
    public var delivery: DeliveryID?
    public var webhookID = ""
    public var tenant = ""
    public var eventID = ""
    public var eventType = ""
    public var sourceTopic = ""
    public var sourcePartition: Int32 = 0
    public var sourceOffset: Int64 = 0
    public var sourceTimestampMs: Int64 = 0
    public var fanOut: UInt32 = 0
    public var requestID: UInt64 = 0
    public var attempt: UInt32 = 0
    public var generation: UInt32 = 0
    public var startedAtMs: Int64 = 0
    public var durationUs: UInt64 = 0
    public var status: UInt32 = 0
    public var reason = ""
    public var response: [UInt8] = []
    public var recordTopic = ""
    public var recordOffset: Int64 = 0
    public var dueAtMs: Int64 = 0
    public var originTopic = ""
    public var originPartition: Int32 = 0
    public var originOffset: Int64 = 0
    public var webhookVersion: UInt64 = 0
    public var parent: DeliveryID?
    public var eventTimeMs: Int64 = 0
    public var spans: [Span] = []
    public var failure = ""

    public init() {}
}

extension Outcome: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: kind = Kind(rawValue: try field.varint()) ?? .unspecified
            case 2: delivery = DeliveryID(bytes: try field.buffer())
            case 3: webhookID = try field.string()
            case 4: tenant = try field.string()
            case 5: eventID = try field.string()
            case 6: eventType = try field.string()
            case 7: sourceTopic = try field.string()
            case 8: sourcePartition = Int32(truncatingIfNeeded: try field.varint())
            case 9: sourceOffset = try field.int64()
            case 10: sourceTimestampMs = try field.int64()
            case 11: fanOut = UInt32(truncatingIfNeeded: try field.varint())
            case 12: requestID = try field.fixed64()
            case 13: attempt = UInt32(truncatingIfNeeded: try field.varint())
            case 14: generation = UInt32(truncatingIfNeeded: try field.varint())
            case 15: startedAtMs = try field.int64()
            case 16: durationUs = try field.varint()
            case 17: status = UInt32(truncatingIfNeeded: try field.varint())
            case 18: reason = try field.string()
            case 19: response = try field.bytes()
            case 20: recordTopic = try field.string()
            case 21: recordOffset = try field.int64()
            case 22: dueAtMs = try field.int64()
            case 23: originTopic = try field.string()
            case 24: originPartition = Int32(truncatingIfNeeded: try field.varint())
            case 25: originOffset = try field.int64()
            case 26: webhookVersion = try field.varint()
            case 27: parent = DeliveryID(bytes: try field.buffer())
            case 28: eventTimeMs = try field.int64()
            case 29:
                var inner = try field.message()
                spans.append(try Span(reading: &inner))
            case 30: failure = try field.string()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.reserve(256 + response.count)
        writer.varint(1, kind.rawValue)
        if let delivery { writer.bytes(2, delivery.bytes) }
        writer.string(3, webhookID)
        writer.string(4, tenant)
        writer.string(5, eventID)
        writer.string(6, eventType)
        writer.string(7, sourceTopic)
        writer.varint(8, UInt64(UInt32(bitPattern: sourcePartition)))
        writer.int64(9, sourceOffset)
        writer.int64(10, sourceTimestampMs)
        writer.varint(11, UInt64(fanOut))
        writer.fixed64(12, requestID)
        writer.varint(13, UInt64(attempt))
        writer.varint(14, UInt64(generation))
        writer.int64(15, startedAtMs)
        writer.varint(16, durationUs)
        writer.varint(17, UInt64(status))
        writer.string(18, reason)
        writer.bytes(19, response)
        writer.string(20, recordTopic)
        writer.int64(21, recordOffset)
        writer.int64(22, dueAtMs)
        writer.string(23, originTopic)
        writer.varint(24, UInt64(UInt32(bitPattern: originPartition)))
        writer.int64(25, originOffset)
        writer.varint(26, webhookVersion)
        if let parent { writer.bytes(27, parent.bytes) }
        writer.int64(28, eventTimeMs)
        for span in spans { writer.message(29) { span.write(to: &$0) } }
        writer.string(30, failure)
    }
}

extension Outcome.Span: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        self.init(first: 0, last: 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: first = try field.int64()
            case 2: last = try field.int64()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.int64(1, first)
        writer.int64(2, last)
    }
}
