/// A response's header line, if it is one to keep.
struct KeptHeaderLine {
    let header: HTTPSendHeader

    /// nil for lines that are no header and for headers that are not wanted.
    init?(_ line: UnsafeRawBufferPointer, _ kept: KeptHeaders) {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0 else { return nil }
        let name = UnsafeRawBufferPointer(rebasing: line[..<colon])
        guard let name = Self.wanted(name, kept) else { return nil }
        var value = line[(colon + 1)...]
        while let first = value.first, Self.isBlank(first) { value.removeFirst() }
        while let last = value.last, Self.isBlank(last) { value.removeLast() }
        header = HTTPSendHeader(name: name, value: String(decoding: value, as: UTF8.self))
    }

    private static func wanted(_ name: UnsafeRawBufferPointer, _ kept: KeptHeaders) -> String? {
        switch kept {
        case .all:
            String(decoding: name.map(lowercased), as: UTF8.self)
        case .named(let names):
            names.first { candidate in
                candidate.utf8.count == name.count && zip(candidate.utf8, name).allSatisfy { $0 == lowercased($1) }
            }
        }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == 0x0d || byte == 0x0a
    }
}
