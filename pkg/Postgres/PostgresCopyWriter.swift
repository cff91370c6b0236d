/// Builds the data of a `COPY … FROM STDIN (FORMAT binary)`: rows of typed fields, in the order of the statement's columns.
///
/// Text is repaired as it goes in (`PostgresText`), because one NUL or invalid UTF-8 byte would abort the whole batch.
public struct PostgresCopyWriter: Sendable {
    private var bytes: [UInt8]
    private let fieldsPerRow: Int16
    private var fieldsMissing: Int16 = 0
    /// Rows begun so far.
    public private(set) var rows = 0

    /// `fields` is the number of columns.
    public init(fields: Int, reservingBytes capacity: Int = 0) {
        fieldsPerRow = Int16(fields)
        bytes = []
        bytes.reserveCapacity(capacity + 32)
        // Signature, flags, length of the header's extension: all as the format's documentation has them.
        bytes.append(contentsOf: [0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00])
        bytes.append(contentsOf: [0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Bytes written so far.
    public var count: Int { bytes.count }

    /// The complete data. Every row must have all its fields.
    public consuming func finished() -> [UInt8] {
        precondition(fieldsMissing == 0, "the last row lacks fields")
        bytes.append(contentsOf: [0xff, 0xff])
        return bytes
    }

    public mutating func beginRow() {
        precondition(fieldsMissing == 0, "the row before lacks fields")
        fieldsMissing = fieldsPerRow
        rows += 1
        put(fieldsPerRow)
    }

    public mutating func null() {
        fieldsMissing -= 1
        put(Int32(-1))
    }

    public mutating func boolean(_ value: Bool) {
        field(length: 1)
        bytes.append(value ? 1 : 0)
    }

    /// `smallint`
    public mutating func int16(_ value: Int16) {
        field(length: 2)
        put(value)
    }

    /// `integer`
    public mutating func int32(_ value: Int32) {
        field(length: 4)
        put(value)
    }

    /// `bigint`
    public mutating func int64(_ value: Int64) {
        field(length: 8)
        put(value)
    }

    /// `timestamptz`, from milliseconds since 1970.
    public mutating func timestamp(milliseconds: Int64) {
        // Microseconds since 2000.
        int64((milliseconds - 946_684_800_000) &* 1_000)
    }

    /// `bytea` or `uuid`, or `text` that is known to be valid.
    public mutating func raw(_ value: [UInt8]) { value.withUnsafeBytes { raw($0) } }

    /// The same, from wherever it lies.
    public mutating func raw(_ value: UnsafeRawBufferPointer) {
        field(length: Int32(value.count))
        bytes.append(contentsOf: value)
    }

    /// `text`, repaired where PostgreSQL would refuse it.
    public mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            if utf8.contains(0) {
                raw(PostgresText.sanitized(UnsafeRawBufferPointer(utf8)))
            } else {
                raw(UnsafeRawBufferPointer(utf8))
            }
        }
    }

    /// `text` from bytes of any origin, repaired where PostgreSQL would refuse it.
    public mutating func text(_ value: [UInt8]) {
        value.withUnsafeBytes { value in
            if PostgresText.isAcceptable(value) { raw(value) } else { raw(PostgresText.sanitized(value)) }
        }
    }

    private mutating func field(length: Int32) {
        precondition(fieldsMissing > 0, "more fields than columns")
        fieldsMissing -= 1
        put(length)
    }

    private mutating func put(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }
}

/// What `text` may hold: UTF-8 without NUL.
public enum PostgresText {
    /// Whether PostgreSQL takes these bytes as text.
    public static func isAcceptable(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        // Nearly all of it is ASCII.
        while index < bytes.count {
            guard bytes[index] != 0 else { return false }
            guard bytes[index] < 0x80 else { break }
            index += 1
        }
        guard index < bytes.count else { return true }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[index...])
        return !rest.contains(0) && String(validating: rest, as: UTF8.self) != nil
    }

    /// The bytes with each NUL and each invalid sequence replaced by U+FFFD.
    public static func sanitized(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var repaired: [UInt8] = []
        repaired.reserveCapacity(bytes.count + 8)
        for byte in String(decoding: bytes, as: UTF8.self).utf8 {
            if byte == 0 { repaired.append(contentsOf: [0xef, 0xbf, 0xbd]) } else { repaired.append(byte) }
        }
        return repaired
    }

    /// The text with each NUL replaced by U+FFFD.
    public static func sanitized(_ text: String) -> String {
        text.utf8.contains(0) ? String(text.unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : Character($0) }) : text
    }
}
