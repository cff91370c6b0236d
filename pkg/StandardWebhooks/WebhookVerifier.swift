internal import Cryptography

/// Why a request is not to be trusted.
public enum WebhookVerificationError: Error, Equatable, CustomStringConvertible {
    /// A header of the three is missing or empty.
    case missingHeader(String)
    /// `webhook-timestamp` is no number of seconds.
    case invalidTimestamp
    /// Signed longer ago than the tolerance allows: a replay, or a clock that is wrong.
    case tooOld(ageSeconds: Int64)
    /// Signed in the future, beyond the tolerance: one of the two clocks is wrong.
    case tooNew(aheadSeconds: Int64)
    /// `webhook-signature` holds no well-formed signature of a scheme for which there is a key.
    case noUsableSignature
    /// More signatures than any sender has keys.
    case tooManySignatures
    /// No signature fits: altered on the way, signed with another key, or the body was not verified as it came.
    case mismatch
    /// The cryptographic library refused.
    case failed(String)

    public var description: String {
        switch self {
        case .missingHeader(let name): "the header \(name) is missing"
        case .invalidTimestamp: "\(WebhookHeaders.timestamp) is not a number of seconds since 1970"
        case .tooOld(let age): "signed \(age) s ago, which is too old"
        case .tooNew(let ahead): "signed \(ahead) s in the future: check the clocks"
        case .noUsableSignature: "\(WebhookHeaders.signature) holds no signature of a kind there is a key for"
        case .tooManySignatures: "\(WebhookHeaders.signature) holds too many signatures"
        case .mismatch: "no signature fits: altered, signed with another key, or not the raw body"
        case .failed(let reason): reason
        }
    }
}

/// Verifies requests by Standard Webhooks. Usable from any thread.
///
///     let verifier = try WebhookVerifier(keys: ["whsec_…"])
///     try verifier.verify(headers: request.headers, body: rawBody, nowSeconds: now)
///
/// The body must be the bytes as they came, before any parser. With several keys, one that fits is enough: give the old and the
/// new one while a key is being replaced.
public struct WebhookVerifier: Sendable {
    /// More than this many signatures are refused unread.
    private static let maximumSignatures = 32

    private let secrets: [WebhookSecret]
    private let publicKeys: [WebhookPublicKey]
    private let toleranceSeconds: Int64

    /// Takes `whsec_…` and `whpk_…`.
    public init(keys: [String], toleranceSeconds: Int64 = 300) throws(WebhookKeyError) {
        var secrets: [WebhookSecret] = []
        var publicKeys: [WebhookPublicKey] = []
        for key in keys {
            if key.hasPrefix(WebhookPublicKey.prefix) {
                publicKeys.append(try WebhookPublicKey(key))
            } else {
                secrets.append(try WebhookSecret(key))
            }
        }
        self.secrets = secrets
        self.publicKeys = publicKeys
        self.toleranceSeconds = toleranceSeconds
    }

    /// Verifies a request by its headers, whatever the case of their names; of a repeated one the first counts.
    public func verify(headers: [(name: String, value: String)], body: [UInt8], nowSeconds: Int64)
        throws(WebhookVerificationError)
    {
        func value(_ name: String) -> String {
            headers.first { $0.name.lowercased() == name }?.value ?? ""
        }
        try verify(
            id: value(WebhookHeaders.id), timestamp: value(WebhookHeaders.timestamp),
            signature: value(WebhookHeaders.signature), body: body, nowSeconds: nowSeconds)
    }

    /// Verifies a request by its three headers' values. Returns if it is to be trusted.
    public func verify(id: String, timestamp: String, signature: String, body: [UInt8], nowSeconds: Int64)
        throws(WebhookVerificationError)
    {
        guard !id.isEmpty else { throw .missingHeader(WebhookHeaders.id) }
        guard !timestamp.isEmpty else { throw .missingHeader(WebhookHeaders.timestamp) }
        guard !signature.isEmpty else { throw .missingHeader(WebhookHeaders.signature) }
        try checkAge(of: timestamp, nowSeconds: nowSeconds)
        let claims = try Claims(signature)
        var tried = false
        let signed = Array("\(id).\(timestamp).".utf8) + body
        if !claims.codes.isEmpty, !secrets.isEmpty {
            tried = true
            if try fits(claims.codes, signed) { return }
        }
        if !claims.signatures.isEmpty, !publicKeys.isEmpty {
            tried = true
            for publicKey in publicKeys
            where claims.signatures.contains(where: { publicKey.key.verifies($0, of: signed) }) {
                return
            }
        }
        throw tried ? .mismatch : .noUsableSignature
    }

    private func checkAge(of timestamp: String, nowSeconds: Int64) throws(WebhookVerificationError) {
        // Digits only: Int64's initialiser takes a sign too.
        guard timestamp.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let seconds = Int64(timestamp)
        else { throw .invalidTimestamp }
        let age = nowSeconds - seconds
        guard age <= toleranceSeconds else { throw .tooOld(ageSeconds: age) }
        guard -age <= toleranceSeconds else { throw .tooNew(aheadSeconds: -age) }
    }

    private func fits(_ codes: [[UInt8]], _ signed: [UInt8]) throws(WebhookVerificationError) -> Bool {
        do throws(CryptographyError) {
            let hmac = try HMACSHA256Context()
            for secret in secrets {
                let expected = try hmac.code(for: signed, key: secret.key)
                if codes.contains(where: { constantTimeEqual($0, expected) }) { return true }
            }
            return false
        } catch {
            throw .failed(error.description)
        }
    }

    /// What a `webhook-signature` claims, by scheme; what is malformed or of another scheme is passed over, as the
    /// specification asks, so that schemes can be added.
    private struct Claims {
        var codes: [[UInt8]] = []
        var signatures: [[UInt8]] = []

        init(_ header: String) throws(WebhookVerificationError) {
            let parts = header.split(separator: " ", maxSplits: maximumSignatures)
            guard parts.count <= maximumSignatures else { throw .tooManySignatures }
            for part in parts {
                guard let comma = part.firstIndex(of: ","),
                    let bytes = Base64.standard.decode(String(part[part.index(after: comma)...]))
                else { continue }
                switch part[..<comma] {
                case Scheme.hmac: codes.append(bytes)
                case Scheme.ed25519: signatures.append(bytes)
                default: break
                }
            }
        }
    }
}
