public import WireFormat

public struct UpdateWebhookRequest: Equatable, Sendable {
    public var tenant = ""
    public var id = ""
    public var fields = WebhookFields()
    public var expectedVersion: UInt64 = 0

    public init() {}
}

extension UpdateWebhookRequest: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: tenant = try field.string()
            case 2: id = try field.string()
            case 3:
                var inner = try field.message()
                fields = try WebhookFields(reading: &inner)
            case 4: expectedVersion = try field.varint()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.string(1, tenant)
        writer.string(2, id)
        writer.message(3) { fields.write(to: &$0) }
        writer.varint(4, expectedVersion)
    }
}

public struct UpdateWebhookReply: Equatable, Sendable {
    public var webhook = Webhook()
    public var pending = false

    public init() {}
}

extension UpdateWebhookReply: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1:
                var inner = try field.message()
                webhook = try Webhook(reading: &inner)
            case 2: pending = try field.bool()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.message(1) { webhook.write(to: &$0) }
        writer.bool(2, pending)
    }
}

public struct DeleteWebhookRequest: Equatable, Sendable {
    public var tenant = ""
    public var id = ""
    public var expectedVersion: UInt64 = 0

    public init() {}
}

extension DeleteWebhookRequest: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: tenant = try field.string()
            case 2: id = try field.string()
            case 3: expectedVersion = try field.varint()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.string(1, tenant)
        writer.string(2, id)
        writer.varint(3, expectedVersion)
    }
}

public struct DeleteWebhookReply: Equatable, Sendable {
    public var pending = false

    public init() {}
}

extension DeleteWebhookReply: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: pending = try field.bool()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.bool(1, pending)
    }
}

public struct RotateSecretRequest: Equatable, Sendable {
    public var tenant = ""
    public var id = ""
    public var expectedVersion: UInt64 = 0
    public var overlapSeconds: UInt32?

    public init() {}
}

extension RotateSecretRequest: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: tenant = try field.string()
            case 2: id = try field.string()
            case 3: expectedVersion = try field.varint()
            case 4: overlapSeconds = UInt32(truncatingIfNeeded: try field.varint())
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.string(1, tenant)
        writer.string(2, id)
        writer.varint(3, expectedVersion)
        if let overlapSeconds { writer.varint(4, present: UInt64(overlapSeconds)) }
    }
}

public struct RotateSecretReply: Equatable, Sendable {
    public var webhook = Webhook()
    public var secret = ""
    public var pending = false

    public init() {}
}

extension RotateSecretReply: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1:
                var inner = try field.message()
                webhook = try Webhook(reading: &inner)
            case 2: secret = try field.string()
            case 3: pending = try field.bool()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.message(1) { webhook.write(to: &$0) }
        writer.string(2, secret)
        writer.bool(3, pending)
    }
}
