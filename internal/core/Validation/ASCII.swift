/// Classes of bytes. Everything here looks at UTF-8: in Swift "\r\n" is one Character, and a search for "\n" misses it. (Inlinable
/// where ingestion needs them for each event.)
extension UInt8 {
    @inlinable var isASCIILetter: Bool { (0x61...0x7a).contains(self | 0x20) }
    @inlinable var isASCIIDigit: Bool { (0x30...0x39).contains(self) }
    var isHexDigit: Bool { isASCIIDigit || (0x61...0x66).contains(self | 0x20) }
    /// A printable character other than the space.
    var isVisibleASCII: Bool { (0x21...0x7e).contains(self) }
    /// `tchar` of RFC 9110.
    var isTokenCharacter: Bool { isASCIILetter || isASCIIDigit || Self.tokenPunctuation.contains(self) }

    private static let tokenPunctuation = Array("!#$%&'*+-.^_`|~".utf8)
}

extension String {
    /// For messages: cut at 64 bytes, control characters shown as escapes, so that a value cannot forge the text around it.
    var quoted: String {
        var text = ""
        var size = 0
        for scalar in unicodeScalars {
            size += UTF8.width(scalar)
            guard size <= 64 else { return "\"\(text)\"…" }
            text +=
                scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
                ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return "\"\(text)\""
    }
}
