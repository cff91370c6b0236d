import Glibc
import Testing

/// What the configuration offers is taken by somebody: a key that nothing reads would be a promise that nobody keeps.
@Suite struct UsageTests {
    private static let configuration = checkout + "/internal/services/ServiceSupport/Configuration"

    @Test func everyPropertyIsUsed() throws {
        let declarations = try sources(under: Self.configuration)
        let declared = declarations.values.flatMap { $0 }.compactMap(propertyName)
        try #require(declared.count > 40)
        let users = try sources(under: checkout + "/internal").merging(try sources(under: checkout + "/cmd")) { a, _ in
            a
        }
        var used: Set<Substring> = []
        for lines in users.values {
            for line in lines where propertyName(line) == nil { used.formUnion(names(usedIn: line)) }
        }
        let unused = Set(declared).subtracting(used).sorted()
        #expect(unused.isEmpty, "declared in \(Self.configuration), used nowhere: \(unused)")
    }

    /// The name in `public let name: …`.
    private func propertyName(_ line: Substring) -> Substring? {
        let words = line.split(separator: " ")
        guard words.count > 2, words[0] == "public", words[1] == "let" else { return nil }
        return words[2].dropLast()
    }

    /// Every word of the line but one that is assigned to, as in `name = settings.value(…)`.
    private func names(usedIn line: Substring) -> [Substring] {
        let words = line.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
        let isAssignment = line.drop { $0 == " " }.drop { $0.isLetter || $0.isNumber }.hasPrefix(" = ")
        return isAssignment ? Array(words.dropFirst()) : words
    }

    private func sources(under root: String) throws -> [String: [Substring]] {
        var found: [String: [Substring]] = [:]
        var waiting = [root]
        while let folder = waiting.popLast() {
            let directory = try #require(opendir(folder), "\(folder) cannot be read")
            defer { closedir(directory) }
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                let path = folder + "/" + name
                if entry.pointee.d_type == DT_DIR, !name.hasPrefix(".") { waiting.append(path) }
                if name.hasSuffix(".swift") { found[path] = try readText(path).split(separator: "\n") }
            }
        }
        return found
    }
}
