/// The kind of a JSON value, told by its first byte.
public enum JSONKind: Sendable, Equatable {
    case object, array, string, number, boolean, null
}

/// A member of the scanned object: where its key and value lie, without the quotes of either string.
public struct JSONMember: Sendable, Equatable {
    /// The key's bytes between its quotes.
    public let key: Range<Int>
    /// Whether the key has escapes, so that its bytes are not its text.
    public let keyIsEscaped: Bool
    public let kind: JSONKind
    /// The value's bytes, quotes included.
    public let value: Range<Int>
    /// Whether the value is a string with escapes.
    public let valueIsEscaped: Bool
}

/// A strict JSON scanner (RFC 8259), one pass over bytes: it validates everything, and hands out the members of the outermost
/// object. No byte order mark, no trailing bytes, no duplicate keys at any level, no lone surrogates.
///
/// It reuses its scratch memory: one per thread. A key counts as a duplicate when its seeded 64-bit hash does, so that nothing is
/// compared twice; the seed is drawn per scanner.
public struct JSONScanner {
    private var base = UnsafePointer<UInt8>(bitPattern: 1)!
    private var end = 0
    private var index = 0
    private var depth = 0
    /// Hash and place of each key of the objects that are open, innermost last.
    private var keys: [(hash: UInt64, offset: Int)] = []
    private let seed: UInt64
    private let maximumDepth: Int
    /// Whether the string scanned last has escapes.
    private var sawEscape = false

    public init(maximumDepth: Int = 128) {
        self.maximumDepth = maximumDepth
        seed = UInt64.random(in: .min ... .max)
        keys.reserveCapacity(32)
    }

    /// Checks that the bytes are one JSON value and returns its kind.
    public mutating func validate(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> JSONKind {
        try begin(bytes)
        let kind = try value().kind
        try finish()
        return kind
    }

    /// Checks that the bytes are one JSON object and calls `member` for each of its members, in order. `member` may have been called
    /// before an error is thrown: what it noted counts only when the call returns.
    public mutating func scanObject(
        _ bytes: UnsafeRawBufferPointer, _ member: (JSONMember) -> Void
    ) throws(JSONError) {
        try begin(bytes)
        try expect(UInt8(ascii: "{"), .notAnObject)
        try object(member)
        try finish()
    }

    /// Checks that the bytes are one JSON array and calls `element` with the place of each of its elements, in order; as `scanObject` does.
    public mutating func scanArray(
        _ bytes: UnsafeRawBufferPointer, _ element: (Range<Int>) -> Void
    ) throws(JSONError) {
        try begin(bytes)
        try expect(UInt8(ascii: "["), .notAnArray)
        try array(element)
        try finish()
    }

    private mutating func expect(_ mark: UInt8, _ reason: JSONError.Reason) throws(JSONError) {
        guard base[index] != mark else { return }
        // What is no JSON at all is told so first.
        _ = try value()
        try finish()
        throw JSONError(reason: reason, offset: 0)
    }

    private mutating func begin(_ bytes: UnsafeRawBufferPointer) throws(JSONError) {
        guard let address = bytes.baseAddress, !bytes.isEmpty else { throw JSONError(reason: .empty, offset: 0) }
        base = address.assumingMemoryBound(to: UInt8.self)
        end = bytes.count
        index = 0
        depth = 0
        keys.removeAll(keepingCapacity: true)
        skipBlanks()
        guard index < end else { throw JSONError(reason: .empty, offset: index) }
    }

    private mutating func finish() throws(JSONError) {
        skipBlanks()
        guard index == end else { throw fail(.trailingBytes) }
    }

    private func fail(_ reason: JSONError.Reason) -> JSONError {
        JSONError(reason: index >= end && reason == .unexpectedByte ? .unexpectedEnd : reason, offset: index)
    }

    @inline(__always)
    private mutating func skipBlanks() {
        while index < end {
            let byte = base[index]
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return }
            index += 1
        }
    }

    // MARK: Values

