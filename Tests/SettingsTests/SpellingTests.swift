import Testing

@testable import Spelling

@Suite struct SpellingTests {
    private let words = ["partitions", "brokers", "linger", "up", "down"]

    @Test(arguments: [
        ("partition", "partitions"), ("borkers", "brokers"), ("LINGER", "linger"), ("dwon", "down"), ("u", "up"),
    ])
    func whatWasMeantIsFound(word: String, meant: String) {
        #expect(Spelling.suggestion(for: word, among: words) == meant)
    }

    @Test(arguments: ["", "something", "xyz", String(repeating: "a", count: 10_000)])
    func whatMeansNothingFindsNothing(word: String) { #expect(Spelling.suggestion(for: word, among: words) == nil) }

    @Test(arguments: [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 1), ("abc", "abc", 0)])
    func distancesAreRight(a: String, b: String, distance: Int) {
        #expect(Spelling.distance(Array(a.unicodeScalars), Array(b.unicodeScalars)) == distance)
    }
}
