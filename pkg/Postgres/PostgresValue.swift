/// A statement's parameter. Except for `bytes` the server infers the type from where the parameter stands.
public enum PostgresValue: Sendable, Equatable {
    case null
    case text(String)
    case integer(Int64)
    case double(Double)
    case boolean(Bool)
    /// `bytea`.
    case bytes([UInt8])
    /// `timestamptz`, in milliseconds since 1970.
    case timestamp(milliseconds: Int64)
    case textArray([String])
    case integerArray([Int64])

    /// NULL for nil.
    public static func optional(_ text: String?) -> PostgresValue { text.map { .text($0) } ?? .null }
    public static func optional(_ integer: Int64?) -> PostgresValue { integer.map { .integer($0) } ?? .null }

    /// How it goes over the wire: nil for NULL, otherwise bytes and whether they are binary. Text ends in NUL, as libpq wants it.
    var encoded: (bytes: [UInt8], isBinary: Bool)? {
        switch self {
        case .null: nil
        case .text(let text): (Self.terminated(text), false)
        case .integer(let number): (Self.terminated(String(number)), false)
        case .double(let number): (Self.terminated(Self.spelled(number)), false)
        case .boolean(let truth): (Self.terminated(truth ? "t" : "f"), false)
        case .bytes(let bytes): (bytes, true)
        case .timestamp(let milliseconds): (Self.terminated(PostgresTime.text(milliseconds: milliseconds)), false)
        case .textArray(let texts): (Self.terminated("{" + texts.map(Self.quoted).joined(separator: ",") + "}"), false)
        case .integerArray(let numbers):
            (Self.terminated("{" + numbers.map { String($0) }.joined(separator: ",") + "}"), false)
        }
    }

    /// Text with a NUL inside would be cut there silently.
    var holdsNUL: Bool {
        switch self {
        case .text(let text): text.utf8.contains(0)
        case .textArray(let texts): texts.contains { $0.utf8.contains(0) }
        default: false
        }
    }

    private static func terminated(_ text: String) -> [UInt8] {
        var bytes = Array(text.utf8)
        bytes.append(0)
        return bytes
    }

    private static func spelled(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
        return "\(number)"
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for character in text.unicodeScalars {
            if character == "\"" || character == "\\" { quoted.append("\\") }
            quoted.unicodeScalars.append(character)
        }
        return quoted + "\""
    }
}

extension PostgresValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .text(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(nilLiteral: ()) { self = .null }
}

/// SQL with `$1`-style parameters.
public struct PostgresStatement: Sendable {
    public var sql: String
    public var parameters: [PostgresValue]
    public init(_ sql: String, _ parameters: [PostgresValue] = []) {
        self.sql = sql
        self.parameters = parameters
    }
}
