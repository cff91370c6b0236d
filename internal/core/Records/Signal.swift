public import WireFormat

/// What a dispatcher learned of an endpoint, as topic `signals` carries it (`proto/martlet/v1/records.proto`).
public struct Signal: Equatable, Sendable {
    public enum Kind: UInt64, Sendable {
        case unspecified = 0
        case gone, failingSince, recovered
    }

    public var kind = Kind.unspecified
    public var webhookID = ""
    public var tenant = ""
    public var webhookVersion: UInt64 = 0
    public var atMs: Int64 = 0
    /// Of `failingSince`.
    public var sinceMs: Int64 = 0

    public init() {}
}

extension Signal: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: kind = Kind(rawValue: try field.varint()) ?? .unspecified
            case 2: webhookID = try field.string()
            case 3: tenant = try field.string()
            case 4: webhookVersion = try field.varint()
            case 5: atMs = try field.int64()
            case 6: sinceMs = try field.int64()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.varint(1, kind.rawValue)
        writer.string(2, webhookID)
        writer.string(3, tenant)
        writer.varint(4, webhookVersion)
        writer.int64(5, atMs)
        writer.int64(6, sinceMs)
    }
}
