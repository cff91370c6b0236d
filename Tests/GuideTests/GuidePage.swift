import TestSupport
import Testing

/// A page of docs/guide, and the code in it.
struct GuidePage {
    struct Block: Sendable {
        var language: String
        var text: String
        /// Where it begins, from 1.
        var line: Int
    }

    static let names = [
        "README.md", "concepts.md", "receiving.md", "sending.md", "retries.md", "operating.md", "errors.md",
    ]
    static let folder = Python.checkout + "/docs/guide/"

    let name: String
    let text: String
    let blocks: [Block]

    init(_ name: String) {
        self.name = name
        text = contents(of: Self.folder + name)
        var blocks: [Block] = []
        var open: Block?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if let block = open {
                if line == "```" {
                    blocks.append(block)
                    open = nil
                } else {
                    open?.text += line + "\n"
                }
            } else if line.hasPrefix("```") {
                open = Block(language: String(line.dropFirst(3)), text: "", line: index + 2)
            }
        }
        self.blocks = blocks
    }

    static var all: [GuidePage] { names.map { GuidePage($0) } }

    func blocks(in language: String) -> [Block] { blocks.filter { $0.language == language } }

    /// The page's only block in a language that contains `text`.
    func block(in language: String, containing text: String = "") throws -> Block {
        let found = blocks(in: language).filter { text.isEmpty || $0.text.contains(text) }
        try #require(found.count == 1, "\(name) has \(found.count) blocks in \(language) with \(text)")
        return found[0]
    }
}
