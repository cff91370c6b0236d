internal import HTTPServing
internal import Records
internal import ServiceSupport
internal import Tokens

/// Who may send events, and as which tenant. Where it is open everybody may, as tenant `default`; a token counts there too.
///
/// Tokens that were found right are remembered until they expire, for a producer sends the same one with every event. One per thread.
struct EventAccess {
    static let scope = "events:write"
    private static let maximumRemembered = 1_024

    private let tokens: BearerTokens
    private let isOpen: Bool
    private var remembered: [String: (tenant: String, expiresAt: Int64)] = [:]

    init(_ configuration: Configuration, isOpen: Bool) throws {
        tokens = try BearerTokens(configuration.auth)
        self.isOpen = isOpen
    }

    /// The tenant of a request with this `Authorization`.
    /// - Parameter nowMs: milliseconds since 1970.
    mutating func tenant(authorization: UnsafeRawBufferPointer?, nowMs: Int64) throws(HTTPProblem) -> String {
        guard let authorization else {
            if isOpen { return defaultTenant }
            return try tokens.claims(authorization: nil, scope: Self.scope, nowMs: nowMs).tenant
        }
        let text = String(decoding: authorization, as: UTF8.self)
        if let known = remembered[text], nowMs < known.expiresAt * 1_000 { return known.tenant }
        let claims = try tokens.claims(authorization: text, scope: Self.scope, nowMs: nowMs)
        if remembered.count >= Self.maximumRemembered { remembered.removeAll(keepingCapacity: true) }
        remembered[text] = (claims.tenant, claims.expiresAt)
        return claims.tenant
    }
}
