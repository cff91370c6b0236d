import Records
import ServiceSupport
import Testing

@Suite struct SecretSealingTests {
    private let first = [UInt8](repeating: 1, count: 32)
    private let second = [UInt8](repeating: 2, count: 32)
    private let secret = [UInt8](0..<32)

    @Test func whatWasSealedIsOpened() throws {
        let sealer = try SecretSealer(keys: ["a": first], activeKey: "a")
        let sealed = try sealer.seal(secret, of: "wh_1", kind: .ed25519)
        #expect(sealed.keyID == "a")
        #expect(sealed.kind == .ed25519)
        #expect(sealed.sealed.count == 12 + 32 + 16)
        #expect(try sealer.open(sealed, of: "wh_1") == secret)
        #expect(try sealer.seal(secret, of: "wh_1").sealed != sealed.sealed)
    }

    @Test func anotherWebhookOrAlteredBytesDoNotOpen() throws {
        let sealer = try SecretSealer(keys: ["a": first, "b": first], activeKey: "a")
        let sealed = try sealer.seal(secret, of: "wh_1")
        #expect(throws: SecretSealingError.notAuthentic(keyID: "a")) { try sealer.open(sealed, of: "wh_2") }
        for index in sealed.sealed.indices {
            var altered = sealed
            altered.sealed[index] ^= 1
            #expect(throws: SecretSealingError.notAuthentic(keyID: "a")) { try sealer.open(altered, of: "wh_1") }
        }
        var renamed = sealed
        renamed.keyID = "b"
        #expect(throws: SecretSealingError.notAuthentic(keyID: "b")) { try sealer.open(renamed, of: "wh_1") }
        var short = sealed
        short.sealed = []
        #expect(throws: SecretSealingError.notAuthentic(keyID: "a")) { try sealer.open(short, of: "wh_1") }
    }

    @Test func keysAreChangedWithoutLosingWhatIsSealed() throws {
        let old = try SecretSealer(keys: ["a": first], activeKey: "a").seal(secret, of: "wh_1")
        let sealer = try SecretSealer(keys: ["a": first, "b": second], activeKey: "b")
        #expect(try sealer.open(old, of: "wh_1") == secret)
        #expect(try sealer.seal(secret, of: "wh_1").keyID == "b")
        let without = try SecretSealer(keys: ["b": second], activeKey: "b")
        #expect(throws: SecretSealingError.unknownKey("a")) { try without.open(old, of: "wh_1") }
    }

    @Test func unusableKeysAreRefused() {
        #expect(throws: SecretSealingError.self) { try SecretSealer(keys: ["a": [1]], activeKey: "a") }
        #expect(throws: SecretSealingError.unknownKey("b")) { try SecretSealer(keys: ["a": first], activeKey: "b") }
    }
}
