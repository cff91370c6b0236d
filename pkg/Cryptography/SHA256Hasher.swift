internal import COpenSSL

/// SHA-256 for one thread, which makes many digests of parts that lie here and there: OpenSSL's state is made once.
public final class SHA256Hasher {
    private let algorithm: OpaquePointer
    private let context: OpaquePointer

    public init() {
        guard let algorithm = EVP_MD_fetch(nil, "SHA256", nil), let context = EVP_MD_CTX_new() else {
            fatalError("OpenSSL has no SHA-256")
        }
        self.algorithm = algorithm
        self.context = context
        reset()
    }

    deinit {
        EVP_MD_CTX_free(context)
        EVP_MD_free(algorithm)
    }

    public func add(_ bytes: UnsafeRawBufferPointer) {
        check(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count))
    }

    /// The first 16 bytes of the digest of what was added since the last time, as two words.
    public func finishHalf() -> (UInt64, UInt64) {
        withUnsafeTemporaryAllocation(byteCount: SHA256.digestLength, alignment: 8) { digest in
            check(EVP_DigestFinal_ex(context, digest.baseAddress!.assumingMemoryBound(to: UInt8.self), nil))
            reset()
            return (digest.load(as: UInt64.self), digest.load(fromByteOffset: 8, as: UInt64.self))
        }
    }

    private func reset() { check(EVP_DigestInit_ex(context, algorithm, nil)) }

    private func check(_ result: Int32) {
        // Only a broken installation.
        guard result == 1 else { fatalError("SHA-256 failed") }
    }
}
