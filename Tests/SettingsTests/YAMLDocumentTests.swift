import Testing

@testable import Settings

@Suite struct YAMLDocumentTests {
    private func refusal(_ text: String) -> YAMLError? {
        do throws(YAMLError) {
            _ = try YAMLDocument.read(Array(text.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test func valuesCarryTheirLines() throws {
        let root = try YAMLDocument.read(Array("# comment\na: 1\nb:\n  c: [x, 'y']\n  d: null\n".utf8))
        guard case .mapping(let members) = root.content, case .mapping(let inner) = members[1].value.content,
            case .sequence(let list) = inner[0].value.content
        else {
            Issue.record("\(root)")
            return
        }
        #expect(members.map(\.key) == ["a", "b"])
        #expect(members.map(\.keyLine) == [2, 3])
        #expect(list.map(\.line) == [4, 4])
        #expect(inner[1].value.isNull)
        guard case .scalar("y", isPlain: false) = list[1].content else {
            Issue.record("\(list[1])")
            return
        }
    }

    @Test(arguments: ["", "# nothing but a comment\n", "---\n", "---\n...\n", "\u{feff}"])
    func anEmptyDocumentIsAnEmptyMapping(text: String) throws {
        guard case .mapping(let members) = try YAMLDocument.read(Array(text.utf8)).content else {
            Issue.record("no mapping")
            return
        }
        #expect(members.isEmpty)
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3\n", 3, "key \"a\" was given on line 1 already"),
        ("a: &x 1\n", 1, "anchors (&name) are not taken"),
        ("a: 1\nb: *x\n", 2, "aliases (*name) are not taken"),
        ("a: !!str 1\n", 1, "tags (!name) are not taken"),
        ("a: ! 1\n", 1, "tags (!name) are not taken"),
        ("a: &x [1]\n", 1, "anchors (&name) are not taken"),
        ("a: !set {b: 1}\n", 1, "tags (!name) are not taken"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here"),
        ("a: 1\n? [x, y]\n: 2\n", 2, "a key must be text"),
    ])
    func whatSettingsDoNotNeedIsRefused(text: String, line: Int, reason: String) {
        #expect(refusal(text) == YAMLError(line: line, reason: reason))
    }

    @Test(arguments: [("a: 1\nb: [1, 2\nc: 3\n", 3), ("a:\n\t- 1\n", 2), ("a: \"unfinished\n", 2)])
    func badSyntaxIsRefusedWithItsLine(text: String, line: Int) {
        #expect(refusal(text)?.line == line)
    }

    @Test func badEncodingIsRefused() {
        #expect(throws: YAMLError.self) { _ = try YAMLDocument.read([0x61, 0x3a, 0x20, 0xff, 0xfe]) }
        #expect(throws: YAMLError.self) { _ = try YAMLDocument.read([0x61, 0x3a, 0x20, 0x01]) }
    }

    @Test func everythingIsBounded() {
        let deep = String(repeating: "[", count: 50_000)
        let deepBlock = (0..<100).map { String(repeating: " ", count: $0) + "k:\n" }.joined()
        let many = "a: [" + String(repeating: "1,", count: YAMLDocument.maximumNodes + 1) + "1]"
        let large = String(repeating: "#", count: YAMLDocument.maximumBytes + 1)
        let started = ContinuousClock.now
        #expect(refusal(deep)?.reason == "nested deeper than 16 levels")
        #expect(refusal(deepBlock) == YAMLError(line: 17, reason: "nested deeper than 16 levels"))
        #expect(refusal(many)?.reason == "more than 20000 values")
        #expect(refusal(large)?.reason == "the file is larger than 1048576 bytes")
        #expect(ContinuousClock.now - started < .seconds(5))
    }
}
