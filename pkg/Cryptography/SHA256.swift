internal import COpenSSL

/// SHA-256 of contiguous bytes, from any thread.
public enum SHA256 {
    /// The size of a digest, in bytes.
    public static let digestLength = 32

    /// Writes the digest of `bytes` into the first 32 bytes of `digest`.
    public static func digest(of bytes: UnsafeRawBufferPointer, into digest: UnsafeMutableRawBufferPointer) {
        precondition(digest.count >= digestLength, "a digest takes 32 bytes")
        var length: UInt32 = 0
        let output = digest.baseAddress!.assumingMemoryBound(to: UInt8.self)
        let result = EVP_Digest(bytes.baseAddress, bytes.count, output, &length, EVP_sha256(), nil)
        // There is no input that SHA-256 refuses: only a broken installation or no memory.
        guard result == 1 else { fatalError("EVP_Digest(SHA-256) failed") }
    }

    /// The digest of `bytes`.
    public static func digest(of bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: digestLength) { buffer, count in
            digest(of: bytes, into: UnsafeMutableRawBufferPointer(buffer))
            count = digestLength
        }
    }

    /// The digest of `bytes`.
    public static func digest(of bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { digest(of: $0) }
    }
}
