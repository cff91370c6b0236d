import Testing

@Suite struct LayerTests {
    private static let sample = Layers(paths: [
        "internal/core/Records/A.swift", "internal/core/Routing/A.swift", "internal/services/Gateway/A.swift",
        "pkg/Kafka/A.swift",
        "pkg/WireFormat/A.swift", "pkg/CKafka/include/CKafka.h", "pkg/CKafka/CKafka.c",
    ])

    @Test(arguments: [
        ("internal/core/Routing/A.swift", "Records", true), ("internal/core/Routing/A.swift", "WireFormat", true),
        ("internal/core/Routing/A.swift", "Foundation", false), ("internal/core/Routing/A.swift", "Glibc", false),
        ("internal/core/Routing/A.swift", "Kafka", false), ("internal/core/Routing/A.swift", "CKafka", false),
        ("internal/services/Gateway/A.swift", "Kafka", true), ("internal/services/Gateway/A.swift", "CKafka", false),
        ("pkg/Kafka/A.swift", "CKafka", true), ("pkg/Kafka/A.swift", "Records", false),
        ("pkg/Kafka/A.swift", "Gateway", false),
        ("pkg/Kafka/A.swift", "Foundation", false), ("cmd/martlet/Main.swift", "Gateway", true),
        ("cmd/martlet/Main.swift", "Records", false),
    ])
    func theCheckerKnowsTheRules(path: String, imported: String, allowed: Bool) {
        #expect(Self.sample.violations(path: path, imports: [imported]).isEmpty == allowed)
    }

    @Test func theCheckerSeesImportsHoweverTheyAreWritten() {
        let file = SourceTree.File(
            path: "a",
            text:
                "import A\npublic import B\n@testable import C\ninternal import D.E\n// import X\nlet text = \" import Y\""
        )
        #expect(file.imports == ["A", "B", "C", "D"])
    }

    @Test func nothingImportsWhatItMayNot() throws {
        let layers = Layers(paths: try SourceTree.paths())
        #expect(layers.core.count >= 5 && layers.services.count >= 6 && layers.libraries.count >= 15)
        let files = try SourceTree.files(ending: ".swift")
        let violations = files.flatMap { layers.violations(path: $0.path, imports: $0.imports) }
        #expect(violations.isEmpty, "\(violations.joined(separator: "\n"))")
    }

    @Test func eachCLibraryIsImportedByOneModule() throws {
        let layers = Layers(paths: try SourceTree.paths())
        let imports = try SourceTree.files(ending: ".swift").filter { $0.path.hasPrefix("pkg/") }
            .flatMap { file in file.imports.map { (module: file.module, name: $0) } }
        let shared = layers.sharedShims(imports)
        #expect(shared.isEmpty, "\(shared.joined(separator: "\n"))")
        #expect(layers.sharedShims([("A", "CKafka"), ("B", "CKafka")]) == ["CKafka is imported by A, B"])
    }

    /// Core is pure: what could bring in the world is not even named.
    @Test func coreIsPure() throws {
        let banned = [
            "async ", "await ", "Task", "print(", "SystemRandomNumberGenerator", ".random(in:", "ContinuousClock",
            "Mutex", "Atomic<",
        ]
        for file in try SourceTree.files(ending: ".swift") where file.path.hasPrefix("internal/core/") {
            for (number, line) in file.lines.enumerated() where !line.drop(while: { $0 == " " }).hasPrefix("//") {
                for word in banned where line.contains(word) {
                    Issue.record("\(file.path):\(number + 1) has \(word) in it")
                }
            }
        }
    }
}
