import Testing

@testable import Cryptography

/// Bytes from hexadecimal digits.
func hex(_ digits: String) -> [UInt8] {
    let values = digits.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: values.count - 1, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
}

func ascii(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct DigestTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func sha256(text: String, digest: String) {
        #expect(SHA256.digest(of: ascii(text)) == hex(digest))
        // In two parts, and again.
        let hasher = SHA256Hasher()
        for split in 0...text.utf8.count {
            for part in [ascii(text)[..<split], ascii(text)[split...]] {
                Array(part).withUnsafeBytes { hasher.add($0) }
            }
            let half = hasher.finishHalf()
            #expect(withUnsafeBytes(of: half) { Array($0) } == Array(hex(digest)[..<16]))
        }
    }
}

/// RFC 4231.
@Suite struct HMACTests {
    static let cases: [(key: [UInt8], message: [UInt8], code: String)] = [
        (
            [UInt8](repeating: 0x0b, count: 20), ascii("Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            ascii("Jefe"), ascii("what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (
            hex("0102030405060708090a0b0c0d0e0f10111213141516171819"), [UInt8](repeating: 0xcd, count: 50),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        ),
        (
            [UInt8](repeating: 0xaa, count: 131), ascii("Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ]

    @Test func vectorsWithOneContextReKeyed() throws {
        let context = try HMACSHA256Context()
        for _ in 0..<2 {
            for (key, message, code) in Self.cases {
                #expect(try context.code(for: message, key: key) == hex(code))
            }
        }
    }

    @Test func piecesAndTheWholeAgree() throws {
        let context = try HMACSHA256Context()
        let (key, message, code) = Self.cases[4]
        var result = [UInt8](repeating: 0, count: 32)
        try key.withUnsafeBytes { try context.begin(key: $0) }
        try message.withUnsafeBytes { bytes in
            try context.update(UnsafeRawBufferPointer(rebasing: bytes[..<7]))
            try context.update(UnsafeRawBufferPointer(rebasing: bytes[7..<7]))
            try context.update(UnsafeRawBufferPointer(rebasing: bytes[7...]))
        }
        try result.withUnsafeMutableBytes { try context.finish(into: $0) }
        #expect(result == hex(code))
    }

    @Test func anAbandonedMessageLeavesNothingBehind() throws {
        let context = try HMACSHA256Context()
        try ascii("another key").withUnsafeBytes { try context.begin(key: $0) }
        try ascii("unfinished").withUnsafeBytes { try context.update($0) }
        let (key, message, code) = Self.cases[0]
        #expect(try context.code(for: message, key: key) == hex(code))
    }

    @Test func anEmptyKeyIsRefusedAndDoesNotMeanThePreviousOne() throws {
        let context = try HMACSHA256Context()
        _ = try context.code(for: [1], key: [2])
        #expect(throws: CryptographyError.emptyKey) { try context.code(for: [1], key: []) }
    }
}

/// Test cases 13 to 16 of McGrew and Viega's GCM specification, as NIST published it.
@Suite struct AES256GCMTests {
    static let key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
    static let plaintext = hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    static let associated = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    static let sealed = hex(
        """
        cafebabefacedbaddecaf888\
        522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
        76fc6ece0f4e1768cddf8853bb2d551b
        """)

    @Test func emptyText() throws {
        let cipher = try AES256GCM(key: [UInt8](repeating: 0, count: 32))
        let sealed = try cipher.seal([], associatedData: [], nonce: [UInt8](repeating: 0, count: 12))
        #expect(sealed == [UInt8](repeating: 0, count: 12) + hex("530f8afbc74536b9a963b4f1c4cb738b"))
        #expect(try cipher.open(sealed, associatedData: []) == [])
    }

    @Test func oneBlock() throws {
        let cipher = try AES256GCM(key: [UInt8](repeating: 0, count: 32))
        let sealed = try cipher.seal(
            [UInt8](repeating: 0, count: 16), associatedData: [], nonce: [UInt8](repeating: 0, count: 12))
        #expect(sealed.dropFirst(12) == hex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")[...])
    }

    @Test func textAndAssociatedData() throws {
        let cipher = try AES256GCM(key: Self.key)
        let nonce = Array(Self.sealed[..<12])
        #expect(try cipher.seal(Self.plaintext, associatedData: Self.associated, nonce: nonce) == Self.sealed)
        #expect(try cipher.open(Self.sealed, associatedData: Self.associated) == Self.plaintext)
    }

    @Test func everyAlteredBitIsNoticed() throws {
        let cipher = try AES256GCM(key: Self.key)
        for position in Self.sealed.indices {
            var altered = Self.sealed
            altered[position] ^= 1 << UInt8(position % 8)
            #expect(throws: CryptographyError.notAuthentic) {
                try cipher.open(altered, associatedData: Self.associated)
            }
        }
        #expect(throws: CryptographyError.notAuthentic) { try cipher.open(Self.sealed, associatedData: [1]) }
        #expect(throws: CryptographyError.malformed) {
            try cipher.open(Array(Self.sealed.prefix(27)), associatedData: [])
        }
        let other = try AES256GCM(key: [UInt8](repeating: 7, count: 32))
        #expect(throws: CryptographyError.notAuthentic) {
            try other.open(Self.sealed, associatedData: Self.associated)
        }
    }

    @Test func noncesDiffer() throws {
        let cipher = try AES256GCM(key: Self.key)
        let nonces = try (0..<100).map { _ in Array(try cipher.seal([1], associatedData: []).prefix(12)) }
        #expect(Set(nonces).count == 100)
    }

    @Test func aKeyHas32Bytes() {
        #expect(throws: CryptographyError.wrongKeyLength(expected: 32, actual: 31)) {
            try AES256GCM(key: [UInt8](repeating: 0, count: 31))
        }
    }
}

/// RFC 8032, section 7.1.
@Suite struct Ed25519Tests {
    @Test(arguments: [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ])
    func vectors(seed: String, publicKey: String, message: String, signature: String) throws {
        let key = try Ed25519.PrivateKey(seed: hex(seed))
        let verifier = try Ed25519.PublicKey(bytes: hex(publicKey))
        #expect(key.publicKey == verifier)
        #expect(key.sign(hex(message)) == hex(signature))
        #expect(verifier.verifies(hex(signature), of: hex(message)))
        #expect(!verifier.verifies(hex(signature), of: hex(message) + [0]))
        #expect(!verifier.verifies(Array(hex(signature).dropLast()), of: hex(message)))
    }

    @Test func newKeysDifferAndWork() throws {
        let first = Ed25519.PrivateKey()
        let second = Ed25519.PrivateKey()
        #expect(first.publicKey != second.publicKey)
        #expect(try Ed25519.PrivateKey(seed: first.seed).publicKey == first.publicKey)
        #expect(!second.publicKey.verifies(first.sign([1]), of: [1]))
    }

    @Test func sizesAreChecked() {
        #expect(throws: CryptographyError.wrongKeyLength(expected: 32, actual: 31)) {
            try Ed25519.PrivateKey(seed: [UInt8](repeating: 0, count: 31))
        }
        #expect(throws: CryptographyError.wrongKeyLength(expected: 32, actual: 33)) {
            try Ed25519.PublicKey(bytes: [UInt8](repeating: 0, count: 33))
        }
    }
}
