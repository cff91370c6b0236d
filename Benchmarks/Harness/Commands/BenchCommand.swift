import CLinux
import Flags
import Glibc

/// `martlet bench`.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet bench", abstract: "Measure what Martlet does on this machine.",
        subcommands: [
            RunCommand.self, ListCommand.self, GenerateCommand.self, ReceiveCommand.self, ReferenceCommand.self,
        ])
}

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Name the scenarios.")

    func run() async throws {
        for scenario in Scenario.all {
            let remarks =
                (scenario.needsRealKafka ? " (needs KAFKA_HOME)" : "") + (scenario.isOptional ? " (by name only)" : "")
            print(scenario.name.padded(14) + scenario.shows + remarks)
        }
    }
}

/// How a session is to be.
struct BenchOptions: Sendable {
    /// The folder that `martlet` and the services lie in.
    var programs: String
    /// This program.
    var executable: String
    /// The system's own folder, made and removed.
    var directory: String
    var environment: [String: String] = [:]
    var scale = 1.0
    var soakMinutes = 10.0
}

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run scenarios against a system of its own, and write a report.",
        discussion: """
            Starts PostgreSQL, Redis, Kafka and all services on free ports of this machine (with the distribution in KAFKA_HOME, else \
            with librdkafka's in-memory broker), a load generator and a receiver, and writes report.md, report.json and plots.
            """)

    @Option(valueName: "names", help: "Scenarios, separated by commas; all where none are named.") var only = ""
    @Option(help: "How long scenarios last, beside the usual: 0.1 for a quick look.") var scale = 1.0
    @Option(help: "How long the scenario soak lasts.") var minutes = 10.0
    @Flag(help: "With the in-memory broker, though KAFKA_HOME is set.") var memory = false
    @Option(valueName: "dir", help: "Where the report goes.") var output = DirectoryPath(".build/bench")

    func validate() throws {
        guard (0.02...10).contains(scale) else { throw ValidationError("--scale \(scale): 0.02 to 10") }
        guard minutes > 0 else { throw ValidationError("--minutes \(minutes): more than none") }
        let known = Set(Scenario.all.map(\.name))
        if let name = names.first(where: { !known.contains($0) }) {
            throw ValidationError(
                "--only \(name): no such scenario; known are \(known.sorted().joined(separator: ", "))")
        }
    }

    /// For the system: one tenant has all the webhooks here, and what a scenario lets stand still for a while stays a member of its group,
    /// so that it is not a rebalance that is measured afterwards.
    private static func environment(isReal: Bool) -> [String: String] {
        var environment = [
            "MARTLET_REGISTRY_MAX_WEBHOOKS_PER_TENANT": "1000000",
            "MARTLET_KAFKA_PROPERTIES": "session.timeout.ms=240000",
        ]
        if !isReal { environment["KAFKA_HOME"] = "" }
        return environment
    }

    private var names: [String] { only.split(separator: ",").map(String.init) }

    func run() async throws {
        Program.removeLeftovers()
        let home = getenv("KAFKA_HOME").map { String(cString: $0) } ?? ""
        let isReal = !memory && !home.isEmpty
        let chosen = Scenario.all.filter { names.isEmpty ? !$0.isOptional : names.contains($0.name) }
        let possible = chosen.filter { isReal || !$0.needsRealKafka }
        let executable = Program.path
        let options = BenchOptions(
            programs: Program.folder, executable: executable, directory: Program.directory(of: getpid()),
            environment: Self.environment(isReal: isReal), scale: scale, soakMinutes: minutes)
        let session = Session(
            scenarios: possible, skipped: chosen.map(\.name).filter { name in !possible.contains { $0.name == name } },
            options: options)
        let report = try await session.run()
        try report.write(to: output.path)
        print(report.summary)
        print("report: \(output.path)/report.md")
        if report.hasLost || !report.failures.isEmpty { throw ExitCode.failure }
    }
}

/// Where this program lies.
enum Program {
    static var path: String {
        var buffer = [CChar](repeating: 0, count: 4_096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        return String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Of a session's system.
    static func directory(of pid: Int32) -> String { "\(directories)\(pid)" }
    private static let directories = "/var/tmp/martlet-bench-"

    /// What sessions left behind that were killed.
    static func removeLeftovers() {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(directories + "*", 0, nil, &found) == 0 else { return }
        for index in 0..<Int(found.gl_pathc) {
            guard let path = found.gl_pathv[index].map({ String(cString: $0) }),
                let pid = Int32(path.dropFirst(directories.count)), kill(pid, 0) != 0
            else { continue }
            _ = clinux_remove_tree(path)
        }
    }

    static var folder: String { path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } }
}

extension String {
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: Swift.max(1, width - count)) }
}