    private mutating func value() throws(JSONError) -> (kind: JSONKind, isEscaped: Bool) {
        guard index < end else { throw fail(.unexpectedByte) }
        switch base[index] {
        case UInt8(ascii: "\""):
            _ = try string(hashed: false)
            return (.string, sawEscape)
        case UInt8(ascii: "{"):
            try object { _ in }
            return (.object, false)
        case UInt8(ascii: "["):
            try array { _ in }
            return (.array, false)
        case UInt8(ascii: "t"): return (try literal("true", .boolean), false)
        case UInt8(ascii: "f"): return (try literal("false", .boolean), false)
        case UInt8(ascii: "n"): return (try literal("null", .null), false)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try number()
            return (.number, false)
        default: throw fail(.unexpectedByte)
        }
    }

    private mutating func literal(_ word: StaticString, _ kind: JSONKind) throws(JSONError) -> JSONKind {
        for offset in 0..<word.utf8CodeUnitCount {
            guard index < end, base[index] == word.utf8Start[offset] else { throw fail(.unexpectedByte) }
            index += 1
        }
        return kind
    }

    private mutating func open() throws(JSONError) {
        depth += 1
        guard depth <= maximumDepth else { throw fail(.tooDeep) }
        index += 1
        skipBlanks()
    }

    private mutating func array(_ element: (Range<Int>) -> Void) throws(JSONError) {
        try open()
        defer { depth -= 1 }
        if index < end, base[index] == UInt8(ascii: "]") {
            index += 1
            return
        }
        while true {
            let start = index
            _ = try value()
            element(start..<index)
            skipBlanks()
            guard index < end else { throw fail(.unexpectedByte) }
            if base[index] == UInt8(ascii: "]") {
                index += 1
                return
            }
            try comma()
        }
    }

    private mutating func comma() throws(JSONError) {
        guard index < end, base[index] == UInt8(ascii: ",") else { throw fail(.unexpectedByte) }
        index += 1
        skipBlanks()
    }

    private mutating func object(_ member: (JSONMember) -> Void) throws(JSONError) {
        try open()
        defer { depth -= 1 }
        if index < end, base[index] == UInt8(ascii: "}") {
            index += 1
            return
        }
        let firstKey = keys.count
        while true {
            guard index < end, base[index] == UInt8(ascii: "\"") else { throw fail(.unexpectedByte) }
            let keyStart = index + 1
            keys.append((try string(hashed: true), keyStart))
            let key = keyStart..<(index - 1)
            let keyIsEscaped = sawEscape
            skipBlanks()
            guard index < end, base[index] == UInt8(ascii: ":") else { throw fail(.unexpectedByte) }
            index += 1
            skipBlanks()
            let start = index
            let (kind, isEscaped) = try value()
            member(
                JSONMember(
                    key: key, keyIsEscaped: keyIsEscaped, kind: kind, value: start..<index, valueIsEscaped: isEscaped))
            skipBlanks()
            guard index < end else { throw fail(.unexpectedByte) }
            if base[index] == UInt8(ascii: "}") {
                index += 1
                return try closeKeys(from: firstKey)
            }
            try comma()
        }
    }

    /// An object has ended: its keys must differ. Few are compared with each other, many are sorted.
    private mutating func closeKeys(from first: Int) throws(JSONError) {
        defer { keys.removeLast(keys.count - first) }
        if keys.count - first > 16 {
            keys[first...].sort { $0.hash != $1.hash ? $0.hash < $1.hash : $0.offset < $1.offset }
            for next in (first + 1)..<keys.count where keys[next].hash == keys[next - 1].hash {
                throw JSONError(reason: .duplicateKey, offset: keys[next].offset)
            }
            return
        }
        var later = first + 1
        while later < keys.count {
            let hash = keys[later].hash
            for earlier in first..<later where keys[earlier].hash == hash {
                throw JSONError(reason: .duplicateKey, offset: keys[later].offset)
            }
            later += 1
        }
    }

    // MARK: Numbers

    private mutating func number() throws(JSONError) {
        if base[index] == UInt8(ascii: "-") { index += 1 }
        guard index < end else { throw fail(.unexpectedByte) }
        if base[index] == UInt8(ascii: "0") { index += 1 } else { try digits() }
        if index < end, base[index] == UInt8(ascii: ".") {
            index += 1
            try digits()
        }
        if index < end, base[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            if index < end, base[index] == UInt8(ascii: "+") || base[index] == UInt8(ascii: "-") { index += 1 }
            try digits()
        }
        if index < end, Self.isDigit(base[index]) { throw fail(.invalidNumber) }
    }

