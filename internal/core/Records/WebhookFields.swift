public import WireFormat

/// What users may set of a webhook (`proto/martlet/v1/registry.proto`). nil: stays as it is, or has its default in a new one.
public struct WebhookFields: Equatable, Sendable {
    public var url: String?
    public var eventTypes: [String]?
    public var headers: [Webhook.Header]?
    public var enabled: Bool?
    /// Milliseconds; 0: the system's default.
    public var timeoutMs: UInt32?
    /// 0: the system's default.
    public var maxInFlight: UInt32?
    public var description: String?
    public var hubSignature: Bool?
    /// Empty: the system's.
    public var retry: WebhookRetry?
    /// 0: any.
    public var ratePerSecond: UInt32?
    public var paused: Bool?

    public init() {}
}

extension WebhookFields: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: url = try field.string()
            case 2:
                var inner = try field.message()
                // As Protobuf has it: a message that comes twice is merged, and repeated fields are appended.
                eventTypes = (eventTypes ?? []) + (try Self.patterns(&inner))
            case 3:
                var inner = try field.message()
                headers = (headers ?? []) + (try Self.headers(&inner))
            case 4: enabled = try field.bool()
            case 5: timeoutMs = UInt32(truncatingIfNeeded: try field.varint())
            case 6: maxInFlight = UInt32(truncatingIfNeeded: try field.varint())
            case 7: description = try field.string()
            case 8: hubSignature = try field.bool()
            case 9:
                var inner = try field.message()
                var retry = retry ?? WebhookRetry()
                try retry.merge(&inner)
                self.retry = retry
            case 10: ratePerSecond = UInt32(truncatingIfNeeded: try field.varint())
            case 11: paused = try field.bool()
            default: break
            }
        }
    }

    private static func patterns(_ reader: inout WireReader) throws(WireError) -> [String] {
        var patterns: [String] = []
        while let field = try reader.next() {
            if field.number == 1 { patterns.append(try field.string()) }
        }
        return patterns
    }

    private static func headers(_ reader: inout WireReader) throws(WireError) -> [Webhook.Header] {
        var headers: [Webhook.Header] = []
        while let field = try reader.next() {
            guard field.number == 1 else { continue }
            var inner = try field.message()
            headers.append(try Webhook.Header(reading: &inner))
        }
        return headers
    }

    public func write(to writer: inout WireWriter) {
        if let url { writer.string(1, present: url) }
        if let eventTypes {
            writer.message(2) { inner in for pattern in eventTypes { inner.string(1, present: pattern) } }
        }
        if let headers {
            writer.message(3) { inner in for header in headers { inner.message(1) { header.write(to: &$0) } } }
        }
        if let enabled { writer.varint(4, present: enabled ? 1 : 0) }
        if let timeoutMs { writer.varint(5, present: UInt64(timeoutMs)) }
        if let maxInFlight { writer.varint(6, present: UInt64(maxInFlight)) }
        if let description { writer.string(7, present: description) }
        if let hubSignature { writer.varint(8, present: hubSignature ? 1 : 0) }
        if let retry { writer.message(9) { retry.write(to: &$0) } }
        if let ratePerSecond { writer.varint(10, present: UInt64(ratePerSecond)) }
        if let paused { writer.varint(11, present: paused ? 1 : 0) }
    }
}
