import Testing

@Suite struct StyleTests {
    private static let marker = "TO" + "DO"

    @Test func nothingIsLeftOver() throws {
        let words = [Self.marker, "FIX" + "ME"]
        for file in try SourceTree.files(ending: ".swift", ".c", ".h", ".sh", ".sql", ".yaml", ".proto") {
            for (number, line) in file.lines.enumerated() where words.contains(where: { line.contains($0) }) {
                Issue.record("\(file.path):\(number + 1): \(line)")
            }
        }
    }

    @Test func filesAreSmall() throws {
        for file in try SourceTree.files(ending: ".swift") where file.lines.count > 450 {
            Issue.record("\(file.path) has \(file.lines.count) lines")
        }
    }

    @Test func functionsAreShort() throws {
        #expect(longFunctions("func a() {\n" + String(repeating: "    x()\n", count: 80) + "}\n") == ["a() 82"])
        #expect(longFunctions("func a() {\n    x()\n}\n").isEmpty)
        for file in try SourceTree.files(ending: ".swift") where !file.path.hasPrefix("Tests/") {
            for function in longFunctions(file.text) { Issue.record("\(file.path): \(function) lines") }
        }
    }

    /// Functions of more than 70 lines, by indentation (the formatter sees to that). Switches of a state machine are told by
    /// their `case`s, which do not count.
    private func longFunctions(_ text: String) -> [String] {
        var found: [String] = []
        var open: (name: String, indent: Int, start: Int, cases: Int)?
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let indent = line.prefix { $0 == " " }.count
            let code = line.dropFirst(indent)
            if let function = open {
                if code.hasPrefix("case ") { open?.cases += 1 }
                if indent == function.indent, code.hasPrefix("}") {
                    let length = number - function.start + 1 - function.cases * 2
                    if length > 70 { found.append("\(function.name) \(length)") }
                    open = nil
                }
            } else if let range = code.firstRange(of: "func "), code.hasSuffix("{") {
                let name = code[range.upperBound...].prefix { $0 != "{" }
                open = (String(name).trimmed, indent, number, 0)
            }
        }
        return found
    }

    @Test func onlyCINamesWhatLiesBesideTheCheckout() throws {
        let outside = "../" + "shared"
        for file in try SourceTree.files(ending: "") where file.path != ".ci/run" && file.text.contains(outside) {
            Issue.record("\(file.path) names \(outside)")
        }
    }

    @Test func sourcesAreFormatted() throws {
        let result = try SourceTree.run(
            "swift", "format", "lint", "--strict", "--recursive", "--parallel", "\(SourceTree.root)/cmd",
            "\(SourceTree.root)/internal",
            "\(SourceTree.root)/pkg", "\(SourceTree.root)/Tests", "\(SourceTree.root)/Package.swift")
        #expect(result.status == 0, "\(result.output)")
    }

    @Test func everyTargetHasContent() throws {
        let placeholders = try SourceTree.paths().filter { $0.hasSuffix("/Placeholder.swift") }
        #expect(placeholders.isEmpty, "\(placeholders)")
    }
}

extension String {
    fileprivate var trimmed: String { String(self[...].drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
}
