/// `127.0.0.1`: four decimal numbers without leading zeros, and nothing else.
struct IPv4Literal {
    let octets: [UInt8]

    init?(_ labels: [ArraySlice<UInt8>]) {
        guard labels.count == 4 else { return nil }
        var octets: [UInt8] = []
        for label in labels {
            guard label.allSatisfy(\.isASCIIDigit), label.count == 1 || label.first != UInt8(ascii: "0"),
                let octet = UInt8(String(decoding: label, as: UTF8.self))
            else { return nil }
            octets.append(octet)
        }
        self.octets = octets
    }

    /// Loopback, or "this host".
    var isLocal: Bool { octets[0] == 127 || octets[0] == 0 }

    /// Whether some program would read a host that ends in `label` as an address: decimal, octal or hexadecimal.
    static func looksNumeric(_ label: ArraySlice<UInt8>) -> Bool {
        guard let first = label.first, first.isASCIIDigit else { return false }
        if label.count > 1, first == UInt8(ascii: "0"), label[label.startIndex + 1] | 0x20 == UInt8(ascii: "x") {
            return label.dropFirst(2).allSatisfy(\.isHexDigit)
        }
        return label.allSatisfy(\.isASCIIDigit)
    }
}

/// `::1` and the like, by RFC 4291; without a zone.
struct IPv6Literal {
    /// Eight groups.
    let groups: [UInt16]

    init?(_ text: ArraySlice<UInt8>) {
        let halves = Self.halves(text)
        guard halves.count <= 2, let head = Self.groups(halves[0]) else { return nil }
        guard halves.count == 2 else {
            guard head.count == 8 else { return nil }
            groups = head
            return
        }
        guard let tail = Self.groups(halves[1]), head.count + tail.count <= 7 else { return nil }
        groups = head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
    }

    /// Loopback, unspecified, or such an IPv4 address inside.
    var isLocal: Bool {
        guard groups[..<5].allSatisfy({ $0 == 0 }), groups[5] == 0 || groups[5] == 0xffff else { return false }
        if groups[5] == 0, groups[6] == 0 { return groups[7] <= 1 }
        return groups[6] >> 8 == 127 || groups[6] >> 8 == 0
    }

    /// What stands before and after each `::`.
    private static func halves(_ text: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var halves: [ArraySlice<UInt8>] = []
        var start = text.startIndex
        var index = text.startIndex
        while index + 1 < text.endIndex {
            guard text[index] == UInt8(ascii: ":"), text[index + 1] == UInt8(ascii: ":") else {
                index += 1
                continue
            }
            halves.append(text[start..<index])
            index += 2
            start = index
        }
        return halves + [text[start...]]
    }

    private static func groups(_ text: ArraySlice<UInt8>) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        var groups: [UInt16] = []
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                let labels = part.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
                guard let address = IPv4Literal(labels) else { return nil }
                let octets = address.octets.map(UInt16.init)
                groups += [octets[0] << 8 | octets[1], octets[2] << 8 | octets[3]]
            } else {
                guard (1...4).contains(part.count), part.allSatisfy(\.isHexDigit),
                    let group = UInt16(String(decoding: part, as: UTF8.self), radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups
    }
}
