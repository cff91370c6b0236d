internal import Cryptography

/// Why a text is no key. Never repeats the text: it may be a secret with a typing error.
public enum WebhookKeyError: Error, Equatable, CustomStringConvertible {
    /// Does not start with what this kind of key starts with.
    case wrongPrefix(expected: String)
    /// What follows the prefix is not padded base64.
    case notBase64(prefix: String)
    /// The decoded key has a size that this kind of key does not have; `expected` says which.
    case wrongLength(bytes: Int, expected: String)

    public var description: String {
        switch self {
        case .wrongPrefix(let expected): "the key does not start with \(expected)"
        case .notBase64(let prefix): "what follows \(prefix) is not base64"
        case .wrongLength(let bytes, let expected): "the key has \(bytes) bytes, expected \(expected)"
        }
    }
}

/// A secret shared by sender and receiver, `whsec_` + base64 of 24 to 64 bytes: HMAC-SHA256, scheme `v1`.
public struct WebhookSecret: Sendable, Equatable {
    public static let prefix = "whsec_"

    /// The decoded key.
    public let key: [UInt8]

    /// A new secret of 32 random bytes.
    public init() { key = randomBytes(32) }

    /// The secret with these bytes: 24 to 64 of them.
    public init(key: [UInt8]) throws(WebhookKeyError) {
        guard (24...64).contains(key.count) else { throw .wrongLength(bytes: key.count, expected: "24 to 64") }
        self.key = key
    }

    /// Reads `whsec_…`.
    public init(_ text: String) throws(WebhookKeyError) {
        try self.init(key: decode(text, prefix: Self.prefix))
    }

    /// `whsec_…`
    public var text: String { Self.prefix + Base64.standard.encode(key) }
}

/// A sender's ed25519 key, `whsk_` + base64 of its seed (32 bytes) or of seed and public key (64): scheme `v1a`.
public struct WebhookPrivateKey: Sendable {
    public static let prefix = "whsk_"

    let key: Ed25519.PrivateKey

    /// A new key.
    public init() { key = Ed25519.PrivateKey() }

    /// The key with this seed of 32 bytes.
    public init(seed: [UInt8]) throws(WebhookKeyError) {
        guard let key = try? Ed25519.PrivateKey(seed: seed) else {
            throw .wrongLength(bytes: seed.count, expected: "32")
        }
        self.key = key
    }

    /// Reads `whsk_…`.
    public init(_ text: String) throws(WebhookKeyError) {
        let bytes = try decode(text, prefix: Self.prefix)
        guard bytes.count == 32 || bytes.count == 64 else {
            throw .wrongLength(bytes: bytes.count, expected: "32 (a seed) or 64 (seed and public key)")
        }
        try self.init(seed: Array(bytes.prefix(32)))
    }

    /// What the key is derived from: 32 bytes, secret.
    public var seed: [UInt8] { key.seed }

    /// `whsk_…`, seed and public key.
    public var text: String { Self.prefix + Base64.standard.encode(key.seed + key.publicKey.bytes) }

    /// What a receiver verifies with.
    public var publicKey: WebhookPublicKey { WebhookPublicKey(key: key.publicKey) }
}

/// The key that verifies what a `WebhookPrivateKey` signed, `whpk_` + base64 of 32 bytes.
public struct WebhookPublicKey: Sendable, Equatable {
    public static let prefix = "whpk_"

    let key: Ed25519.PublicKey

    init(key: Ed25519.PublicKey) { self.key = key }

    /// Reads `whpk_…`.
    public init(_ text: String) throws(WebhookKeyError) {
        let bytes = try decode(text, prefix: Self.prefix)
        guard let key = try? Ed25519.PublicKey(bytes: bytes) else {
            throw .wrongLength(bytes: bytes.count, expected: "32")
        }
        self.key = key
    }

    /// `whpk_…`
    public var text: String { Self.prefix + Base64.standard.encode(key.bytes) }
}

private func decode(_ text: String, prefix: String) throws(WebhookKeyError) -> [UInt8] {
    guard text.hasPrefix(prefix) else { throw .wrongPrefix(expected: prefix) }
    guard let bytes = Base64.standard.decode(String(text.dropFirst(prefix.count))) else {
        throw .notBase64(prefix: prefix)
    }
    return bytes
}
