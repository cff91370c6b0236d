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
        ("cmd/martlet/Main.swift", "Records", false), ("cmd/simulate/Main.swift", "Simulation", true),
        ("internal/simulation/A.swift", "Records", true), ("internal/simulation/A.swift", "Kafka", false),
        ("internal/simulation/A.swift", "Glibc", false), ("internal/services/Gateway/A.swift", "Simulation", false),
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

    /// Core is pure, and so is what plays the world around it: what could bring in the real one is not even named.
    @Test func coreAndSimulationArePure() throws {
        let banned = [
            "async ", "await ", "Task", "print(", "SystemRandomNumberGenerator", ".random(in:", "ContinuousClock",
            "Mutex", "Atomic<",
        ]
        let pure = try SourceTree.files(ending: ".swift").filter {
            $0.path.hasPrefix("internal/core/") || $0.path.hasPrefix("internal/simulation/")
        }
        for file in pure {
            for (number, line) in file.lines.enumerated() where !line.drop(while: { $0 == " " }).hasPrefix("//") {
                for word in banned where line.contains(word) {
                    Issue.record("\(file.path):\(number + 1) has \(word) in it")
                }
            }
        }
    }
}
