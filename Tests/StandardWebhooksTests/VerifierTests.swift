import StandardWebhooks
import Testing

@Suite struct VerifierTests {
    let verifier: WebhookVerifier

    init() throws { verifier = try WebhookVerifier(keys: [Example.secret]) }

    private func verify(
        id: String = Example.id, timestamp: String = String(Example.timestamp), signature: String = Example.signature,
        body: [UInt8] = Example.body, now: Int64 = Example.timestamp
    ) throws(WebhookVerificationError) {
        try verifier.verify(id: id, timestamp: timestamp, signature: signature, body: body, nowSeconds: now)
    }

    @Test func theSpecificationsExample() throws {
        try verify()
    }

    @Test func headersAreFoundWhateverTheirCase() throws {
        let headers = [
            (name: "Content-Type", value: "application/json"), (name: "Webhook-Id", value: Example.id),
            (name: "WEBHOOK-TIMESTAMP", value: String(Example.timestamp)),
            (name: "webhook-signature", value: Example.signature),
        ]
        try verifier.verify(headers: headers, body: Example.body, nowSeconds: Example.timestamp)
        for missing in 1...3 {
            var fewer = headers
            let name = fewer.remove(at: missing).name.lowercased()
            #expect(throws: WebhookVerificationError.missingHeader(name)) {
                try verifier.verify(headers: fewer, body: Example.body, nowSeconds: Example.timestamp)
            }
        }
    }

    @Test func whateverIsAlteredIsNoticed() {
        #expect(throws: WebhookVerificationError.mismatch) { try verify(id: "msg_other") }
        #expect(throws: WebhookVerificationError.mismatch) { try verify(timestamp: String(Example.timestamp + 1)) }
        #expect(throws: WebhookVerificationError.mismatch) { try verify(timestamp: "0" + String(Example.timestamp)) }
        for position in Example.body.indices {
            var body = Example.body
            body[position] ^= 1
            #expect(throws: WebhookVerificationError.mismatch) { try verify(body: body) }
        }
        #expect(throws: WebhookVerificationError.mismatch) { try verify(body: Example.body + [0]) }
        #expect(throws: WebhookVerificationError.mismatch) { try verify(body: []) }
        let altered = Example.signature.replacing("g0hM", with: "g0hN")
        #expect(throws: WebhookVerificationError.mismatch) { try verify(signature: altered) }
    }

    @Test func theToleranceIsFiveMinutesBothWays() throws {
        try verify(now: Example.timestamp + 300)
        try verify(now: Example.timestamp - 300)
        #expect(throws: WebhookVerificationError.tooOld(ageSeconds: 301)) { try verify(now: Example.timestamp + 301) }
        #expect(throws: WebhookVerificationError.tooNew(aheadSeconds: 301)) { try verify(now: Example.timestamp - 301) }
    }

    @Test(arguments: ["x", "+1614265330", "-5", "1614265330.0", " 1614265330", "99999999999999999999", "١٦"])
    func aTimestampIsDigits(timestamp: String) {
        #expect(throws: WebhookVerificationError.invalidTimestamp) { try verify(timestamp: timestamp) }
    }

    @Test func oneFittingSignatureIsEnough() throws {
        let wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        try verify(signature: "\(wrong) v2,future v1a,AAAA \(Example.signature)")
        try verify(signature: "\(Example.signature) \(wrong)")
        #expect(throws: WebhookVerificationError.mismatch) { try verify(signature: wrong) }
    }

    @Test(arguments: [
        "v1", "v1,", "v1,!", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v2,AAAA", "v1a,AAAA", ",", " ",
    ])
    func whatHoldsNoUsableSignatureSaysSo(signature: String) {
        #expect(throws: WebhookVerificationError.self) { try verify(signature: signature) }
    }

    @Test func anotherSchemesSignatureIsNotUsable() {
        #expect(throws: WebhookVerificationError.noUsableSignature) {
            try verify(signature: Example.signature.replacing("v1,", with: "v1a,"))
        }
    }

    @Test func aFloodOfSignaturesIsRefusedUnread() {
        let flood = [String](repeating: Example.signature, count: 1_000).joined(separator: " ")
        #expect(throws: WebhookVerificationError.tooManySignatures) { try verify(signature: flood) }
    }

    @Test func aKeyBeingReplacedVerifiesOnBothSides() throws {
        let old = WebhookSecret()
        let new = WebhookSecret()
        let signer = try WebhookSigner()
        let signature = try signer.sign(
            id: "a", timestampSeconds: 7, body: [1], keys: WebhookSigningKeys(secrets: [old]))
        let both = try WebhookVerifier(keys: [new.text, old.text])
        try both.verify(id: "a", timestamp: "7", signature: signature, body: [1], nowSeconds: 7)
        let onlyNew = try WebhookVerifier(keys: [new.text])
        #expect(throws: WebhookVerificationError.mismatch) {
            try onlyNew.verify(id: "a", timestamp: "7", signature: signature, body: [1], nowSeconds: 7)
        }
    }

    @Test func ed25519SignaturesAreVerified() throws {
        let key = WebhookPrivateKey()
        let signature = try WebhookSigner().sign(
            id: "a", timestampSeconds: 7, body: [1, 2], keys: WebhookSigningKeys(privateKeys: [key]))
        let verifier = try WebhookVerifier(keys: [Example.secret, key.publicKey.text])
        try verifier.verify(id: "a", timestamp: "7", signature: signature, body: [1, 2], nowSeconds: 7)
        #expect(throws: WebhookVerificationError.mismatch) {
            try verifier.verify(id: "a", timestamp: "7", signature: signature, body: [1, 3], nowSeconds: 7)
        }
    }
}
