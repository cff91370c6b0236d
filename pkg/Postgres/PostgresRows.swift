internal import CPostgres
internal import Glibc

/// The rows that one statement gave. Reading does not copy: the rows share libpq's result, which lives as long as one of them.
public struct PostgresRows: Sendable, RandomAccessCollection {
    let result: ResultHandle

    public var startIndex: Int { 0 }
    public var endIndex: Int { result.read { Int(PQntuples($0)) } }
    public subscript(position: Int) -> PostgresRow {
        precondition(indices.contains(position), "row out of range")
        return PostgresRow(result: result, index: Int32(position))
    }

    /// Rows inserted, updated, deleted, copied or selected.
    public var affectedRows: Int { result.read { Int(String(cString: PQcmdTuples($0))) ?? 0 } }

    /// What the server calls the command done: `INSERT 0 1`, `COMMIT`, …
    public var commandTag: String { result.read { String(cString: PQcmdStatus($0)) } }

    public var columns: [String] {
        result.read { result in (0..<PQnfields(result)).map { String(cString: PQfname(result, $0)) } }
    }
}

/// Owns one PGresult. `@unchecked Sendable` because libpq never changes a result after handing it out, so any thread may
/// read it; it is freed once, by the last owner.
final class ResultHandle: @unchecked Sendable {
    private let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { PQclear(pointer) }

    /// Everything that libpq points to lives until `body` returns.
    func read<Value>(_ body: (OpaquePointer) throws -> Value) rethrows -> Value {
        try withExtendedLifetime(self) { try body(pointer) }
    }
}

/// One row, decoded by column name.
public struct PostgresRow: Sendable {
    let result: ResultHandle
    let index: Int32

    /// The column's value. Throws `PostgresDecodingError` where it is missing, NULL, or not of that type.
    public func decode<Value: PostgresDecodable>(_ column: String, as type: Value.Type = Value.self) throws -> Value {
        guard let value = try decodeIfPresent(column, as: type) else {
            throw PostgresDecodingError(column: column, expectation: Value.expectation, found: "NULL")
        }
        return value
    }

    /// The column's value, nil for NULL. Throws `PostgresDecodingError` where it is missing or not of that type.
    public func decodeIfPresent<Value: PostgresDecodable>(
        _ column: String, as type: Value.Type = Value.self
    ) throws -> Value? {
        try result.read { result in
            let number = PQfnumber(result, quoted(column))
            guard number >= 0 else {
                throw PostgresDecodingError(column: column, expectation: Value.expectation, found: "no such column")
            }
            guard PQgetisnull(result, index, number) == 0 else { return nil }
            let length = Int(PQgetlength(result, index, number))
            let text = UnsafeRawBufferPointer(start: PQgetvalue(result, index, number), count: length)
            if let value = Value(postgresText: text) { return value }
            let shown = String(decoding: text.prefix(40), as: UTF8.self)
            throw PostgresDecodingError(column: column, expectation: Value.expectation, found: "“\(shown)”")
        }
    }

    /// PQfnumber folds case as SQL does unless the name is quoted.
    private func quoted(_ column: String) -> String { "\"\(column)\"" }
}

/// What a column's text can be decoded to.
public protocol PostgresDecodable {
    /// What is expected, for error messages.
    static var expectation: String { get }
    /// Reads PostgreSQL's text format (UTF-8, ISO dates, UTC, hex bytea); nil if it is something else.
    init?(postgresText: UnsafeRawBufferPointer)
}

extension String: PostgresDecodable {
    public static var expectation: String { "text" }
    public init?(postgresText: UnsafeRawBufferPointer) { self.init(decoding: postgresText, as: UTF8.self) }
}

extension Bool: PostgresDecodable {
    public static var expectation: String { "a boolean" }
    public init?(postgresText: UnsafeRawBufferPointer) {
        guard postgresText.count == 1, postgresText[0] == 0x74 || postgresText[0] == 0x66 else { return nil }
        self = postgresText[0] == 0x74
    }
}

extension PostgresDecodable where Self: FixedWidthInteger {
    public static var expectation: String { "an integer of \(Self.bitWidth) bits" }
    public init?(postgresText: UnsafeRawBufferPointer) {
        self.init(String(decoding: postgresText, as: UTF8.self), radix: 10)
    }
}
extension Int: PostgresDecodable {}
extension Int64: PostgresDecodable {}
extension Int32: PostgresDecodable {}
extension Int16: PostgresDecodable {}
extension UInt32: PostgresDecodable {}

extension Double: PostgresDecodable {
    public static var expectation: String { "a number" }
    public init?(postgresText: UnsafeRawBufferPointer) {
        self.init(String(decoding: postgresText, as: UTF8.self))
    }
}

/// A `timestamptz` in milliseconds since 1970.
public struct PostgresTimestamp: PostgresDecodable, Sendable, Equatable {
    public var milliseconds: Int64
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }
    public static var expectation: String { "a timestamp with time zone" }
    public init?(postgresText: UnsafeRawBufferPointer) {
        guard let milliseconds = PostgresTime.milliseconds(postgresText) else { return nil }
        self.milliseconds = milliseconds
    }
}

extension Array: PostgresDecodable where Element: PostgresDecodable {
    public static var expectation: String {
        Element.self == UInt8.self ? "bytea" : "an array, each element \(Element.expectation)"
    }

    /// `[UInt8]` reads bytea; every other element type reads a one-dimensional array without NULLs.
    public init?(postgresText: UnsafeRawBufferPointer) {
        if Element.self == UInt8.self {
            guard let bytes = HexText.decode(postgresText) else { return nil }
            self = bytes as? [Element] ?? []
            return
        }
        guard let elements = ArrayText.elements(postgresText) else { return nil }
        self = []
        for element in elements {
            guard let value = element.withUnsafeBytes({ Element(postgresText: $0) }) else { return nil }
            append(value)
        }
    }
}

extension UInt8: PostgresDecodable {}
