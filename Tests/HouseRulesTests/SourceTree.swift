import Foundation

/// The project's files, as git lists them.
struct SourceTree {
    static let root = String(#filePath.dropLast("/Tests/HouseRulesTests/SourceTree.swift".count))

    struct File {
        let path: String
        let text: String

        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

        /// The module of a Swift file: its folder.
        var module: String { path.split(separator: "/").dropLast().last.map(String.init) ?? "" }

        /// The modules that it imports.
        var imports: [String] {
            lines.compactMap { line in
                let words = line.split(separator: " ")
                guard let index = words.firstIndex(of: "import"), index + 1 < words.count,
                    words[..<index].allSatisfy({
                        ["public", "internal", "package", "private", "@testable"].contains($0)
                    })
                else { return nil }
                return words[index + 1].split(separator: ".").first.map(String.init)
            }
        }
    }

    let files: [File]

    /// Reads every tracked file whose path ends so.
    static func files(ending suffixes: String...) throws -> [File] {
        try paths().filter { path in suffixes.contains { path.hasSuffix($0) } }.compactMap { path in
            guard let text = try? String(contentsOfFile: "\(root)/\(path)", encoding: .utf8) else { return nil }
            return File(path: path, text: text)
        }
    }

    static func paths() throws -> [String] {
        try run("git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard").output
            .split(separator: "\n").map(String.init)
    }

    @discardableResult
    static func run(_ words: String...) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
