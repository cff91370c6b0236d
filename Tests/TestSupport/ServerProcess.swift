internal import ChildProcesses
public import Glibc

/// A server that a test runs: output to a file, and killed by the kernel should the test process die first.
public final class ServerProcess: Sendable {
    private let child: Child

    /// Starts `executable` with its output appended to the file `log`; `user` only counts where the tests run as root.
    /// `deathSignal` is what the server gets when the test process ends.
    public init(
        _ executable: String, _ arguments: [String], log: String, user: String? = nil, deathSignal: Int32 = SIGKILL,
        environment: [String: String] = [:]
    ) async throws {
        var program = ChildProgram(
            name: executable, executable: executable, arguments: arguments, environment: environment, log: log,
            user: user)
        program.deathSignal = deathSignal
        child = try await Child(program)
    }

    /// The file that has its output.
    public var log: String { child.program.log }
    /// nil once it has ended.
    public var pid: Int32? { child.pid }
    public var isRunning: Bool { pid != nil }

    /// Sends a signal, unless it has ended.
    public func signal(_ number: Int32) { child.signal(number) }

    /// Sends `number` and waits for the end; kills what has not ended within 20 s.
    public func end(_ number: Int32 = SIGTERM) async {
        signal(number)
        if await eventually(within: .seconds(20), { !isRunning }) { return }
        signal(SIGKILL)
        _ = await eventually { !isRunning }
    }
}

/// A program run to its end, for setting servers up.
public enum Tool {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// Whether there is such a program.
    public static func isThere(_ name: String) async -> Bool {
        (try? await ChildProcess("which", [name]).exit()) == 0
    }

    /// Runs `executable` and waits; throws with its output where it does not exit with 0. `user` only counts where the tests run as
    /// root.
    public static func run(
        _ executable: String, _ arguments: [String], user: String? = nil, environment: [String: String] = [:]
    ) async throws {
        var words = [executable] + arguments
        if let user, getuid() == 0 { words = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"] + words }
        let child = try ChildProcess(words[0], Array(words.dropFirst()), environment: environment)
        guard try await child.exit(within: .seconds(60)) == 0 else {
            throw Failure(description: "\(words.joined(separator: " ")): \(child.output)\(child.errors)")
        }
    }
}

/// A file's text; empty where it cannot be read.
public func contents(of path: String) -> String {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &piece, piece.count)
        guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
        bytes += piece[..<count]
    }
}
