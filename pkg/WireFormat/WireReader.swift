internal import Glibc

/// Why bytes are no message.
public enum WireError: Error, Equatable, CustomStringConvertible {
    case truncated
    case varintTooLong
    case badField(UInt64)
    case badWireType(field: UInt32, type: UInt8)
    case invalidUTF8(field: UInt32)
    case wrongType(field: UInt32)

    public var description: String {
        switch self {
        case .truncated: "the message ends in the middle of a field"
        case .varintTooLong: "a varint is longer than ten bytes"
        case .badField(let tag): "tag \(tag) names no valid field"
        case .badWireType(let field, let type): "field \(field) has wire type \(type), which proto3 does not use"
        case .invalidUTF8(let field): "field \(field) is not valid UTF-8"
        case .wrongType(let field): "field \(field) has another wire type than its declaration"
        }
    }
}

/// One field as it stands on the wire.
public struct WireField {
    public enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case bytes(UnsafeRawBufferPointer)
    }

    public let number: UInt32
    public let value: Value

    /// uint32, uint64, enum, bool. Throws `WireError.wrongType`.
    public func varint() throws(WireError) -> UInt64 {
        guard case .varint(let value) = value else { throw .wrongType(field: number) }
        return value
    }

    public func int64() throws(WireError) -> Int64 { Int64(bitPattern: try varint()) }

    /// A repeated uint32, uint64, int64 or enum: packed, as proto3 writes it, or one of several fields.
    public func varints() throws(WireError) -> [UInt64] {
        if case .varint(let value) = value { return [value] }
        var reader = WireReader(try buffer())
        return try reader.varints()
    }

    public func bool() throws(WireError) -> Bool { try varint() != 0 }

    public func fixed64() throws(WireError) -> UInt64 {
        guard case .fixed64(let value) = value else { throw .wrongType(field: number) }
        return value
    }

    /// The field's bytes, valid as long as the message is.
    public func buffer() throws(WireError) -> UnsafeRawBufferPointer {
        guard case .bytes(let buffer) = value else { throw .wrongType(field: number) }
        return buffer
    }

    public func bytes() throws(WireError) -> [UInt8] { [UInt8](try buffer()) }

    /// Text, which proto3 requires to be UTF-8. Throws `WireError.invalidUTF8`.
    public func string() throws(WireError) -> String {
        let bytes = try buffer()
        var text = String(decoding: bytes, as: UTF8.self)
        // What is no UTF-8 was repaired, and is other bytes now. (`String(validating:)` finds that out at four times the cost.)
        let isSame = text.withUTF8 { text in
            guard let start = text.baseAddress, let sent = bytes.baseAddress else { return bytes.isEmpty }
            return text.count == bytes.count && memcmp(start, sent, bytes.count) == 0
        }
        guard isSame else { throw .invalidUTF8(field: number) }
        return text
    }

    /// An embedded message.
    public func message() throws(WireError) -> WireReader { WireReader(try buffer()) }
}

/// Walks one Protobuf message field by field, without copying. The reader of a message skips the numbers it does not know,
/// and for a field that comes twice takes the last one, as proto3 has it.
public struct WireReader {
    private var rest: UnsafeRawBufferPointer

    /// `message` must outlive the reader and its fields.
    public init(_ message: UnsafeRawBufferPointer) { rest = message }

    /// The next field, or nil at the end. Throws `WireError` where the bytes are no message.
    public mutating func next() throws(WireError) -> WireField? {
        guard !rest.isEmpty else { return nil }
        let tag = try varint()
        guard let number = UInt32(exactly: tag >> 3), number > 0, number < 1 << 29 else { throw .badField(tag) }
        switch UInt8(tag & 7) {
        case 0: return WireField(number: number, value: .varint(try varint()))
        case 1:
            return WireField(number: number, value: .fixed64(try take(8).loadUnaligned(as: UInt64.self).littleEndian))
        case 2:
            let count = try varint()
            guard count <= UInt64(rest.count) else { throw .truncated }
            return WireField(number: number, value: .bytes(try take(Int(count))))
        case 5:
            return WireField(number: number, value: .fixed32(try take(4).loadUnaligned(as: UInt32.self).littleEndian))
        case let type: throw .badWireType(field: number, type: type)
        }
    }

    /// Everything up to the end.
    fileprivate mutating func varints() throws(WireError) -> [UInt64] {
        var values: [UInt64] = []
        while !rest.isEmpty { values.append(try varint()) }
        return values
    }

    private mutating func varint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for (index, byte) in rest.prefix(10).enumerated() {
            value |= UInt64(byte & 0x7f) << (7 * index)
            if byte < 0x80 {
                rest = UnsafeRawBufferPointer(rebasing: rest[(index + 1)...])
                return value
            }
        }
        throw rest.count < 10 ? .truncated : .varintTooLong
    }

    private mutating func take(_ count: Int) throws(WireError) -> UnsafeRawBufferPointer {
        guard count <= rest.count else { throw .truncated }
        defer { rest = UnsafeRawBufferPointer(rebasing: rest[count...]) }
        return UnsafeRawBufferPointer(rebasing: rest[..<count])
    }
}

/// A type that is a Protobuf message of `proto/`.
public protocol WireMessage {
    init(reading reader: inout WireReader) throws(WireError)
    func write(to writer: inout WireWriter)
}

extension WireMessage {
    public init(decoding message: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(message)
        try self.init(reading: &reader)
    }

    public init(decoding message: [UInt8]) throws(WireError) {
        let result: Result<Self, WireError> = message.withUnsafeBytes { buffer in
            do throws(WireError) { return .success(try Self(decoding: buffer)) } catch { return .failure(error) }
        }
        self = try result.get()
    }

    /// The message's bytes.
    public func encoded() -> [UInt8] {
        var writer = WireWriter()
        write(to: &writer)
        return writer.bytes
    }
}
