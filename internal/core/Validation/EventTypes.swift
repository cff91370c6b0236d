/// The names that events have and the patterns that webhooks subscribe with.
public enum EventTypes {
    /// An event type or pattern, in bytes.
    public static let maximumLength = 128

    /// Why `type` is no event type; nil where it is one: words of letters, digits, `-`, `_`, separated by single dots.
    @inlinable public static func problem(withType type: some Collection<UInt8>) -> String? {
        guard !type.isEmpty else { return "is empty" }
        guard type.count <= maximumLength else { return "has \(type.count) bytes, \(maximumLength) are allowed" }
        guard isDottedWords(type) else { return "is not words of letters, digits, - and _ separated by dots" }
        return nil
    }

    /// Why `pattern` is none; nil where it is one: `*`, an event type, or an event type followed by `.*`.
    public static func problem(withPattern pattern: String) -> String? {
        let bytes = pattern.utf8
        if pattern == "*" { return nil }
        guard !bytes.isEmpty else { return "is empty" }
        guard bytes.count <= maximumLength else { return "has \(bytes.count) bytes, \(maximumLength) are allowed" }
        let words = bytes.elementsEqual(".*".utf8) || !pattern.hasSuffix(".*") ? bytes[...] : bytes.dropLast(2)
        guard isDottedWords(words) else {
            return "\(pattern.quoted) is not an event type such as order.created, a prefix such as order.*, or *"
        }
        return nil
    }

    @inlinable static func isDottedWords(_ bytes: some Collection<UInt8>) -> Bool {
        var isAtStart = true
        for byte in bytes {
            if byte == UInt8(ascii: ".") {
                guard !isAtStart else { return false }
                isAtStart = true
            } else {
                guard byte.isASCIILetter || byte.isASCIIDigit || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                else { return false }
                isAtStart = false
            }
        }
        return !isAtStart
    }
}

/// A tenant's name: `[a-z0-9][a-z0-9_-]{0,63}`.
public func isTenant(_ name: some Collection<UInt8>) -> Bool {
    func isPlain(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte) || byte.isASCIIDigit }
    guard let first = name.first, isPlain(first), name.count <= 64 else { return false }
    return name.allSatisfy { isPlain($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
}
