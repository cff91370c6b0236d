import Testing

/// The packages that Debian's tools say the build uses are the ones that packages.txt installs.
@Suite struct PackageListTests {
    private func listed(_ kinds: Set<String>) throws -> Set<String> {
        let file = try #require(try SourceTree.files(ending: "packages.txt").first)
        return Set(
            file.lines.filter { !$0.hasPrefix("#") }.compactMap { line in
                let words = line.split(separator: " ")
                return words.count == 2 && kinds.contains(String(words[0])) ? String(words[1]) : nil
            })
    }

    @Test func everyLineIsAKindAndAPackage() throws {
        let all = try listed(["build", "run", "test", "kafka"])
        let file = try #require(try SourceTree.files(ending: "packages.txt").first)
        #expect(all.count == file.lines.count { !$0.hasPrefix("#") && !$0.isEmpty })
    }

    private func owner(of path: String) throws -> String? {
        let result = try SourceTree.run("dpkg", "-S", path)
        guard result.status == 0 else { return nil }
        return result.output.split(separator: ":").first.map(String.init)
    }

    private static let hasDpkg = (try? SourceTree.run("dpkg", "--version").status) == 0

    @Test(.enabled(if: hasDpkg, "dpkg tells which package a file is from")) func everySystemHeaderIsFromAListedPackage()
        throws
    {
        let listed = try listed(["build"])
        var headers: Set<String> = []
        for file in try SourceTree.files(ending: ".h", ".c") where file.path.hasPrefix("pkg/") {
            for line in file.lines where line.hasPrefix("#include <") {
                headers.insert(String(line.dropFirst("#include <".count).prefix { $0 != ">" }))
            }
        }
        #expect(headers.count > 15)
        // What the compiler itself brings.
        let builtin: Set<String> = ["stddef.h", "stdint.h", "stdbool.h", "stdarg.h", "limits.h", "stdatomic.h"]
        for header in headers.subtracting(builtin).sorted() {
            let candidates = [
                "/usr/include/\(header)", "/usr/include/postgresql/\(header)",
                "/usr/include/x86_64-linux-gnu/\(header)",
                "/usr/include/aarch64-linux-gnu/\(header)",
            ]
            let package = try candidates.lazy.compactMap { try owner(of: $0) }.first
            let name = try #require(package, "no package has <\(header)>")
            #expect(
                listed.contains(name) || name == "linux-libc-dev",
                "<\(header)> is from \(name), which packages.txt does not list as build")
        }
    }

    @Test(.enabled(if: hasDpkg, "dpkg tells which package a file is from"))
    func everyLinkedLibraryIsFromAListedPackage() throws {
        let manifest = try #require(try SourceTree.files(ending: "Package.swift").first { $0.path == "Package.swift" })
        let libraries = manifest.lines.filter { $0.contains("links: [") }.flatMap { line in
            line.split(separator: "[").last!.split(separator: "]").first!.split(separator: ",")
                .map { $0.filter { $0 != "\"" && $0 != " " } }
        }
        #expect(libraries.count >= 9)
        let listed = try listed(["build"])
        for library in libraries {
            let result = try SourceTree.run("dpkg", "-S", "lib\(library).so")
            let owners = result.output.split(separator: "\n").compactMap { line in
                line.hasSuffix("/lib\(library).so") ? line.split(separator: ":").first.map(String.init) : nil
            }
            #expect(
                owners.contains { listed.contains($0) },
                "lib\(library).so is from \(owners), none of which packages.txt lists")
        }
    }
}
