/// What a token says of its bearer (RFC 7519). Times in seconds since 1970.
public struct TokenClaims: Equatable, Sendable {
    public var subject: String
    public var tenant: String
    public var scopes: [String]
    public var issuedAt: Int64
    public var expiresAt: Int64
    /// Names this token.
    public var id: String

    public init(subject: String, tenant: String, scopes: [String], issuedAt: Int64, expiresAt: Int64, id: String) {
        self.subject = subject
        self.tenant = tenant
        self.scopes = scopes
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.id = id
    }
}

/// Why a token is not accepted. The text may be shown to its bearer.
public enum TokenError: Error, Equatable, Sendable, CustomStringConvertible {
    case malformed(String)
    case unsupported(String)
    case unknownKey
    case wrongSignature
    case expired
    case notYetValid
    case wrongClaim(String)

    public var description: String {
        switch self {
        case .malformed(let what): "the token is malformed: \(what)"
        case .unsupported(let what): "the token uses \(what), which is not accepted"
        case .unknownKey: "the token is signed with a key that is not known here"
        case .wrongSignature: "the token's signature is wrong"
        case .expired: "the token has expired: log in again"
        case .notYetValid: "the token is not valid yet"
        case .wrongClaim(let name): "the token's claim \(name) is missing or not the one expected here"
        }
    }
}
