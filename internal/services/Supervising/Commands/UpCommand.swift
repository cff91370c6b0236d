internal import Flags
internal import Glibc
internal import LifeCycle
internal import Logs

/// How `--ports` is given.
enum PortChoice: String, ExpressibleByArgument, CaseIterable {
    case standard, auto
}

struct UpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Start everything on loopback.",
        discussion: """
            Starts PostgreSQL and Redis from the system's packages with data of their own, Kafka (the cluster that the configuration \
            names, else the distribution in KAFKA_HOME, else librdkafka's in-memory broker), applies the migrations and starts the \
            services. Stays in the foreground until Ctrl-C, or goes on behind you with --detach.
            """)

    @Flag(help: "Return when everything is ready; `martlet down` ends it.") var detach = false
    @Flag(help: "Show what `martlet demo` shows.") var demo = false
    @Flag(help: "Stop everything after the demo.") var exit = false
    @Option(valueName: "standard|auto", help: "auto: any free ports, for a second system.") var ports = PortChoice
        .standard
    @Flag(help: "Print what is running as JSON.") var json = false
    @OptionGroup var system: SystemOptions

    func validate() throws {
        if exit, detach { throw ValidationError("--exit stops everything and --detach leaves it running: choose one") }
    }

    func run() async throws {
        LoggingSystem.bootstrap(LogOutput(service: "martlet", level: .critical, descriptor: 2))
        try await UpRun(
            state: system.local, detaches: detach, runsDemo: demo, endsAfterwards: exit, ports: ports, json: json
        ).run()
    }
}

/// What `up` does.
struct UpRun: Sendable {
    let state: LocalState
    let detaches: Bool
    let runsDemo: Bool
    let endsAfterwards: Bool
    let ports: PortChoice
    let json: Bool

    func run() async throws {
        if let running = state.running() {
            say("Martlet is up already (process \(running.pid)).")
            try await finish(running)
        } else if let pid = state.starting() {
            throw SupervisionError(
                "Martlet is being started in \(state.directory) by process \(pid): wait for it, or stop it with martlet down"
            )
        } else if DetachedSupervisor.isThisProcess {
            let log = SupervisorLog(state.log("supervisor"))
            try await supervise { _ in
                DetachedSupervisor.announceReady()
                try log.take(over: [1, 2])
            } say: { line in
                say(line)
                log.rotateWhenFull()
            }
        } else if detaches {
            say("Starting Martlet in \(state.directory)")
            try await finish(try await DetachedSupervisor.launch(state, arguments: supervisorWords, progress: say))
        } else {
            say("Starting Martlet in \(state.directory)")
            try await supervise { running in
                try await finish(running)
            } say: { line in
                say(line)
            }
        }
    }

    private var supervisorWords: [String] {
        ["up", "--state", state.directory, "--ports", ports.rawValue]
    }

    private func say(_ line: String) { json ? CommandOutput.standard.note(line) : CommandOutput.standard.result(line) }

    /// Starts everything in this process and keeps it until a signal, or with --exit until `ready` has returned.
    private func supervise(
        ready: @escaping @Sendable (LocalState.Running) async throws -> Void, say: @escaping @Sendable (String) -> Void
    ) async throws {
        let chosen = ports == .auto ? try LocalPorts.automatic() : LocalPorts()
        let system = LocalSystem(
            state, ports: chosen, executables: Files.executableDirectory, progress: say)
        let outcome = Outcome()
        let group = GroupBox()
        let service = ClosureService(name: "local system") {
            do {
                try await cancelWhenGracefulShutdown {
                    try await system.start()
                    guard let running = state.running() else { throw SupervisionError("the state file is gone") }
                    try await ready(running)
                }
                if endsAfterwards { group.stop() }
            } catch is CancellationError {
                // Stopped while starting, and so is what had been started. Whoever waits for a detached start learns it from this error.
                if DetachedSupervisor.isThisProcess {
                    outcome.failed(SupervisionError("the start was stopped; nothing runs in \(state.directory)"))
                }
            } catch {
                outcome.failed(error)
                group.stop()
            }
            await gracefulShutdown()
            await system.stop()
        }
        let made = ServiceGroup(services: [service], stopsWithin: .seconds(120), logger: Logger(label: "martlet"))
        group.set(made)
        try await made.run()
        if let error = outcome.error { throw error }
        if !DetachedSupervisor.isThisProcess { say("Martlet has stopped.") }
    }

    /// The demo, where it was asked for, and what is running.
    private func finish(_ running: LocalState.Running) async throws {
        if runsDemo {
            var options = DemoOptions()
            options.gatewayURL = "http://127.0.0.1:\(running.ports.gateway)"
            options.ingestionURL = "http://127.0.0.1:\(running.ports.ingestion)"
            options.json = json
            _ = try await runDemo(options)
        }
        // With --exit it is about to end: nothing to look at, nothing to stop.
        guard !endsAfterwards else { return }
        let summary = Summary(running: running, state: state)
        CommandOutput.standard.result(json ? summary.json : summary.text)
    }
}
