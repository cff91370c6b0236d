public import HTTPServing
public import Tokens

/// The API's tokens as the configuration has them, and who a request's `Authorization` says is calling.
public struct BearerTokens: Sendable {
    public let authority: TokenAuthority

    /// Throws where the secret is too short for HS256.
    public init(_ settings: AuthenticationSettings) throws(TokenError) {
        authority = TokenAuthority(
            issuer: settings.issuer, audience: settings.audience,
            keys: [try .init(id: "1", secret: Array(settings.secret.utf8))])
    }

    /// The claims of a request with this `Authorization`. Throws 401 without a valid token, 403 where the token lacks the scope.
    /// - Parameter nowMs: milliseconds since 1970.
    public func claims(authorization: String?, scope: String, nowMs: Int64) throws(HTTPProblem) -> TokenClaims {
        guard let authorization else {
            throw .unauthorized("Send a token: Authorization: Bearer …; POST /auth/login issues one.")
        }
        guard authorization.prefix(7).lowercased() == "bearer " else {
            throw .unauthorized("Expected Authorization to be a bearer token.")
        }
        let claims: TokenClaims
        do throws(TokenError) {
            claims = try authority.verify(String(authorization.dropFirst(7).drop { $0 == " " }), now: nowMs / 1_000)
        } catch {
            throw Self.challenge(.unauthorized("\(error)"), #"Bearer error="invalid_token""#)
        }
        guard claims.scopes.contains(scope) else {
            throw Self.challenge(
                .forbidden("The token lacks the scope \(scope)."),
                "Bearer error=\"insufficient_scope\", scope=\"\(scope)\"")
        }
        return claims
    }

    /// RFC 6750, 3: what a client must change.
    private static func challenge(_ problem: HTTPProblem, _ text: String) -> HTTPProblem {
        var problem = problem
        problem.headers["www-authenticate"] = text
        return problem
    }
}
