internal import Flags
internal import Glibc
internal import HTTPSending
internal import JSONScanning

struct DownCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "down", abstract: "Stop what `up` started.")
    @OptionGroup var system: SystemOptions

    func run() async throws {
        let state = system.local
        if let pid = state.running()?.pid {
            try await end(pid)
            CommandOutput.standard.result("Martlet has stopped.")
        } else if let pid = state.starting() {
            CommandOutput.standard.note("Martlet is being started by process \(pid); stopping that.")
            try await end(pid)
            CommandOutput.standard.result("Martlet has stopped; its start was under way.")
        } else {
            CommandOutput.standard.result("Martlet is not up in \(state.directory).")
        }
    }

    private func end(_ pid: Int32) async throws {
        kill(pid, SIGTERM)
        let deadline = ContinuousClock.now + .seconds(120)
        while kill(pid, 0) == 0, !isZombie(pid) {
            guard ContinuousClock.now < deadline else {
                throw SupervisionError("process \(pid) does not end; its log: \(system.local.log("supervisor"))")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Ended, but its parent has not asked how.
    private func isZombie(_ pid: Int32) -> Bool {
        Files.read("/proc/\(pid)/stat")?.split(separator: ")").last?.hasPrefix(" Z") ?? true
    }
}

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "What runs, and whether each service is ready.",
        discussion: "Exit code 1 where something is not.")
    @Flag(help: "As JSON.") var json = false
    @OptionGroup var system: SystemOptions

    func run() async throws {
        guard let running = system.local.running() else {
            let isStarting = system.local.starting() != nil
            let text = "Martlet is \(isStarting ? "being started" : "not up") in \(system.local.directory)."
            let status = isStarting ? "starting" : "down"
            CommandOutput.standard.result(json ? #"{"status":"\#(status)","services":[]}"# : text)
            throw ExitCode.failure
        }
        let states = try await ServiceState.all(running.ports)
        if json {
            CommandOutput.standard.result(json: { writer in
                writer.object { writer in
                    writer.member("status", states.allSatisfy(\.isReady) ? "up" : "degraded")
                    writer.key("services")
                    writer.array { writer in for state in states { state.write(to: &writer) } }
                }
            })
        } else {
            for state in states { CommandOutput.standard.result(state.text) }
        }
        if !states.allSatisfy(\.isReady) { throw ExitCode.failure }
    }
}

/// What a service says of itself.
struct ServiceState: Sendable {
    let name: String
    let port: UInt16
    let isReady: Bool
    /// What is not ready, for a person.
    let reason: String

    static func all(_ ports: LocalPorts) async throws -> [ServiceState] {
        let client = try HTTPClient()
        var states: [ServiceState] = []
        for (name, path) in LocalSystem.services {
            let port = ports[keyPath: path]
            let answer = await client.send(
                .get, to: try Endpoint("http://127.0.0.1:\(port)/ready"), timeoutMilliseconds: 5_000)
            states.append(
                ServiceState(
                    name: name, port: port, isReady: answer.status == 200,
                    reason: answer.status == 0 ? "no answer" : Self.reasons(answer.body)))
        }
        return states
    }

    private static func reasons(_ body: [UInt8]) -> String {
        guard case .object(let components)? = JSONValue(answer: body)?["components"] else { return "" }
        return components.members.compactMap { name, state in
            state["reason"]?.text.map { "\(name): \($0)" }
        }.joined(separator: "; ")
    }

    var text: String {
        let column = name + String(repeating: " ", count: max(1, 20 - name.count))
        return "\(isReady ? "✓" : "✗") \(column) 127.0.0.1:\(port)   \(isReady ? "ready" : "not ready: \(reason)")"
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("name", name)
            writer.member("port", port)
            writer.member("ready", isReady)
            if !isReady { writer.member("reason", reason) }
        }
    }
}

/// A process of the local system that keeps a log.
struct LogName: ExpressibleByArgument {
    static var choices: [String] { LocalSystem.services.map(\.name) + ["kafka", "postgresql", "redis", "supervisor"] }

    let name: String
    init?(argument: String) {
        guard Self.choices.contains(argument) else { return nil }
        name = argument
    }
}

struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show the logs of a service, or of all.")
    @Argument(help: "Whose.") var service: LogName?
    @Flag(name: .shortAndLong, help: "Go on with what is written from now on.") var follow = false
    @OptionGroup var system: SystemOptions

    func run() async throws {
        let names = (service.map { [$0.name] } ?? LogName.choices).filter { Files.exists(system.local.log($0)) }
        guard !names.isEmpty else { throw SupervisionError("there are no logs in \(system.local.logs)") }
        var offsets: [String: Int] = [:]
        repeat {
            for name in names { show(name, from: &offsets[name, default: 0], named: names.count > 1) }
            if follow { try await Task.sleep(for: .milliseconds(200)) }
        } while follow
    }

    private func show(_ name: String, from offset: inout Int, named: Bool) {
        let bytes = Array((Files.read(system.local.log(name)) ?? "").utf8)
        if bytes.count < offset { offset = 0 }
        for line in bytes[offset...].split(separator: UInt8(ascii: "\n")) {
            CommandOutput.standard.result((named ? "\(name): " : "") + String(decoding: line, as: UTF8.self))
        }
        offset = bytes.count
    }
}

struct ResetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset", abstract: "Remove the local system's data: webhooks, events, history, logs.")
    @Flag(help: "Really.") var yes = false
    @OptionGroup var system: SystemOptions

    func run() async throws {
        let state = system.local
        guard state.running() == nil, state.starting() == nil else {
            throw SupervisionError("Martlet is up: martlet down first")
        }
        guard Files.exists(state.directory) else {
            CommandOutput.standard.result("There is nothing in \(state.directory).")
            return
        }
        guard yes else { throw ValidationError("this removes everything in \(state.directory); say --yes") }
        if let postgres = try? LocalPostgres(state, port: 1) { Files.removeTree(postgres.home) }
        Files.removeTree(state.directory)
        CommandOutput.standard.result("Removed \(state.directory).")
    }
}
