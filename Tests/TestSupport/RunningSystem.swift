internal import Glibc

/// All of Martlet, as `martlet up --ports auto` starts it: with ports and data of its own, in the foreground of a supervisor that ends
/// with the test process, however that ends. The test target must depend on all executables.
public final class RunningSystem: Sendable {
    /// The command `martlet`.
    public static let program = Executables.path("martlet")
    /// An environment in which `up` takes librdkafka's in-memory broker.
    public static let withoutKafka = ["KAFKA_HOME": ""]

    /// A folder of this system's own; its data lies below it in `.martlet`, so that commands find it from there without `--state`.
    public let directory: String
    /// What `up --json` has printed: one JSON object.
    public let summary: String
    private let supervisor: ServerProcess

    private static func state(_ directory: String) -> String { directory + "/.martlet" }

    /// Returns when everything is ready.
    public init(_ kind: KafkaBroker.Kind, purpose: String) async throws {
        directory = try temporaryDirectory(purpose)
        let log = directory + "/up.log"
        supervisor = try await ServerProcess(
            Self.program, ["up", "--ports", "auto", "--state", Self.state(directory), "--json"], log: log,
            deathSignal: SIGTERM, environment: kind == .inMemory ? Self.withoutKafka : [:])
        let process = supervisor
        func line() -> String? { contents(of: log).split(separator: "\n").last { $0.hasPrefix("{") }.map(String.init) }
        _ = await eventually(within: .seconds(120)) { line() != nil || !process.isRunning }
        guard let summary = line() else {
            await process.end()
            throw ChildProcess.Failure(description: "martlet up: \(contents(of: log))")
        }
        self.summary = summary
    }

    /// Stops it and removes its data, PostgreSQL's too, which as root lies elsewhere.
    public func stop() async throws {
        await supervisor.end()
        let reset = try ChildProcess(
            Self.program, ["reset", "--yes", "--state", Self.state(directory)], environment: Self.withoutKafka)
        try await reset.exit(within: .seconds(120))
        removeDirectory(directory)
    }
}
