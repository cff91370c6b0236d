internal import CSodium

/// Ed25519 (RFC 8032) signatures. Usable from any thread.
public enum Ed25519 {
    /// The size of a signature, in bytes.
    public static let signatureLength = 64

    /// A key that signs.
    public struct PrivateKey: Sendable {
        /// What the key is derived from: 32 bytes, secret.
        public let seed: [UInt8]
        public let publicKey: PublicKey
        /// libsodium's form: seed ‖ public key.
        private let expanded: [UInt8]

        /// A new key.
        public init() {
            self.init(checkedSeed: randomBytes(32))
        }

        /// The key that belongs to a seed of 32 bytes.
        public init(seed: [UInt8]) throws(CryptographyError) {
            guard seed.count == 32 else { throw .wrongKeyLength(expected: 32, actual: seed.count) }
            self.init(checkedSeed: seed)
        }

        private init(checkedSeed seed: [UInt8]) {
            Sodium.ready
            var publicKey = [UInt8](repeating: 0, count: 32)
            var expanded = [UInt8](repeating: 0, count: 64)
            // Always 0: every seed is valid.
            _ = crypto_sign_seed_keypair(&publicKey, &expanded, seed)
            self.seed = seed
            self.publicKey = PublicKey(checked: publicKey)
            self.expanded = expanded
        }

        /// Writes the signature of `message` into the first 64 bytes of `signature`.
        public func sign(_ message: UnsafeRawBufferPointer, into signature: UnsafeMutableRawBufferPointer) {
            precondition(signature.count >= signatureLength, "a signature takes 64 bytes")
            _ = crypto_sign_detached(
                signature.baseAddress!.assumingMemoryBound(to: UInt8.self), nil,
                message.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(message.count), expanded)
        }

        /// The signature of `message`.
        public func sign(_ message: [UInt8]) -> [UInt8] {
            [UInt8](unsafeUninitializedCapacity: signatureLength) { buffer, count in
                message.withUnsafeBytes { sign($0, into: UnsafeMutableRawBufferPointer(buffer)) }
                count = signatureLength
            }
        }
    }

    /// A key that verifies.
    public struct PublicKey: Sendable, Hashable {
        public let bytes: [UInt8]

        /// Takes 32 bytes. Whether they are a point on the curve shows at verification, which then fails.
        public init(bytes: [UInt8]) throws(CryptographyError) {
            guard bytes.count == 32 else { throw .wrongKeyLength(expected: 32, actual: bytes.count) }
            self.init(checked: bytes)
        }

        fileprivate init(checked bytes: [UInt8]) { self.bytes = bytes }

        /// Whether `signature` is this key's for `message`.
        public func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
            Sodium.ready
            guard signature.count == signatureLength else { return false }
            return crypto_sign_verify_detached(signature, message, UInt64(message.count), bytes) == 0
        }
    }
}
