/// Whether a URL can be a webhook's endpoint.
///
/// Purely by its text, and stricter than RFC 3986: what libcurl and a reader could take for two different things is refused. Which
/// *addresses* may be dialled is decided when it is dialled, because a name can resolve to anything by then; only what names the own
/// machine outright is refused here, so that the mistake shows early.
struct EndpointURL {
    static let maximumLength = 2048

    let allowsLoopback: Bool
    /// Besides 80 and 443; on this machine, where that is allowed, any port is.
    var allowedPorts: Set<UInt16> = []

    /// Why `text` is no endpoint; nil where it is one.
    func problem(with text: String) -> String? {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty else { return "is empty" }
        guard bytes.count <= Self.maximumLength else {
            return "has \(bytes.count) bytes, \(Self.maximumLength) are allowed"
        }
        guard bytes.allSatisfy(\.isVisibleASCII) else {
            return "has characters other than printable ASCII; percent-encode them, or write the host in Punycode"
        }
        guard let rest = afterScheme(bytes) else { return "does not begin with https:// or http://" }
        let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
        let authority = rest[..<(end ?? rest.endIndex)]
        return problem(withAuthority: authority) ?? problem(withTarget: rest[authority.endIndex...])
    }

    private func afterScheme(_ bytes: [UInt8]) -> ArraySlice<UInt8>? {
        for scheme in ["https://", "http://"] where bytes.count >= scheme.utf8.count {
            let head = bytes[..<scheme.utf8.count].map { $0 | 0x20 }
            if head.elementsEqual(scheme.utf8.map { $0 | 0x20 }) { return bytes[scheme.utf8.count...] }
        }
        return nil
    }

    // MARK: host:port

    private func problem(withAuthority authority: ArraySlice<UInt8>) -> String? {
        guard !authority.contains(UInt8(ascii: "@")) else {
            return "has a user name or password; put credentials into a header"
        }
        guard !authority.contains(UInt8(ascii: "\\")) else { return "has a backslash" }
        let host: ArraySlice<UInt8>
        let port: ArraySlice<UInt8>
        if authority.first == UInt8(ascii: "[") {
            guard let close = authority.firstIndex(of: UInt8(ascii: "]")) else { return "has a [ without a ]" }
            host = authority[...close]
            port = authority[(close + 1)...]
        } else {
            let colon = authority.firstIndex(of: UInt8(ascii: ":")) ?? authority.endIndex
            host = authority[..<colon]
            port = authority[colon...]
        }
        guard let number = number(ofPort: port) else { return "has a port that is no number from 1 to 65535" }
        return problem(withHost: host, port: number)
    }

    /// nil where `port`, which is empty or begins with what ought to be its colon, is no port. One that is left out is as good as 443.
    private func number(ofPort port: ArraySlice<UInt8>) -> UInt16? {
        guard let first = port.first else { return 443 }
        let digits = port.dropFirst()
        guard first == UInt8(ascii: ":"), (1...5).contains(digits.count), digits.allSatisfy(\.isASCIIDigit),
            let number = UInt16(String(decoding: digits, as: UTF8.self)), number > 0
        else { return nil }
        return number
    }

    private func problem(withHost host: ArraySlice<UInt8>, port: UInt16) -> String? {
        guard !host.isEmpty else { return "has no host" }
        if host.first == UInt8(ascii: "[") {
            guard let address = IPv6Literal(host.dropFirst().dropLast()) else { return "has no valid IPv6 address" }
            return problem(isLocal: address.isLocal, port)
        }
        let labels = host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        // What ends in a number is an address to every client (RFC 3986, WHATWG): so nothing but plain dotted decimals, or one text
        // would mean different machines to different programs (0x7f.1, 017700000001, 2130706433).
        if let last = labels.last, IPv4Literal.looksNumeric(last) {
            guard let address = IPv4Literal(labels) else {
                return "has a host that is neither a name nor an IPv4 address"
            }
            return problem(isLocal: address.isLocal, port)
        }
        guard host.count <= 253, labels.allSatisfy(isLabel) else {
            return "has a host that is no name of letters, digits and hyphens separated by dots"
        }
        let name = String(decoding: host.map { $0 | 0x20 }, as: UTF8.self)
        return problem(isLocal: name == "localhost" || name.hasSuffix(".localhost"), port)
    }

    private func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        let hyphen = UInt8(ascii: "-")
        guard (1...63).contains(label.count), label.first != hyphen, label.last != hyphen else { return false }
        // The underscore is no host name's, yet names inside clusters have it.
        return label.allSatisfy { $0.isASCIILetter || $0.isASCIIDigit || $0 == hyphen || $0 == UInt8(ascii: "_") }
    }

    private func problem(isLocal: Bool, _ port: UInt16) -> String? {
        guard !isLocal else {
            return allowsLoopback ? nil : "points at this machine, which only the development profile allows"
        }
        guard port == 80 || port == 443 || allowedPorts.contains(port) else {
            return "has port \(port), which is not 80, 443 or one of endpoints.allowed_ports"
        }
        return nil
    }

    // MARK: path?query

    private func problem(withTarget target: ArraySlice<UInt8>) -> String? {
        var index = target.startIndex
        while index < target.endIndex {
            let byte = target[index]
            switch byte {
            case UInt8(ascii: "#"): return "has a fragment (#…), which is not sent"
            case UInt8(ascii: "%"):
                guard target.endIndex - index > 2, target[index + 1].isHexDigit, target[index + 2].isHexDigit else {
                    return "has a % that is not followed by two hexadecimal digits"
                }
                index += 3
            case _ where Self.refused.contains(byte):
                return "has \"\(Character(UnicodeScalar(byte)))\", which must be percent-encoded"
            default: index += 1
            }
        }
        return nil
    }

    private static let refused = Array("\"<>\\^`{|}".utf8)
}
