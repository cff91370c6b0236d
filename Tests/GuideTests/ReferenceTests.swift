import TestSupport
import Testing

/// What the guide names exists, and what a reader may meet is in it.
@Suite struct ReferenceTests {
    private static let pages = GuidePage.all

    /// The text of the Swift files below these folders.
    private static func source(_ folders: String...) async throws -> String {
        let paths = folders.map { Python.checkout + "/" + $0 }
        let child = try ChildProcess("find", paths + ["-name", "*.swift", "-exec", "cat", "{}", "+"])
        try #require(try await child.exit() == 0, "\(child.errors)")
        return child.output
    }

    /// The words in backticks in the first column of a page's tables below a heading.
    private static func firstColumn(of name: String, below heading: String) throws -> Set<String> {
        let text = GuidePage(name).text
        let sections = text.split(separator: "\n## ")
        let section = try #require(sections.first { $0.hasPrefix(heading + "\n") }, "\(name) has no \(heading)")
        var words: Set<String> = []
        for line in section.split(separator: "\n") where line.hasPrefix("| `") {
            let cell = line.dropFirst(2).prefix { $0 != "|" }
            words.formUnion(cell.matches(of: /`([a-z_0-9]+)`/).map { String($0.output.1) })
        }
        return words
    }

    @Test func everyCodeOfAProblemIsExplainedAndNoOther() async throws {
        let source = try await Self.source("internal", "pkg/HTTPServing")
        var codes = Set(source.matches(of: /code(?::| =) "([a-z_]+)"/).map { String($0.output.1) })
        codes.formUnion(source.matches(of: /\ = Code\("([a-z_]+)"\)/).map { String($0.output.1) })
        codes.formUnion(source.matches(of: /conflict\("([a-z_]+)"/).map { String($0.output.1) })
        // Between services; no user meets them.
        codes.subtract(["exists", "not_claimed", "state_conflict"])
        try #require(codes.count > 20)
        let explained = try Self.firstColumn(of: "errors.md", below: "Of the API")
        #expect(codes.subtracting(explained).sorted() == [], "errors.md does not explain these")
        #expect(explained.subtracting(codes).sorted() == [], "nothing answers these")
        for match in source.matches(of: /status: ([0-9]{3}),\s+code: "([a-z_]+)"/) where codes.contains(String(match.2))
        {
            let row = "\n| `\(match.2)` | \(match.1) |"
            #expect(GuidePage("errors.md").text.contains(row), "\(match.2) is answered with \(match.1)")
        }
    }

    @Test func everyReasonIsExplainedAndNoOther() async throws {
        let source = try await Self.source("internal/core/Delivering", "internal/services/Dispatching")
        var reasons: Set<String> = []
        for match in source.matches(of: /(?:reason: |[rR]eason = |giveUp\()"([a-z_]+)"/) {
            reasons.insert(String(match.output.1))
        }
        for match in source.matches(of: /return "([a-z]+_[a-z_]+_(?:missing|invalid))"/) {
            reasons.insert(String(match.output.1))
        }
        for match in source.matches(of: /case \.[a-zA-Z]+: "([a-z_]+)"/) { reasons.insert(String(match.output.1)) }
        try #require(reasons.count > 20)
        let explained = try Self.firstColumn(of: "errors.md", below: "Of attempts and deliveries")
            .filter { !$0.hasPrefix("status_") }
        #expect(reasons.subtracting(explained).sorted() == [], "errors.md does not explain these")
        #expect(explained.subtracting(reasons).sorted() == [], "nothing gives these")
    }

    @Test func everyMetricIsOneOfAService() async throws {
        let source = try await Self.source("internal")
        let known = Set(source.matches(of: /"(webhook_[a-z_]+)"/).map { String($0.output.1) })
        for page in Self.pages {
            let named = page.text.matches(of: /webhook_[a-z_]+_(?:total|seconds|bytes|records|lag|open|due|leader)\b/)
            for match in named { #expect(known.contains(String(match.output)), "\(page.name): \(match.output)") }
        }
    }

    @Test func everySettingIsInTheConfiguration() async throws {
        let print = try ChildProcess(
            RunningSystem.program, ["config", "print", "--json", "--config", Python.checkout + "/config.yaml"])
        try #require(try await print.exit() == 0, "\(print.errors)")
        let file = contents(of: Python.checkout + "/config.yaml")
        var keys: Set<String> = []
        var path: [(indent: Int, name: Substring)] = []
        for line in file.split(separator: "\n") {
            guard let match = line.firstMatch(of: /^( *)([a-z_]+):/) else { continue }
            path.removeAll { $0.indent >= match.output.1.count }
            path.append((match.output.1.count, match.output.2))
            keys.insert(path.map(\.name).joined(separator: "."))
        }
        let sections = Set(keys.map { $0.prefix { $0 != "." } })
        for page in Self.pages {
            for match in page.text.matches(of: /`([a-z_]+)(\.[a-z_]+)+`/) {
                let name = match.output.0.dropFirst().dropLast()
                guard sections.contains(match.output.1), !name.hasSuffix(".yaml") else { continue }
                #expect(keys.contains(String(name)), "\(page.name): there is no setting \(name)")
            }
            for match in page.text.matches(of: /MARTLET_[A-Z_]+/) {
                let variable = match.output.hasSuffix("_FILE") ? match.output.dropLast(5) : match.output
                #expect(file.contains("\(variable))"), "\(page.name): there is no \(variable)")
            }
        }
    }

    @Test func everyLinkLeadsSomewhere() throws {
        for page in Self.pages {
            for match in page.text.matches(of: /\]\(([^)]+)\)/) where !match.output.1.hasPrefix("https://") {
                let parts = match.output.1.split(separator: "#", omittingEmptySubsequences: false)
                let target = contents(of: GuidePage.folder + parts[0])
                #expect(!target.isEmpty, "\(page.name): there is no \(parts[0])")
                guard parts.count == 2 else { continue }
                let anchors = target.split(separator: "\n").filter { $0.hasPrefix("#") }.map { line in
                    line.drop { $0 == "#" || $0 == " " }.lowercased().replacing(" ", with: "-")
                        .filter { $0.isLetter || $0.isNumber || $0 == "-" }
                }
                #expect(anchors.contains(String(parts[1])), "\(page.name): \(match.output.1)")
            }
        }
    }

    /// A block in another language would be run by nobody. Those without one are pictures and examples of requests.
    @Test func theGuideIsShortAndAllItsCodeIsRun() {
        for page in Self.pages {
            for block in page.blocks {
                #expect(
                    ["sh", "python", "javascript", "go", "swift", ""].contains(block.language),
                    "\(page.name):\(block.line)")
            }
        }
        let lines = Self.pages.reduce(0) { $0 + $1.text.split(separator: "\n", omittingEmptySubsequences: false).count }
        #expect(lines < 900)
    }
}
