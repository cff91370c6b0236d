public import WireFormat

/// A webhook as topic `webhooks` carries it (`proto/martlet/v1/records.proto`, where each field is explained).
public struct Webhook: Equatable, Sendable {
    public var id = ""
    public var tenant = ""
    public var version: UInt64 = 0
    public var url = ""
    public var eventTypes: [String] = []
    public var headers: [Header] = []
    public var enabled = true
    public var disabledReason = ""
    public var secrets: [SealedSecret] = []
    /// Milliseconds; 0: the system's default.
    public var timeoutMs: UInt32 = 0
    /// 0: the system's default.
    public var maxInFlight: UInt32 = 0
    public var description = ""
    public var hubSignature = false
    public var createdAtMs: Int64 = 0
    public var updatedAtMs: Int64 = 0
    /// nil: the system's.
    public var retry: WebhookRetry?
    /// 0: any.
    public var ratePerSecond: UInt32 = 0
    public var paused = false
    /// Milliseconds since 1970; 0: its requests do not fail, as far as is known.
    public var failingSinceMs: Int64 = 0

    public init() {}

    public struct Header: Equatable, Sendable {
        public var name: String
        public var value: String
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }
}

/// A signing secret under a key of the configuration. Opened only by what signs.
public struct SealedSecret: Equatable, Sendable {
    public enum Kind: UInt64, Sendable {
        case hmac = 0
        case ed25519 = 1
    }

    public var keyID = ""
    public var sealed: [UInt8] = []
    public var kind = Kind.hmac
    /// Milliseconds since 1970; 0: never.
    public var expiresAtMs: Int64 = 0

    public init() {}

    /// Whether it signs at `now` (milliseconds since 1970).
    public func isActive(at now: Int64) -> Bool { expiresAtMs == 0 || now < expiresAtMs }
}

extension Webhook: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        enabled = false
        while let field = try reader.next() {
            switch field.number {
            case 1: id = try field.string()
            case 2: tenant = try field.string()
            case 3: version = try field.varint()
            case 4: url = try field.string()
            case 5: eventTypes.append(try field.string())
            case 6:
                var inner = try field.message()
                headers.append(try Header(reading: &inner))
            case 7: enabled = try field.bool()
            case 8: disabledReason = try field.string()
            case 9:
                var inner = try field.message()
                secrets.append(try SealedSecret(reading: &inner))
            case 10: timeoutMs = UInt32(truncatingIfNeeded: try field.varint())
            case 11: maxInFlight = UInt32(truncatingIfNeeded: try field.varint())
            case 12: description = try field.string()
            case 13: hubSignature = try field.bool()
            case 14: createdAtMs = try field.int64()
            case 15: updatedAtMs = try field.int64()
            case 16:
                var inner = try field.message()
                var retry = retry ?? WebhookRetry()
                try retry.merge(&inner)
                self.retry = retry
            case 17: ratePerSecond = UInt32(truncatingIfNeeded: try field.varint())
            case 18: paused = try field.bool()
            case 19: failingSinceMs = try field.int64()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.string(1, id)
        writer.string(2, tenant)
        writer.varint(3, version)
        writer.string(4, url)
        for type in eventTypes { writer.string(5, present: type) }
        for header in headers { writer.message(6) { header.write(to: &$0) } }
        writer.bool(7, enabled)
        writer.string(8, disabledReason)
        for secret in secrets { writer.message(9) { secret.write(to: &$0) } }
        writer.varint(10, UInt64(timeoutMs))
        writer.varint(11, UInt64(maxInFlight))
        writer.string(12, description)
        writer.bool(13, hubSignature)
        writer.int64(14, createdAtMs)
        writer.int64(15, updatedAtMs)
        if let retry { writer.message(16) { retry.write(to: &$0) } }
        writer.varint(17, UInt64(ratePerSecond))
        writer.bool(18, paused)
        writer.int64(19, failingSinceMs)
    }
}

extension Webhook.Header: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        self.init(name: "", value: "")
        while let field = try reader.next() {
            switch field.number {
            case 1: name = try field.string()
            case 2: value = try field.string()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.string(1, name)
        writer.string(2, value)
    }
}

extension SealedSecret: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: keyID = try field.string()
            case 2: sealed = try field.bytes()
            case 3: kind = Kind(rawValue: try field.varint()) ?? .hmac
            case 4: expiresAtMs = try field.int64()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.string(1, keyID)
        writer.bytes(2, sealed)
        writer.varint(3, kind.rawValue)
        writer.int64(4, expiresAtMs)
    }
}
