internal import COpenSSL

/// HMAC-SHA256 with one OpenSSL context that is re-keyed for each message: half the cost of a new context, however many
/// keys there are. Not `Sendable`: it belongs to the thread (or task) that made it.
///
///     try hmac.begin(key: secret)
///     try hmac.update(head)
///     try hmac.update(body)
///     try hmac.finish(into: &code)
public final class HMACSHA256Context {
    /// The size of a code, in bytes.
    public static let codeLength = 32

    private let context: OpaquePointer

    public init() throws(CryptographyError) {
        guard let context = copenssl_hmac_sha256_new() else {
            ERR_clear_error()
            throw .failed(operation: "EVP_MAC_CTX_new")
        }
        self.context = context
    }

    deinit { EVP_MAC_CTX_free(context) }

    /// Starts a message under `key` and forgets an unfinished one. An empty key is refused.
    public func begin(key: UnsafeRawBufferPointer) throws(CryptographyError) {
        guard let base = key.baseAddress, key.count > 0 else { throw .emptyKey }
        try check(EVP_MAC_init(context, base.assumingMemoryBound(to: UInt8.self), key.count, nil), "EVP_MAC_init")
    }

    /// Adds the next piece of the message.
    public func update(_ bytes: UnsafeRawBufferPointer) throws(CryptographyError) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        try check(
            EVP_MAC_update(context, base.assumingMemoryBound(to: UInt8.self), bytes.count), "EVP_MAC_update")
    }

    /// Writes the message's code into the first 32 bytes of `code`.
    public func finish(into code: UnsafeMutableRawBufferPointer) throws(CryptographyError) {
        precondition(code.count >= Self.codeLength, "a code takes 32 bytes")
        var written = 0
        try check(
            EVP_MAC_final(context, code.baseAddress!.assumingMemoryBound(to: UInt8.self), &written, code.count),
            "EVP_MAC_final")
    }

    /// The code of one contiguous message.
    public func code(for message: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer) throws(CryptographyError)
        -> [UInt8]
    {
        try begin(key: key)
        try update(message)
        var code = [UInt8](repeating: 0, count: Self.codeLength)
        try code.withUnsafeMutableBufferPointer { buffer throws(CryptographyError) in
            try finish(into: UnsafeMutableRawBufferPointer(buffer))
        }
        return code
    }

    /// The code of one contiguous message.
    public func code(for message: [UInt8], key: [UInt8]) throws(CryptographyError) -> [UInt8] {
        try message.withUnsafeBufferPointer { message throws(CryptographyError) in
            try key.withUnsafeBufferPointer { key throws(CryptographyError) in
                try code(for: UnsafeRawBufferPointer(message), key: UnsafeRawBufferPointer(key))
            }
        }
    }
}
