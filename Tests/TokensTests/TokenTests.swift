import Cryptography
import Testing

@testable import Tokens

@Suite struct TokenTests {
    private static let secret = [UInt8]("0123456789abcdef0123456789abcdef".utf8)
    private static let now: Int64 = 1_795_000_000

    private func authority(_ id: String = "k1", secret: [UInt8] = secret) throws -> TokenAuthority {
        TokenAuthority(issuer: "martlet", audience: "api", keys: [try .init(id: id, secret: secret)])
    }

    private let claims = TokenClaims(
        subject: "admin", tenant: "acme", scopes: ["webhooks:read", "events:write"], issuedAt: now,
        expiresAt: now + 3_600, id: "t1")

    /// A token with any header and payload, signed with any key.
    private func forged(_ header: String, _ payload: String, key: [UInt8] = secret) throws -> String {
        let signed = Base64.urlSafe.encode(Array(header.utf8)) + "." + Base64.urlSafe.encode(Array(payload.utf8))
        return signed + "." + Base64.urlSafe.encode(try HMACSHA256Context().code(for: Array(signed.utf8), key: key))
    }

    private let header = #"{"alg":"HS256","typ":"JWT"}"#
    private let payload = #"{"iss":"martlet","aud":"api","sub":"a","tenant":"t","exp":1795000100}"#

    @Test func aTokenSaysWhatItWasIssuedFor() throws {
        let token = try authority().issue(claims)
        #expect(try authority().verify(token, now: Self.now) == claims)
    }

    @Test func itEndsWhenItSays() throws {
        let token = try authority().issue(claims)
        #expect(throws: Never.self) { try authority().verify(token, now: claims.expiresAt + 29) }
        #expect(throws: TokenError.expired) { try authority().verify(token, now: claims.expiresAt + 30) }
        #expect(throws: TokenError.notYetValid) { try authority().verify(token, now: Self.now - 31) }
    }

    @Test func everyChangedByteIsNoticed() throws {
        let token = try authority().issue(claims)
        for index in token.utf8.indices {
            var bytes = Array(token.utf8)
            let position = token.utf8.distance(from: token.utf8.startIndex, to: index)
            bytes[position] = bytes[position] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            let changed = String(decoding: bytes, as: UTF8.self)
            guard changed != token else { continue }
            #expect(throws: TokenError.self, "byte \(position)") { try authority().verify(changed, now: Self.now) }
        }
    }

    @Test func keysCanBeReplaced() throws {
        let old = try TokenAuthority.Key(id: "old", secret: [UInt8](repeating: 1, count: 32))
        let new = try TokenAuthority.Key(id: "new", secret: [UInt8](repeating: 2, count: 32))
        let before = try TokenAuthority(issuer: "martlet", audience: "api", keys: [old]).issue(claims)
        let both = TokenAuthority(issuer: "martlet", audience: "api", keys: [new, old])
        #expect(throws: Never.self) { try both.verify(before, now: Self.now) }
        let after = TokenAuthority(issuer: "martlet", audience: "api", keys: [new])
        #expect(throws: TokenError.unknownKey) { try after.verify(before, now: Self.now) }
        #expect(throws: TokenError.self) { try TokenAuthority.Key(id: "short", secret: [1]) }
    }

    @Test func theForgersOwnAlgorithmAndKeysAreRefused() throws {
        for bad in [
            #"{"alg":"none"}"#, #"{"alg":"None"}"#, #"{"alg":"HS512"}"#, #"{"alg":"RS256"}"#, #"{"typ":"JWT"}"#,
            #"{"alg":["HS256"]}"#,
            #"{"alg":"HS256","crit":["exp"]}"#, #"{"alg":"HS256","jku":"https://x"}"#, #"{"alg":"HS256","jwk":{}}"#,
            #"{"alg":"HS256","x5u":"https://x"}"#, #"{"alg":"HS256","kid":"../../dev/null"}"#,
            #"{"alg":"HS256","typ":"at+jwt"}"#,
            #"{"alg":"HS256","alg":"none"}"#, #"["HS256"]"#, "",
        ] {
            let token = try forged(bad, payload)
            #expect(throws: TokenError.self, "\(bad)") { try authority().verify(token, now: Self.now) }
        }
        #expect(throws: Never.self) { try authority().verify(try forged(header, payload), now: Self.now) }
        let unsigned = String(try forged(header, payload).split(separator: ".").prefix(2).joined(separator: ".")) + "."
        #expect(throws: TokenError.wrongSignature) { try authority().verify(unsigned, now: Self.now) }
        let otherKey = try forged(header, payload, key: [UInt8](repeating: 9, count: 32))
        #expect(throws: TokenError.wrongSignature) { try authority().verify(otherKey, now: Self.now) }
    }

    @Test(arguments: [
        #"{"iss":"other","aud":"api","sub":"a","tenant":"t","exp":1795000100}"#,
        #"{"aud":"api","sub":"a","tenant":"t","exp":1795000100}"#,
        #"{"iss":"martlet","aud":"other","sub":"a","tenant":"t","exp":1795000100}"#,
        #"{"iss":"martlet","sub":"a","tenant":"t","exp":1795000100}"#,
        #"{"iss":"martlet","aud":"api","sub":"a","tenant":"t"}"#,
        #"{"iss":"martlet","aud":"api","sub":"a","tenant":"t","exp":"1795000100"}"#,
        #"{"iss":"martlet","aud":"api","tenant":"t","exp":1795000100}"#,
        #"{"iss":"martlet","aud":"api","sub":"a","exp":1795000100}"#,
        #"{"iss":"martlet","aud":"api","sub":"a","tenant":7,"exp":1795000100}"#,
        #"{"iss":"martlet","aud":"api","sub":"a","tenant":"t","exp":1e400}"#,
        #"{"iss":"martlet","aud":"api","sub":"a","tenant":"t","exp":1795000100,"nbf":1795000099}"#, "[]", "{",
    ])
    func claimsMustBeThereAndRight(payload: String) throws {
        let token = try forged(header, payload)
        #expect(throws: TokenError.self) { try authority().verify(token, now: Self.now) }
    }

    @Test func severalAudiencesMayBeMeant() throws {
        let token = try forged(
            header, #"{"iss":"martlet","aud":["x","api"],"sub":"a","tenant":"t","exp":1795000100.5}"#)
        #expect(try authority().verify(token, now: Self.now).subject == "a")
    }

    @Test func longTokensAreNotLookedAt() throws {
        #expect(throws: TokenError.self) { try authority().verify(String(repeating: "a", count: 8_193), now: Self.now) }
        for text in ["", ".", "..", "a.b", "a.b.c.d", "ä.b.c"] {
            #expect(throws: TokenError.self) { try authority().verify(text, now: Self.now) }
        }
    }
}
