public import WireFormat

/// The calls of `martlet.v1.Registry` (`proto/martlet/v1/registry.proto`, where each field is explained).
public enum RegistryMethod {
    public static let service = "martlet.v1.Registry"
    public static let create = "/martlet.v1.Registry/CreateWebhook"
    public static let get = "/martlet.v1.Registry/GetWebhook"
    public static let list = "/martlet.v1.Registry/ListWebhooks"
    public static let update = "/martlet.v1.Registry/UpdateWebhook"
    public static let delete = "/martlet.v1.Registry/DeleteWebhook"
    public static let rotateSecret = "/martlet.v1.Registry/RotateSecret"
}

public struct CreateWebhookRequest: Equatable, Sendable {
    public var tenant = ""
    public var fields = WebhookFields()

    public init() {}
}

extension CreateWebhookRequest: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: tenant = try field.string()
            case 2:
                var inner = try field.message()
                fields = try WebhookFields(reading: &inner)
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.string(1, tenant)
        writer.message(2) { fields.write(to: &$0) }
    }
}

public struct CreateWebhookReply: Equatable, Sendable {
    public var webhook = Webhook()
    public var secret = ""
    public var pending = false

    public init() {}
}

extension CreateWebhookReply: WireMessage {
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

public struct GetWebhookRequest: Equatable, Sendable {
    public var tenant = ""
    public var id = ""

    public init() {}
}

extension GetWebhookRequest: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: tenant = try field.string()
            case 2: id = try field.string()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.string(1, tenant)
        writer.string(2, id)
    }
}

public struct GetWebhookReply: Equatable, Sendable {
    public var webhook = Webhook()

    public init() {}
}

extension GetWebhookReply: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1:
                var inner = try field.message()
                webhook = try Webhook(reading: &inner)
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.message(1) { webhook.write(to: &$0) }
    }
}

public struct ListWebhooksRequest: Equatable, Sendable {
    public var tenant = ""
    public var limit: UInt32 = 0
    public var cursor = ""

    public init() {}
}

extension ListWebhooksRequest: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: tenant = try field.string()
            case 2: limit = UInt32(truncatingIfNeeded: try field.varint())
            case 3: cursor = try field.string()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.string(1, tenant)
        writer.varint(2, UInt64(limit))
        writer.string(3, cursor)
    }
}

public struct ListWebhooksReply: Equatable, Sendable {
    public var webhooks: [Webhook] = []
    public var next = ""

    public init() {}
}

extension ListWebhooksReply: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1:
                var inner = try field.message()
                webhooks.append(try Webhook(reading: &inner))
            case 2: next = try field.string()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        for webhook in webhooks { writer.message(1) { webhook.write(to: &$0) } }
        writer.string(2, next)
    }
}
