internal import EventLoops
internal import Glibc

/// Python packages as independent implementations to test against. The first test that asks creates `.venv/` in the checkout and
/// installs them; later ones, in other processes too, find it.
///
///     @Test(.enabled("needs PyPI") { await Python.isAvailable() }) func interoperates() async throws {
///         let child = try await Python.start("print(input())")
public enum Python {
    /// What is installed, with versions, so that a run today and one next year test against the same.
    public static let packages = [
        "grpcio==1.85.1", "grpcio-tools==1.85.1", "protobuf==7.36.2", "standardwebhooks==1.1.0",
        "confluent-kafka==2.16.1", "hdrhistogram==0.10.8",
    ]

    /// Where the checkout is: this file lies in Tests/TestSupport/.
    public static let checkout = String(#filePath.dropLast("/Tests/TestSupport/Python.swift".count))

    /// Whether the packages are there or could be installed; where not, what went wrong is printed once.
    public static func isAvailable() async -> Bool { (try? await environment.value) != nil }

    /// The path of the interpreter that sees the packages.
    public static func interpreter() async throws -> String { try await environment.value }

    /// Starts `script` with the packages at hand. It should end when its standard input does.
    public static func start(_ script: String, _ arguments: [String] = []) async throws -> ChildProcess {
        try ChildProcess(try await interpreter(), ["-u", "-c", script] + arguments)
    }

    /// Runs `script` to its end and returns its standard output. Throws what it wrote where it fails.
    public static func run(
        _ script: String, _ arguments: [String] = [], within limit: Duration = .seconds(60)
    ) async throws -> String {
        let child = try await start(script, arguments)
        child.closeInput()
        let status = try await child.exit(within: limit)
        guard status == 0 else {
            throw ChildProcess.Failure(description: "python ended with \(status): \(child.output)\(child.errors)")
        }
        return child.output
    }

    private static let environment = Task.detached { () throws -> String in
        do {
            return try await withLock { try await prepare() }
        } catch {
            print("Python packages are not available, tests against them are skipped: \(error)")
            throw error
        }
    }

    private static func prepare() async throws -> String {
        let folder = checkout + "/.venv"
        let interpreter = folder + "/bin/python3"
        let probe = """
            import importlib.metadata as m, sys
            sys.exit(any(m.version(p.split("==")[0]) != p.split("==")[1] for p in sys.argv[1:]))
            """
        if access(interpreter, X_OK) == 0 {
            let found = try await ChildProcess(interpreter, ["-c", probe] + packages).exit()
            if found == 0 { return interpreter }
        }
        try await succeed("python3", ["-m", "venv", "--clear", folder])
        let options = ["--quiet", "--disable-pip-version-check", "--retries", "2", "--timeout", "20"]
        try await succeed(interpreter, ["-m", "pip", "install"] + options + packages)
        return interpreter
    }

    private static func succeed(_ executable: String, _ arguments: [String]) async throws {
        let child = try ChildProcess(executable, arguments)
        let status = try await child.exit(within: .seconds(300))
        guard status == 0 else {
            throw ChildProcess.Failure(
                description: "\(executable) ended with \(status): \(child.output)\(child.errors)")
        }
    }

    /// One test process at a time prepares the environment.
    private static func withLock<Result: Sendable>(_ work: () async throws -> Result) async throws -> Result {
        let descriptor = open(checkout, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(call: "open \(checkout)", code: errno) }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 { try await Task.sleep(for: .milliseconds(50)) }
        return try await work()
    }
}
