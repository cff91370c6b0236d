/// The header lines of one request, built into one buffer that can be emptied and used again. A name or value that would break
/// out of its line is refused, whatever checked it before.
public struct HeaderLines: Sendable {
    /// The entries, each ended by a NUL, as libcurl takes them.
    private(set) var bytes: [UInt8] = []
    /// Where each of libcurl's list's entries starts: a line, or several joined ones with CR LF between them.
    private(set) var starts: [Int] = []
    /// Whether the lines that are added from now on share an entry. libcurl formats each entry by itself and compares its beginning with
    /// a dozen names, which costs a third of what it does for a request. Only for names that mean nothing to libcurl: of
    /// `Accept`, say, it adds its own unless an entry begins so.
    public var joins = false {
        didSet { hasOpenEntry = false }
    }
    /// The last entry takes another line.
    private var hasOpenEntry = false
    /// A value while it is written.
    private var scratch: [UInt8] = []

    public init() {}

    public var count: Int { starts.count }

    /// Empties the list; the memory stays. Lines have entries of their own again.
    public mutating func removeAll() {
        joins = false
        bytes.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
    }

    /// Adds another list's lines, in entries of their own.
    public mutating func append(contentsOf other: HeaderLines) {
        let offset = bytes.count
        bytes.append(contentsOf: other.bytes)
        for start in other.starts { starts.append(offset + start) }
        hasOpenEntry = false
    }

    /// Adds a line. False, and nothing added, where the name or the value cannot be in a header.
    @discardableResult
    public mutating func append(_ name: String, _ value: String) -> Bool {
        var value = value
        return value.withUTF8 { append(name, UnsafeRawBufferPointer($0)) }
    }

    /// Adds a line. False, and nothing added, where the name or the value cannot be in a header.
    @discardableResult
    public mutating func append(_ name: String, _ value: UnsafeRawBufferPointer) -> Bool {
        var name = name
        return name.withUTF8 { append(UnsafeRawBufferPointer($0), value) }
    }

    /// Adds a line. False, and nothing added, where the name or the value cannot be in a header.
    @discardableResult
    public mutating func append(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        guard !name.isEmpty, Self.isToken(name), Self.isValue(value) else { return false }
        begin(name)
        bytes.append(contentsOf: value)
        end(isBlank: value.isEmpty)
        return true
    }

    /// Adds a line whose value `write` appends to the buffer it is given. False, and nothing added, where name or value
    /// cannot be in a header.
    @discardableResult
    public mutating func append<Failure: Error>(
        _ name: String, _ write: (inout [UInt8]) throws(Failure) -> Void
    ) throws(Failure) -> Bool {
        var value: [UInt8] = []
        swap(&value, &scratch)
        defer {
            value.removeAll(keepingCapacity: true)
            swap(&value, &scratch)
        }
        try write(&value)
        return value.withUnsafeBytes { append(name, $0) }
    }

    private mutating func begin(_ name: UnsafeRawBufferPointer) {
        if joins, hasOpenEntry {
            bytes[bytes.count - 1] = 0x0d
            bytes.append(0x0a)
        } else {
            starts.append(bytes.count)
        }
        bytes.append(contentsOf: name)
        bytes.append(UInt8(ascii: ":"))
        bytes.append(UInt8(ascii: " "))
    }

    private mutating func end(isBlank: Bool) {
        if isBlank, !(joins && hasOpenEntry) {
            // "Name:" would make libcurl drop the header; "Name;" sends it without a value.
            bytes.removeLast()
            bytes[bytes.count - 1] = UInt8(ascii: ";")
        }
        bytes.append(0)
        hasOpenEntry = joins && (hasOpenEntry || !isBlank)
    }

    /// No CR, LF or NUL: all that could end a value early.
    private static func isValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var bad = false
        for byte in bytes { bad = bad || byte == 0x0d || byte == 0x0a || byte == 0 }
        return !bad
    }

    private static func isToken(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var bad = false
        for byte in bytes { bad = bad || byte >= 128 || tokenBits[Int(byte >> 6)] & (1 << UInt64(byte & 63)) == 0 }
        return !bad
    }

    /// RFC 9110's `tchar`, one bit for each ASCII character.
    private static let tokenBits: InlineArray<2, UInt64> = {
        var bits: InlineArray<2, UInt64> = [0, 0]
        let characters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        for byte in characters.utf8 { bits[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
        return bits
    }()
}
