internal import CSodium

/// Base64 (RFC 4648), constant-time per length, so that it may carry secrets.
public struct Base64: Sendable {
    /// `+` and `/`, with padding.
    public static let standard = Base64(variant: sodium_base64_VARIANT_ORIGINAL)
    /// `-` and `_`, without padding, as in JWT.
    public static let urlSafe = Base64(variant: sodium_base64_VARIANT_URLSAFE_NO_PADDING)

    private let variant: Int32

    /// Appends the text of `bytes` to `output`.
    public func encode(_ bytes: UnsafeRawBufferPointer, appendingTo output: inout [UInt8]) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        let capacity = sodium_base64_encoded_len(bytes.count, variant)  // with a NUL
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { text in
            sodium_bin2base64(
                text.baseAddress!, capacity, base.assumingMemoryBound(to: UInt8.self), bytes.count, variant)
            output.append(contentsOf: UnsafeRawBufferPointer(start: text.baseAddress!, count: capacity - 1))
        }
    }

    /// The text of `bytes`.
    public func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        bytes.withUnsafeBytes { encode($0, appendingTo: &text) }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes that `text` stands for; nil unless it is exactly what `encode` gives: no whitespace, the right
    /// alphabet, padding where it belongs and nowhere else, no stray bits.
    public func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard let base = text.baseAddress, text.count > 0 else { return [] }
        let capacity = text.count / 4 * 3 + 3
        var valid = false
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            let result = sodium_base642bin(
                buffer.baseAddress!, capacity, base.assumingMemoryBound(to: CChar.self), text.count, nil, &count, nil,
                variant)
            valid = result == 0
            if !valid { count = 0 }
        }
        return valid ? bytes : nil
    }

    /// The bytes that `text` stands for; nil unless it is exactly what `encode` gives.
    public func decode(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { decode(UnsafeRawBufferPointer($0)) }
    }
}
