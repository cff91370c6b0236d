internal import HTTPServing
internal import Records
internal import ServiceSupport
internal import Tokens

/// Who may send events, and as which tenant. In profile development everybody may, as tenant `default`; a token counts there too.
struct EventAccess: Sendable {
    static let scope = "events:write"

    private let authority: TokenAuthority
    private let isOpen: Bool

    init(_ configuration: Configuration) throws {
        let auth = configuration.auth
        authority = TokenAuthority(
            issuer: auth.issuer, audience: auth.audience, keys: [try .init(id: "1", secret: Array(auth.secret.utf8))])
        isOpen = configuration.isDevelopment
    }

    /// The tenant of a request with this `Authorization`.
    /// - Parameter nowMs: milliseconds since 1970.
    func tenant(authorization: UnsafeRawBufferPointer?, nowMs: Int64) throws(HTTPProblem) -> String {
        guard let authorization else {
            if isOpen { return defaultTenant }
            throw .unauthorized("Send a token: Authorization: Bearer …; POST /auth/login issues one.")
        }
        let text = String(decoding: authorization, as: UTF8.self)
        guard text.lowercased().hasPrefix("bearer ") else {
            throw .unauthorized("Expected Authorization to be a bearer token.")
        }
        let claims: TokenClaims
        do throws(TokenError) {
            claims = try authority.verify(String(text.dropFirst(7).drop { $0 == " " }), now: nowMs / 1_000)
        } catch {
            throw .unauthorized("\(error)")
        }
        guard claims.scopes.contains(Self.scope) else { throw .forbidden("The token lacks the scope \(Self.scope).") }
        return claims.tenant
    }
}
