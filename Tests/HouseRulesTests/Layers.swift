/// Who may import whom.
struct Layers {
    /// Module names by folder.
    let core: Set<String>
    let services: Set<String>
    let libraries: Set<String>
    let shims: Set<String>

    init(paths: [String]) {
        func modules(under folder: String) -> Set<String> {
            Set(
                paths.filter { $0.hasPrefix(folder + "/") }.compactMap {
                    $0.dropFirst(folder.count + 1).split(separator: "/").first.map(String.init)
                })
        }
        core = modules(under: "internal/core")
        services = modules(under: "internal/services")
        let all = modules(under: "pkg")
        shims = Set(
            paths.filter { $0.hasPrefix("pkg/") && $0.hasSuffix(".h") }.compactMap {
                $0.split(separator: "/").dropFirst().first.map(String.init)
            })
        libraries = all.subtracting(shims)
    }

    /// Every import that breaks a rule, with the rule.
    func violations(path: String, imports: [String]) -> [String] {
        imports.compactMap { name in
            let mayImport: Bool
            let rule: String
            if path.hasPrefix("internal/core/") {
                mayImport = core.contains(name) || name == "WireFormat"
                rule = "core imports core and the wire format only"
            } else if path.hasPrefix("internal/simulation/") {
                mayImport = core.contains(name)
                rule = "the simulation imports core only"
            } else if path.hasPrefix("internal/services/") {
                let isOurs =
                    core.contains(name) || libraries.contains(name) || services.contains(name)
                mayImport = isOurs || Self.systemShims.contains(name) || Self.platform.contains(name)
                rule = "services import core and pkg"
            } else if path.hasPrefix("pkg/") {
                mayImport = libraries.contains(name) || shims.contains(name) || Self.platform.contains(name)
                rule = "pkg knows nothing of webhooks, and needs no Foundation"
            } else if path.hasPrefix("cmd/") {
                mayImport = services.contains(name) || libraries.contains(name) || name == "Simulation"
                rule = "cmd imports services, the simulation and pkg"
            } else {
                return nil
            }
            return mayImport ? nil : "\(path) imports \(name): \(rule)"
        }
    }

    /// Shims that wrap no library: the system's own calls, and the SQL files that are compiled in.
    private static let systemShims: Set<String> = ["CLinux", "CMigrations"]

    private static let platform: Set<String> = ["Glibc", "Synchronization", "FoundationEssentials"]

    /// The shims that more than one module imports, with the modules. System shims aside.
    func sharedShims(_ imports: [(module: String, name: String)]) -> [String] {
        var importers: [String: Set<String>] = [:]
        for (module, name) in imports where shims.contains(name) && !Self.systemShims.contains(name) {
            importers[name, default: []].insert(module)
        }
        return importers.filter { $0.value.count > 1 }.map {
            "\($0.key) is imported by \($0.value.sorted().joined(separator: ", "))"
        }
    }
}
