internal import CHiredis

/// An answer. Strings are bytes: Redis does not care what they hold.
public enum RedisReply: Sendable, Equatable {
    case null
    case status(String)
    case integer(Int64)
    case string([UInt8])
    case array([RedisReply])
    /// An error inside an array; one that is the whole answer is thrown or passed as `RedisError.server`.
    case error(String)

    public var bytes: [UInt8]? {
        switch self {
        case .string(let bytes): bytes
        case .status(let text): Array(text.utf8)
        default: nil
        }
    }

    /// The string's or status' text, invalid UTF-8 repaired.
    public var text: String? {
        switch self {
        case .string(let bytes): String(decoding: bytes, as: UTF8.self)
        case .status(let text): text
        default: nil
        }
    }

    public var integerValue: Int64? {
        if case .integer(let number) = self { number } else { nil }
    }

    public var elements: [RedisReply]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    public var isNull: Bool { self == .null }

    /// Copies hiredis' reply, which stays the caller's. hiredis bounds the nesting.
    init(_ reply: UnsafePointer<redisReply>) {
        let value = reply.pointee
        switch value.type {
        case REDIS_REPLY_STRING: self = .string(Array(UnsafeRawBufferPointer(start: value.str, count: value.len)))
        case REDIS_REPLY_STATUS: self = .status(Self.text(value))
        case REDIS_REPLY_ERROR: self = .error(Self.text(value))
        case REDIS_REPLY_INTEGER: self = .integer(value.integer)
        case REDIS_REPLY_ARRAY:
            let elements = UnsafeBufferPointer(start: value.element, count: value.elements)
            self = .array(elements.map { $0.map { RedisReply($0) } ?? .null })
        default: self = .null
        }
    }

    private static func text(_ value: redisReply) -> String {
        String(decoding: UnsafeRawBufferPointer(start: value.str, count: value.len), as: UTF8.self)
    }
}

/// One word of a command.
public enum RedisArgument: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    case text(String)
    case bytes([UInt8])
    case integer(Int64)

    public init(stringLiteral value: String) { self = .text(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
}

/// Why a command has no answer.
public enum RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    /// There is no connection now. The command was not sent.
    case notConnected
    /// The connection was lost while the command was pending: it may have been carried out.
    case disconnected(String)
    /// No answer in time: it may have been carried out.
    case timedOut
    /// Too many commands wait for their answers. The command was not sent.
    case overloaded
    /// The server's own error, beginning with its code: `WRONGTYPE …`, `NOSCRIPT …`, `OOM …`.
    case server(String)

    /// The server's code, `OOM` for example; nil for what is no error of the server.
    public var code: String? {
        guard case .server(let message) = self else { return nil }
        return String(message.prefix { $0 != " " })
    }

    public var description: String {
        switch self {
        case .notConnected: "Redis: not connected"
        case .disconnected(let reason): "Redis: connection lost: \(reason)"
        case .timedOut: "Redis: no answer in time"
        case .overloaded: "Redis: too many commands wait for their answers"
        case .server(let message): "Redis: \(message)"
        }
    }
}
