import Testing

@testable import Cryptography

/// RFC 4648, section 10.
@Suite struct Base64Tests {
    static let vectors = [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ]

    @Test(arguments: vectors) func standard(plain: String, text: String) {
        #expect(Base64.standard.encode(ascii(plain)) == text)
        #expect(Base64.standard.decode(text) == ascii(plain))
    }

    @Test(arguments: vectors) func urlSafe(plain: String, padded: String) {
        let text = String(padded.prefix { $0 != "=" })
        #expect(Base64.urlSafe.encode(ascii(plain)) == text)
        #expect(Base64.urlSafe.decode(text) == ascii(plain))
        if text != padded { #expect(Base64.urlSafe.decode(padded) == nil) }
    }

    @Test func alphabetsDiffer() {
        let bytes: [UInt8] = [0xfb, 0xff, 0xfe]
        #expect(Base64.standard.encode(bytes) == "+//+")
        #expect(Base64.urlSafe.encode(bytes) == "-__-")
        #expect(Base64.standard.decode("-__-") == nil)
        #expect(Base64.urlSafe.decode("+//+") == nil)
    }

    @Test(arguments: [
        "Zg", "Zg=", "Zg===", "Z", "Zm9vYg", "Zh==", "Zm9=", "Zm9v=", "=", "====", "Zm 9v", "Zm9v\n", " Zm9v",
        "Zm9vZg==Zm9v",
        "Zm9v\u{0}", "Zmé=",
    ])
    func whatIsNotCanonicalIsRefused(text: String) {
        #expect(Base64.standard.decode(text) == nil)
    }

    @Test func everyLengthRoundTrips() {
        var random = BufferedRandom()
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(Base64.standard.decode(Base64.standard.encode(bytes)) == bytes)
            #expect(Base64.urlSafe.decode(Base64.urlSafe.encode(bytes)) == bytes)
        }
    }

    @Test func encodingAppends() {
        var output = ascii("v1,")
        ascii("foobar").withUnsafeBytes { Base64.standard.encode($0, appendingTo: &output) }
        #expect(output == ascii("v1,Zm9vYmFy"))
    }
}

@Suite struct RandomTests {
    @Test func blocksNeverRepeatAcrossRefills() {
        let random = BufferedRandom()
        #expect(Set((0..<10_000).map { _ in random.next() }).count == 10_000)
    }

    @Test(arguments: [0, 1, 15, 16, 1_024, 1_025, 10_000]) func buffersAreFilled(count: Int) {
        let random = BufferedRandom()
        _ = random.next()
        // A byte that random filling leaves at zero eight times over is a byte that was not filled.
        var seen = [UInt8](repeating: 0, count: count)
        for _ in 0..<8 {
            var bytes = [UInt8](repeating: 0, count: count)
            bytes.withUnsafeMutableBytes { random.fill($0) }
            for index in seen.indices { seen[index] |= bytes[index] }
        }
        #expect(!seen.contains(0))
        #expect(randomBytes(count).count == count)
    }
}

@Suite struct ComparisonTests {
    @Test func equalityIsEquality() {
        #expect(constantTimeEqual([], []))
        #expect(constantTimeEqual([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2]))
    }
}
