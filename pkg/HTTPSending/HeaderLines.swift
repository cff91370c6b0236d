/// The header lines of one request, built into one buffer that can be emptied and used again. A name or value that would break
/// out of its line is refused, whatever checked it before.
public struct HeaderLines: Sendable {
    /// The lines, each ended by a NUL, as libcurl takes them.
    private(set) var bytes: [UInt8] = []
    /// Where each line starts.
    private(set) var starts: [Int] = []

    public init() {}

    public var count: Int { starts.count }

    /// Empties the list; the memory stays.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
    }

    /// Adds another list's lines.
    public mutating func append(contentsOf other: HeaderLines) {
        let offset = bytes.count
        bytes.append(contentsOf: other.bytes)
        for start in other.starts { starts.append(offset + start) }
    }

    /// Adds a line. False, and nothing added, where the name or the value cannot be in a header.
    @discardableResult
    public mutating func append(_ name: String, _ value: String) -> Bool {
        append(name) { bytes in bytes.append(contentsOf: value.utf8) }
    }

    /// Adds a line. False, and nothing added, where the name or the value cannot be in a header.
    @discardableResult
    public mutating func append(_ name: String, _ value: UnsafeRawBufferPointer) -> Bool {
        append(name) { bytes in bytes.append(contentsOf: value) }
    }

    /// Adds a line whose value `write` appends to the buffer it is given. False, and nothing added, where name or value
    /// cannot be in a header.
    @discardableResult
    public mutating func append<Failure: Error>(
        _ name: String, _ write: (inout [UInt8]) throws(Failure) -> Void
    ) throws(Failure) -> Bool {
        let start = bytes.count
        bytes.append(contentsOf: name.utf8)
        let colon = bytes.count
        bytes.append(UInt8(ascii: ":"))
        bytes.append(UInt8(ascii: " "))
        do {
            try write(&bytes)
        } catch {
            bytes.removeSubrange(start...)
            throw error
        }
        guard colon > start, Self.isToken(bytes[start..<colon]), Self.isValue(bytes[(colon + 2)...]) else {
            bytes.removeSubrange(start...)
            return false
        }
        if bytes.count == colon + 2 {
            // "Name:" would make libcurl drop the header; "Name;" sends it without a value.
            bytes.removeLast()
            bytes[colon] = UInt8(ascii: ";")
        }
        bytes.append(0)
        starts.append(start)
        return true
    }

    /// No CR, LF or NUL: all that could end a value early.
    private static func isValue(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            var bad = false
            for byte in bytes { bad = bad || byte == 0x0d || byte == 0x0a || byte == 0 }
            return !bad
        }
    }

    private static func isToken(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            var bad = false
            for byte in bytes { bad = bad || byte >= 128 || tokenBits[Int(byte >> 6)] & (1 << UInt64(byte & 63)) == 0 }
            return !bad
        }
    }

    /// RFC 9110's `tchar`, one bit for each ASCII character.
    private static let tokenBits: InlineArray<2, UInt64> = {
        var bits: InlineArray<2, UInt64> = [0, 0]
        let characters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        for byte in characters.utf8 { bits[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
        return bits
    }()
}
