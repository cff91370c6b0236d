internal import Cryptography
public import HTTPServing
internal import Settings

/// `auth`: the tokens of the API.
public struct AuthenticationSettings: Sendable {
    static let developmentSecret = "development-only-secret-of-martlet-tokens"

    public let issuer: String
    public let audience: String
    /// The key of HS256.
    public let secret: String
    public let tokenLifetime: Duration

    init(_ settings: SettingsSection) {
        issuer = settings.value("issuer", .text(1...256), default: "martlet", "Who issues tokens: their iss.")
        audience = settings.value("audience", .text(1...256), default: "martlet-api", "Whom they are for: their aud.")
        secret = settings.value(
            "secret", .text(32...1_024), default: Self.developmentSecret, isSecret: true,
            "What tokens are signed with (HS256).")
        tokenLifetime = settings.value(
            "token_lifetime", .duration(.seconds(60) ... .days(30)), default: .seconds(3_600),
            "How long a token is valid.")
    }
}

/// `sealing`: the keys under which webhooks' secrets are kept (AES-256-GCM).
public struct SealingSettings: Sendable {
    static let developmentKey = [UInt8]("development-only-key-of-32-bytes".utf8)

    /// By id: all that may still be in use.
    public let keys: [String: [UInt8]]
    /// The one that new secrets are sealed under.
    public let activeKey: String

    init(_ settings: SettingsSection) {
        keys = settings.value(
            "keys", .map(of: .sealingKey, name: "key id"), default: ["development": Self.developmentKey],
            isSecret: true,
            "Keys by id. A key stays here as long as anything is sealed under it.")
        activeKey = settings.value(
            "active_key", .text(1...64), default: "development", "The id of the key for new secrets.")
        if keys[activeKey] == nil { settings.refuse("active_key", because: "must be the id of one of sealing.keys") }
    }
}

/// `internal`: what services show each other.
public struct InternalSettings: Sendable {
    static let developmentToken = "development-only-token-of-martlet-services"

    public let token: String

    init(_ settings: SettingsSection) {
        token = settings.value(
            "token", .text(32...1_024), default: Self.developmentToken, isSecret: true,
            "What services show each other with every call.")
    }

    /// Whether the request shows the token.
    public func allows(_ request: HTTPRequest) -> Bool {
        constantTimeEqual(Array((request.header("authorization") ?? "").utf8), Array("Bearer \(token)".utf8))
    }
}

extension SettingKind where Value == [UInt8] {
    fileprivate static var sealingKey: SettingKind {
        SettingKind(
            "32 bytes in base64",
            text: { text in Base64.standard.decode(text).flatMap { $0.count == AES256GCM.keyLength ? $0 : nil } },
            render: { "\"\(Base64.standard.encode($0))\"" })
    }
}
