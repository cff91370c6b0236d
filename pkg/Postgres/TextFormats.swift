/// bytea in PostgreSQL's hex format: `\x` and two digits a byte.
enum HexText {
    static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard text.count >= 2, text.count % 2 == 0, text[0] == 0x5c, text[1] == 0x78 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2 - 1)
        for index in stride(from: 2, to: text.count, by: 2) {
            guard let high = nibble(text[index]), let low = nibble(text[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }
}

/// A one-dimensional array in text: `{a,"b c","d\"e"}`.
enum ArrayText {
    /// The elements' own texts; nil for NULL elements, further dimensions, or anything malformed.
    static func elements(_ text: UnsafeRawBufferPointer) -> [[UInt8]]? {
        guard text.count >= 2, text[0] == 0x7b, text[text.count - 1] == 0x7d else { return nil }
        let end = text.count - 1
        var elements: [[UInt8]] = []
        var index = 1
        while index < end {
            guard let element = text[index] == 0x22 ? quoted(text, &index, end) : bare(text, &index, end) else {
                return nil
            }
            elements.append(element)
            guard index < end else { break }
            guard text[index] == 0x2c, index + 1 < end else { return nil }
            index += 1
        }
        return elements
    }

    private static func quoted(_ text: UnsafeRawBufferPointer, _ index: inout Int, _ end: Int) -> [UInt8]? {
        var element: [UInt8] = []
        index += 1
        while index < end {
            switch text[index] {
            case 0x22:
                index += 1
                return element
            case 0x5c:
                guard index + 1 < end else { return nil }
                element.append(text[index + 1])
                index += 2
            default:
                element.append(text[index])
                index += 1
            }
        }
        return nil
    }

    private static func bare(_ text: UnsafeRawBufferPointer, _ index: inout Int, _ end: Int) -> [UInt8]? {
        let start = index
        while index < end, text[index] != 0x2c {
            guard text[index] != 0x7b, text[index] != 0x22 else { return nil }
            index += 1
        }
        let element = Array(text[start..<index])
        return element.isEmpty || element.elementsEqual("NULL".utf8) ? nil : element
    }
}
