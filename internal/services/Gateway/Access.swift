internal import CLinux
internal import HTTPServing
internal import Logs
internal import ServiceSupport
internal import Tokens

/// Routes of the API: the token decides who calls, for which tenant, and whether it may.
struct Access: Sendable {
    typealias Handler = @Sendable (HTTPRequest, TokenClaims) async throws -> HTTPResponse

    let tokens: BearerTokens
    let logger: Logger

    func route(_ method: String, _ pattern: String, _ scope: Scope, _ handler: @escaping Handler) -> HTTPRoute {
        HTTPRoute(
            method, pattern, logger: logger,
            throwing: { request in
                let claims = try tokens.claims(
                    authorization: try Self.authorization(request), scope: scope.rawValue, nowMs: clinux_realtime_ms())
                return try await handler(request, claims)
            })
    }

    /// Two are not taken: a proxy in front may have looked at the other one.
    private static func authorization(_ request: HTTPRequest) throws(HTTPProblem) -> String? {
        let values = request.headers.filter { $0.name == "authorization" }
        guard values.count <= 1 else { throw .unauthorized("Send one Authorization header.") }
        return values.first?.value
    }
}
