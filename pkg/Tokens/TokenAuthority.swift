internal import Cryptography
internal import JSONScanning

/// Issues and verifies JSON Web Tokens with HMAC-SHA256 (RFC 7515, 7519). The algorithm belongs to the key, never to the token: a token
/// that names another one, or brings or points to a key of its own, is refused whatever its signature.
public struct TokenAuthority: Sendable {
    /// A key and the name that tokens call it by (`kid`).
    public struct Key: Sendable {
        public let id: String
        let secret: [UInt8]

        /// Throws `.unsupported` for a secret under 32 bytes, which HS256 forbids (RFC 7518, 3.2).
        public init(id: String, secret: [UInt8]) throws(TokenError) {
            guard secret.count >= 32 else { throw .unsupported("a secret of less than 32 bytes") }
            self.id = id
            self.secret = secret
        }
    }

    public static let maximumLength = 8_192
    /// How far clocks may differ, in seconds.
    public static let leeway: Int64 = 30

    private let issuer: String
    private let audience: String
    private let keys: [Key]

    /// - Parameter keys: the first one signs; all verify, so that keys can be replaced. Must not be empty.
    public init(issuer: String, audience: String, keys: [Key]) {
        precondition(!keys.isEmpty)
        self.issuer = issuer
        self.audience = audience
        self.keys = keys
    }

    // MARK: Issuing

    public func issue(_ claims: TokenClaims) throws(TokenError) -> String {
        var header = JSONWriter()
        header.object {
            $0.member("alg", "HS256")
            $0.member("typ", "JWT")
            $0.member("kid", keys[0].id)
        }
        var payload = JSONWriter()
        payload.object {
            $0.member("iss", issuer)
            $0.member("aud", audience)
            $0.member("sub", claims.subject)
            $0.member("tenant", claims.tenant)
            $0.member("scope", claims.scopes.joined(separator: " "))
            $0.member("iat", claims.issuedAt)
            $0.member("exp", claims.expiresAt)
            $0.member("jti", claims.id)
        }
        let signed = Base64.urlSafe.encode(header.bytes) + "." + Base64.urlSafe.encode(payload.bytes)
        return signed + "." + Base64.urlSafe.encode(try code(of: Array(signed.utf8), keys[0]))
    }

    private func code(of bytes: [UInt8], _ key: Key) throws(TokenError) -> [UInt8] {
        do {
            return try HMACSHA256Context().code(for: bytes, key: key.secret)
        } catch {
            throw .malformed("\(error)")
        }
    }

    // MARK: Verifying

    /// The claims of a token that is right in every respect.
    /// - Parameter now: seconds since 1970.
    public func verify(_ token: String, now: Int64) throws(TokenError) -> TokenClaims {
        guard token.utf8.count <= Self.maximumLength else { throw .malformed("it is longer than 8 KiB") }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .malformed("it has not three parts") }
        let key = try key(for: try object(parts[0], "header"))
        guard let signature = Base64.urlSafe.decode(String(parts[2])) else {
            throw .malformed("its signature is not base64url")
        }
        let expected = try code(of: Array(token.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count)), key)
        guard constantTimeEqual(signature, expected) else { throw .wrongSignature }
        return try claims(try object(parts[1], "payload"), now)
    }

    private func object(_ part: Substring, _ name: String) throws(TokenError) -> JSONObject {
        guard let bytes = Base64.urlSafe.decode(String(part)) else { throw .malformed("its \(name) is not base64url") }
        do {
            if case .object(let object) = try JSONValue(parsing: bytes) { return object }
        } catch {
            throw .malformed("its \(name) is not JSON")
        }
        throw .malformed("its \(name) is no JSON object")
    }

    private func key(for header: JSONObject) throws(TokenError) -> Key {
        for name in ["crit", "jku", "jwk", "x5u", "x5c", "zip", "enc"] where header[name] != nil {
            throw .unsupported(name)
        }
        guard header["alg"] == .string("HS256") else { throw .unsupported("another algorithm than HS256") }
        if let type = header["typ"], type != .string("JWT") { throw .unsupported("another type than JWT") }
        guard let id = header["kid"] else { return keys[0] }
        guard let key = keys.first(where: { .string($0.id) == id }) else { throw .unknownKey }
        return key
    }

    private func claims(_ payload: JSONObject, _ now: Int64) throws(TokenError) -> TokenClaims {
        let expiresAt = try time("exp", in: payload)
        guard now < expiresAt + Self.leeway else { throw .expired }
        if payload["nbf"] != nil, now + Self.leeway < (try time("nbf", in: payload)) { throw .notYetValid }
        let issuedAt = payload["iat"] == nil ? 0 : try time("iat", in: payload)
        guard issuedAt <= now + Self.leeway else { throw .notYetValid }
        guard try text("iss", in: payload) == issuer else { throw .wrongClaim("iss") }
        guard isForUs(payload["aud"]) else { throw .wrongClaim("aud") }
        let scopes = payload["scope"] == nil ? "" : try text("scope", in: payload)
        return TokenClaims(
            subject: try text("sub", in: payload), tenant: try text("tenant", in: payload),
            scopes: scopes.split(separator: " ").map(String.init), issuedAt: issuedAt, expiresAt: expiresAt,
            id: payload["jti"] == nil ? "" : try text("jti", in: payload))
    }

    /// `aud` is one name or several.
    private func isForUs(_ claim: JSONValue?) -> Bool {
        switch claim {
        case .string(let name): name == audience
        case .array(let names): names.contains(.string(audience))
        default: false
        }
    }

    private func text(_ name: String, in payload: JSONObject) throws(TokenError) -> String {
        guard case .string(let text) = payload[name] else { throw .wrongClaim(name) }
        return text
    }

    /// NumericDate: seconds, perhaps with a fraction, which is dropped.
    private func time(_ name: String, in payload: JSONObject) throws(TokenError) -> Int64 {
        guard case .number(let digits) = payload[name], let seconds = Double(digits), abs(seconds) < 1e15 else {
            throw .wrongClaim(name)
        }
        return Int64(seconds)
    }
}
