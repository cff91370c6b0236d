import Testing

@testable import StandardWebhooks

/// The specification's example.
enum Example {
    static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    static let id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    static let timestamp: Int64 = 1_614_265_330
    static let body = Array(#"{"test": 2432232314}"#.utf8)
    static let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
}

@Suite struct SignerTests {
    let signer: WebhookSigner

    init() throws { signer = try WebhookSigner() }

    @Test func theSpecificationsExample() throws {
        let keys = try WebhookSigningKeys(secrets: [WebhookSecret(Example.secret)])
        for _ in 0..<2 {
            #expect(
                try signer.sign(id: Example.id, timestampSeconds: Example.timestamp, body: Example.body, keys: keys)
                    == Example.signature)
        }
    }

    @Test func signaturesAreAppendedWithoutTouchingWhatIsThere() throws {
        let keys = try WebhookSigningKeys(secrets: [WebhookSecret(Example.secret)])
        var line = Array("webhook-signature: ".utf8)
        try Array(Example.id.utf8).withUnsafeBytes { id in
            try Example.body.withUnsafeBytes { body in
                try signer.sign(
                    id: id, timestampSeconds: Example.timestamp, body: body, keys: keys, appendingTo: &line)
            }
        }
        #expect(String(decoding: line, as: UTF8.self) == "webhook-signature: " + Example.signature)
    }

    @Test func eachKeyGivesOneSignature() throws {
        let old = WebhookSecret()
        let new = WebhookSecret()
        let privateKey = WebhookPrivateKey()
        let keys = WebhookSigningKeys(secrets: [new, old], privateKeys: [privateKey])
        let header = try signer.sign(id: "a", timestampSeconds: 7, body: Example.body, keys: keys)
        #expect(header.split(separator: " ").map { $0.prefix { $0 != "," } } == ["v1", "v1", "v1a"])
        for key in [old.text, new.text, privateKey.publicKey.text] {
            let verifier = try WebhookVerifier(keys: [key])
            try verifier.verify(id: "a", timestamp: "7", signature: header, body: Example.body, nowSeconds: 7)
        }
    }

    @Test func theOlderSignatureIsTheBodysAlone() throws {
        // The example of GitHub's documentation.
        let body = Array("Hello, World!".utf8)
        let code = try body.withUnsafeBytes { body in
            try signer.hexCode(of: body, key: Array("It's a Secret to Everybody".utf8))
        }
        #expect(code == "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
        #expect(throws: WebhookSigningError.self) { try body.withUnsafeBytes { try signer.hexCode(of: $0, key: []) } }
    }

    @Test func withoutKeysNothingIsSigned() {
        #expect(throws: WebhookSigningError.noKeys) {
            try signer.sign(id: "a", timestampSeconds: 7, body: [], keys: WebhookSigningKeys())
        }
    }

    @Test(arguments: [0, 9, 10, 1_614_265_330, -1, Int64.max, Int64.min]) func decimals(value: Int64) {
        var text: [UInt8] = []
        text.append(decimal: value)
        #expect(String(decoding: text, as: UTF8.self) == String(value))
    }
}

@Suite struct KeyTests {
    @Test func textsRoundTrip() throws {
        let secret = WebhookSecret()
        #expect(secret.key.count == 32)
        #expect(try WebhookSecret(secret.text) == secret)
        let privateKey = WebhookPrivateKey()
        #expect(try WebhookPrivateKey(privateKey.text).seed == privateKey.seed)
        #expect(try WebhookPublicKey(privateKey.publicKey.text) == privateKey.publicKey)
    }

    @Test func aPrivateKeyMayComeAsItsSeedAlone() throws {
        let text = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="  // RFC 8032, test 1
        #expect(try WebhookPrivateKey(text).publicKey.text == "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    }

    @Test func whatIsNoSecretSaysWhy() {
        #expect(throws: WebhookKeyError.wrongPrefix(expected: "whsec_")) {
            try WebhookSecret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        }
        #expect(throws: WebhookKeyError.notBase64(prefix: "whsec_")) { try WebhookSecret("whsec_MfKQ9r8!") }
        #expect(throws: WebhookKeyError.wrongLength(bytes: 0, expected: "24 to 64")) { try WebhookSecret("whsec_") }
        #expect(throws: WebhookKeyError.wrongLength(bytes: 23, expected: "24 to 64")) {
            try WebhookSecret(key: [UInt8](repeating: 1, count: 23))
        }
        #expect(throws: WebhookKeyError.wrongLength(bytes: 65, expected: "24 to 64")) {
            try WebhookSecret(key: [UInt8](repeating: 1, count: 65))
        }
        #expect(throws: WebhookKeyError.wrongPrefix(expected: "whsk_")) { try WebhookPrivateKey(Example.secret) }
        #expect(throws: WebhookKeyError.self) { try WebhookPublicKey("whpk_AAAA") }
    }
}
