internal import HTTPServing
internal import Records
internal import ServiceSupport
internal import Tokens

/// Who may send events, and as which tenant. Where it is open everybody may, as tenant `default`; a token counts there too.
struct EventAccess: Sendable {
    static let scope = "events:write"

    private let tokens: BearerTokens
    private let isOpen: Bool

    init(_ configuration: Configuration, isOpen: Bool) throws {
        tokens = try BearerTokens(configuration.auth)
        self.isOpen = isOpen
    }

    /// The tenant of a request with this `Authorization`.
    /// - Parameter nowMs: milliseconds since 1970.
    func tenant(authorization: UnsafeRawBufferPointer?, nowMs: Int64) throws(HTTPProblem) -> String {
        if authorization == nil, isOpen { return defaultTenant }
        let text = authorization.map { String(decoding: $0, as: UTF8.self) }
        return try tokens.claims(authorization: text, scope: Self.scope, nowMs: nowMs).tenant
    }
}