    private mutating func digits() throws(JSONError) {
        let start = index
        while index < end, Self.isDigit(base[index]) { index += 1 }
        if index == start { throw index < end ? fail(.invalidNumber) : fail(.unexpectedByte) }
    }

    @inline(__always)
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    // MARK: Strings

    /// Scans from the opening quote to behind the closing one. Returns the hash of the text where it is asked for: of the bytes, or
    /// where there are escapes, of what they stand for, so that `"a"` and `"\u0061"` are one key.
    private mutating func string(hashed: Bool) throws(JSONError) -> UInt64 {
        index += 1
        sawEscape = false
        let start = index
        while true {
            skipPlain()
            guard index < end else { throw fail(.unexpectedByte) }
            let byte = base[index]
            if byte == UInt8(ascii: "\"") {
                index += 1
                return hashed ? hash(start..<(index - 1)) : 0
            } else if byte == UInt8(ascii: "\\") {
                sawEscape = true
                try escape()
            } else if byte < 0x20 {
                throw fail(.controlCharacter)
            } else {
                try multibyte()
            }
        }
    }

    /// Eight bytes at a time over printable ASCII without quote and backslash (the usual bit tricks: a byte's high bit is set
    /// in `special` where it is one of those, below 0x20, or not ASCII).
    @inline(__always)
    private mutating func skipPlain() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while index + 8 <= end {
            let word = UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self).littleEndian
            let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
            let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
            let special =
                ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | ((word &- ones &* 0x20) & ~word)
                | word
            let found = special & highs
            if found != 0 {
                index += found.trailingZeroBitCount / 8
                return
            }
            index += 8
        }
        while index < end {
            let byte = base[index]
            guard byte >= 0x20, byte < 0x80, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { return }
            index += 1
        }
    }

    private mutating func escape() throws(JSONError) {
        guard index + 1 < end else {
            index = end
            throw fail(.unexpectedByte)
        }
        switch base[index + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            index += 2
        case UInt8(ascii: "u"): try unicodeEscape()
        default: throw fail(.invalidEscape)
        }
    }

    private mutating func unicodeEscape() throws(JSONError) {
        let first = try codeUnit()
        guard first & 0xf800 == 0xd800 else { return }
        guard first < 0xdc00, index + 1 < end, base[index] == UInt8(ascii: "\\"), base[index + 1] == UInt8(ascii: "u")
        else { throw fail(.loneSurrogate) }
        let second = try codeUnit()
        guard second & 0xfc00 == 0xdc00 else { throw fail(.loneSurrogate) }
    }

    /// `\uXXXX`
    private mutating func codeUnit() throws(JSONError) -> UInt16 {
        guard index + 6 <= end else {
            index = end
            throw fail(.unexpectedByte)
        }
        guard let unit = hexUnit(base + index + 2) else { throw fail(.invalidEscape) }
        index += 6
        return unit
    }

    /// One character of two to four bytes (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
    private mutating func multibyte() throws(JSONError) {
        let lead = base[index]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xbf
        switch lead {
        case 0xc2...0xdf: length = 2
        case 0xe0: (length, second) = (3, 0xa0...0xbf)
        case 0xed: (length, second) = (3, 0x80...0x9f)
        case 0xe1...0xef: length = 3
        case 0xf0: (length, second) = (4, 0x90...0xbf)
        case 0xf4: (length, second) = (4, 0x80...0x8f)
        case 0xf1...0xf3: length = 4
        default: throw fail(.invalidUTF8)
        }
        guard index + length <= end, second.contains(base[index + 1]) else { throw fail(.invalidUTF8) }
        for offset in 2..<max(2, length) where base[index + offset] & 0xc0 != 0x80 { throw fail(.invalidUTF8) }
        index += length
    }

    @inline(__always)
    private func hash(_ range: Range<Int>) -> UInt64 {
        if sawEscape { return hashOfText(range) }
        return KeyHash.of(base + range.lowerBound, range.count, readable: end - range.lowerBound, seed: seed)
    }

    private func hashOfText(_ range: Range<Int>) -> UInt64 {
        let text = jsonText(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
        return Array(text.utf8).withUnsafeBufferPointer {
            KeyHash.of($0.baseAddress ?? base, $0.count, readable: $0.count, seed: seed)
        }
    }
}
