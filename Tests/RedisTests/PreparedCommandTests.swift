import Testing

@testable import Redis

@Suite struct PreparedCommandTests {
    private static let keys: [[UInt8]] = [
        [], [0, 13, 10, 255], Array(repeating: 7, count: 16), Array(repeating: 65, count: 300),
    ]

    @Test(arguments: keys) func itIsEncodedAsItsWordsAre(key: [UInt8]) {
        func expect(_ prepared: PreparedCommand, _ words: [RedisArgument]) {
            var (found, expected): ([UInt8], [UInt8]) = ([], [])
            key.withUnsafeBytes { CommandEncoder.append(prepared, key: $0, to: &found) }
            CommandEncoder.append(words, to: &expected)
            #expect(found == expected)
        }
        let whole = RedisArgument.bytes(Array("k:".utf8) + key)
        expect(PreparedCommand("GET", keyPrefix: "k:"), ["GET", whole])
        expect(
            PreparedCommand("SET", keyPrefix: "k:", then: .bytes([0, 1]), "NX", "EX", 86_400),
            ["SET", whole, .bytes([0, 1]), "NX", "EX", 86_400])
    }
}
