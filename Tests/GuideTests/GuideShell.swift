import Glibc
import JSONScanning
import TestSupport
import Testing

/// A reader's shell, in the folder of a running system. Variables in capitals go from one block to the next.
final class GuideShell {
    struct Result {
        var status: Int32 = -1
        var output = ""
        var errors = ""
    }

    private let directory: String
    private let supervisor: String
    /// What the guide writes, and what it is here.
    private let replacements: [(String, String)]
    private var staying: [ChildProcess] = []

    init(_ system: RunningSystem) throws {
        directory = system.directory
        let summary = try JSONValue(parsing: Array(system.summary.utf8))
        func member(_ value: JSONValue?, _ name: String) throws -> JSONValue {
            guard case .object(let members)? = value else { throw ChildProcess.Failure(description: system.summary) }
            return try #require(members[name], "no \(name) in \(system.summary)")
        }
        guard case .number(let pid) = try member(summary, "pid") else {
            throw ChildProcess.Failure(description: system.summary)
        }
        supervisor = pid
        let ports = try member(summary, "ports")
        func port(_ name: String) throws -> String {
            guard case .number(let text) = try member(ports, name) else { return "" }
            return text
        }
        guard case .string(let kafka) = try member(summary, "kafka") else {
            throw ChildProcess.Failure(description: "")
        }
        var replacements = [
            ("localhost:8080", "localhost:\(try port("api-gateway"))"),
            ("localhost:8082", "localhost:\(try port("event-ingestion"))"),
            ("localhost:8083", "localhost:\(try port("webhook-dispatcher"))"),
            ("localhost:8084", "localhost:\(try port("retry-manager"))"),
            ("localhost:8085", "localhost:\(try port("observability"))"),
            ("PGPORT=15432", "PGPORT=\(try port("PostgreSQL"))"),
            ("redis-cli -p 16379", "redis-cli -p \(try port("Redis"))"),
            ("localhost:19092", kafka),
            ("$PWD/.build/release", Executables.directory), ("config.yaml", Python.checkout + "/config.yaml"),
        ]
        for name in ["9000", "9001"] {
            let free = freePort()
            replacements += [("localhost:\(name)", "localhost:\(free)"), ("--port \(name)", "--port \(free)")]
        }
        self.replacements = replacements
    }

    /// With this system's ports.
    func localized(_ text: String) -> String {
        replacements.reduce(text) { $0.replacing($1.0, with: $1.1) }
    }

    private func spawn(_ text: String) throws -> ChildProcess {
        // Curl's progress is no part of an answer; and what a block exports is the next one's, too.
        let script = """
            cd "$0" && source ./variables 2>/dev/null
            curl() { command curl --silent --show-error "$@"; }
            set -e -o pipefail
            \(localized(text))
            declare -p TOKEN SECRET WEBHOOK DELIVERY REFUSING LETTER ${!PG*} 2>/dev/null > variables || true
            """
        var environment = RunningSystem.withoutKafka
        environment["PATH"] = Executables.directory + ":" + String(cString: getenv("PATH"))
        return try ChildProcess("bash", ["-c", script, directory], environment: environment)
    }

    func run(_ text: String) async throws -> Result {
        let child = try spawn(text)
        child.closeInput()
        let status = try await child.exit(within: .seconds(60))
        return Result(status: status, output: child.output, errors: child.errors)
    }

    /// Starts what stays in the foreground; returns when it has said something.
    func start(_ text: String) async throws {
        let child = try spawn("exec " + text)
        staying.append(child)
        let hasBegun = await eventually(within: .seconds(20)) { !(child.output + child.errors).isEmpty }
        try #require(hasBegun && child.status == nil, "\(text): \(child.output)\(child.errors)")
    }

    var outputOfThoseThatStay: String { staying.map { $0.output + $0.errors }.joined() }

    /// As Ctrl-C does.
    func endThoseThatStay() async {
        for child in staying {
            child.signal(SIGINT)
            _ = try? await child.exit()
        }
        staying = []
    }

    /// A change of a webhook is answered when topic `webhooks` has it, milliseconds before the dispatcher does. People do not notice.
    func awaitRouting() async throws {
        let script = """
            known=$(curl "localhost:8080/api/v1/webhooks?limit=100" -H "Authorization: Bearer $TOKEN" | grep -o '"event_types"' | wc -l)
            curl localhost:8083/metrics | grep -q "^webhook_table_webhooks $known$"
            """
        let isKnown = try await eventually(within: .seconds(20)) { try await run(script).status == 0 }
        #expect(isKnown, "the dispatcher does not know the webhooks that the registry has")
    }

    /// The supervisor starts it again.
    func endRegistry() async throws {
        let end = try await run("kill $(pgrep -P \(supervisor) -f webhook-registry)")
        try #require(end.status == 0, "\(end.errors)")
    }
}
