internal import Cryptography
public import Records

/// Why a webhook's secret cannot be opened.
public enum SecretSealingError: Error, Equatable, CustomStringConvertible {
    /// The key that it was sealed under is not in the configuration.
    case unknownKey(String)
    /// Altered, another webhook's, or sealed under another key of that name.
    case notAuthentic(keyID: String)
    case failed(String)

    public var description: String {
        switch self {
        case .unknownKey(let id): "sealing.keys has no key \(id), which the secret is sealed under"
        case .notAuthentic(let id): "the secret is not what was sealed for this webhook under the key \(id)"
        case .failed(let reason): reason
        }
    }
}

/// Keeps webhooks' secrets unreadable in PostgreSQL and Kafka: AES-256-GCM under a key of the configuration, bound to the key's id and
/// to the webhook, so that a sealed secret is of no use in another webhook's record. What is sealed are the key's bytes: of
/// `whsec_…` what the base64 stands for, of an ed25519 key its seed.
public struct SecretSealer: Sendable {
    private let ciphers: [String: AES256GCM]
    private let activeKey: String

    /// Throws where a key has not 32 bytes, or the active one is missing.
    public init(keys: [String: [UInt8]], activeKey: String) throws(SecretSealingError) {
        guard keys[activeKey] != nil else { throw .unknownKey(activeKey) }
        var ciphers: [String: AES256GCM] = [:]
        for (id, key) in keys {
            do throws(CryptographyError) {
                ciphers[id] = try AES256GCM(key: key)
            } catch {
                throw .failed("sealing key \(id): \(error)")
            }
        }
        self.ciphers = ciphers
        self.activeKey = activeKey
    }

    public init(_ settings: SealingSettings) throws(SecretSealingError) {
        try self.init(keys: settings.keys, activeKey: settings.activeKey)
    }

    /// Seals a secret of the webhook with this id under the active key.
    public func seal(
        _ secret: [UInt8], of webhook: String, kind: SealedSecret.Kind = .hmac
    ) throws(SecretSealingError) -> SealedSecret {
        guard let cipher = ciphers[activeKey] else { throw .unknownKey(activeKey) }
        var sealed = SealedSecret()
        sealed.keyID = activeKey
        sealed.kind = kind
        do throws(CryptographyError) {
            sealed.sealed = try cipher.seal(secret, associatedData: Self.context(activeKey, webhook))
        } catch {
            throw .failed("\(error)")
        }
        return sealed
    }

    /// The secret's bytes.
    public func open(_ secret: SealedSecret, of webhook: String) throws(SecretSealingError) -> [UInt8] {
        guard let cipher = ciphers[secret.keyID] else { throw .unknownKey(secret.keyID) }
        do throws(CryptographyError) {
            return try cipher.open(secret.sealed, associatedData: Self.context(secret.keyID, webhook))
        } catch {
            throw .notAuthentic(keyID: secret.keyID)
        }
    }

    private static func context(_ keyID: String, _ webhook: String) -> [UInt8] {
        Array("martlet webhook secret\u{0}\(keyID)\u{0}\(webhook)".utf8)
    }
}
