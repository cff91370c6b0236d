internal import Cryptography

/// Why nothing could be signed.
public enum WebhookSigningError: Error, Equatable, CustomStringConvertible {
    /// There is no key to sign with: an unsigned request is never what was meant.
    case noKeys
    /// The cryptographic library refused.
    case failed(String)

    public var description: String {
        switch self {
        case .noKeys: "there is no key to sign with"
        case .failed(let reason): reason
        }
    }
}

/// What one endpoint's messages are signed with: each key gives one signature, so that a receiver that knows the old or the new
/// one verifies while a key is being replaced.
public struct WebhookSigningKeys: Sendable {
    public var secrets: [WebhookSecret]
    public var privateKeys: [WebhookPrivateKey]

    public init(secrets: [WebhookSecret] = [], privateKeys: [WebhookPrivateKey] = []) {
        self.secrets = secrets
        self.privateKeys = privateKeys
    }
}

/// Signs messages under any number of endpoints' keys. It reuses one MAC context and one buffer, so it is not
/// `Sendable`: one per thread. Signing with a secret allocates nothing.
public final class WebhookSigner {
    private let hmac: HMACSHA256Context
    /// `{id}.{timestamp}.`, and for ed25519, which has no incremental form, the body too.
    private var signed: [UInt8] = []

    /// Throws `failed` where OpenSSL has no memory or no HMAC.
    public init() throws(WebhookSigningError) {
        do {
            hmac = try HMACSHA256Context()
        } catch {
            throw .failed(error.description)
        }
    }

    /// Appends the value of `webhook-signature` to `output`: one signature per key, secrets first, separated by spaces.
    ///
    /// `id` should have no full stop in it, for it is followed by one in the signed text.
    public func sign(
        id: UnsafeRawBufferPointer, timestampSeconds: Int64, body: UnsafeRawBufferPointer,
        keys: WebhookSigningKeys, appendingTo output: inout [UInt8]
    ) throws(WebhookSigningError) {
        guard !(keys.secrets.isEmpty && keys.privateKeys.isEmpty) else { throw .noKeys }
        signed.removeAll(keepingCapacity: true)
        signed.append(contentsOf: id)
        signed.append(UInt8(ascii: "."))
        signed.append(decimal: timestampSeconds)
        signed.append(UInt8(ascii: "."))
        var first = true
        for secret in keys.secrets {
            begin(Scheme.hmac, first: &first, &output)
            try appendCode(of: body, under: secret, to: &output)
        }
        guard !keys.privateKeys.isEmpty else { return }
        signed.append(contentsOf: body)
        for privateKey in keys.privateKeys {
            begin(Scheme.ed25519, first: &first, &output)
            appendSignature(under: privateKey, to: &output)
        }
    }

    /// The value of `webhook-signature`.
    public func sign(id: String, timestampSeconds: Int64, body: [UInt8], keys: WebhookSigningKeys)
        throws(WebhookSigningError) -> String
    {
        var output: [UInt8] = []
        try Array(id.utf8).withUnsafeBufferPointer { id throws(WebhookSigningError) in
            try body.withUnsafeBufferPointer { body throws(WebhookSigningError) in
                try sign(
                    id: UnsafeRawBufferPointer(id), timestampSeconds: timestampSeconds,
                    body: UnsafeRawBufferPointer(body), keys: keys, appendingTo: &output)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// HMAC-SHA256 of the body alone in hexadecimal: what comes after `sha256=` in the older `X-Hub-Signature-256`, which covers neither
    /// id nor time and so does not tell a replay.
    public func hexCode(of body: UnsafeRawBufferPointer, key: [UInt8]) throws(WebhookSigningError) -> String {
        do throws(CryptographyError) {
            let code = try key.withUnsafeBufferPointer { key throws(CryptographyError) in
                try hmac.code(for: body, key: UnsafeRawBufferPointer(key))
            }
            let digits = Array("0123456789abcdef".utf8)
            return String(decoding: code.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
        } catch {
            throw .failed(error.description)
        }
    }

    private func begin(_ scheme: String, first: inout Bool, _ output: inout [UInt8]) {
        if !first { output.append(UInt8(ascii: " ")) }
        first = false
        output.append(contentsOf: scheme.utf8)
        output.append(UInt8(ascii: ","))
    }

    private func appendCode(of body: UnsafeRawBufferPointer, under secret: WebhookSecret, to output: inout [UInt8])
        throws(WebhookSigningError)
    {
        do throws(CryptographyError) {
            try secret.key.withUnsafeBufferPointer { key throws(CryptographyError) in
                try hmac.begin(key: UnsafeRawBufferPointer(key))
            }
            try signed.withUnsafeBufferPointer { head throws(CryptographyError) in
                try hmac.update(UnsafeRawBufferPointer(head))
            }
            try hmac.update(body)
            try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: HMACSHA256Context.codeLength) {
                code throws(CryptographyError) in
                try hmac.finish(into: UnsafeMutableRawBufferPointer(code))
                Base64.standard.encode(UnsafeRawBufferPointer(code), appendingTo: &output)
            }
        } catch {
            throw .failed(error.description)
        }
    }

    private func appendSignature(under privateKey: WebhookPrivateKey, to output: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Ed25519.signatureLength) { signature in
            signed.withUnsafeBytes { privateKey.key.sign($0, into: UnsafeMutableRawBufferPointer(signature)) }
            Base64.standard.encode(UnsafeRawBufferPointer(signature), appendingTo: &output)
        }
    }
}
