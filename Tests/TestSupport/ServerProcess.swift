internal import CLinux
internal import EventLoops
public import Glibc
internal import Synchronization

/// A server that a test runs: output to a file, ended by its pid, and killed by the kernel should the test process die first.
public final class ServerProcess: Sendable {
    private enum Life {
        case starting
        case failed(SystemError)
        case running(pid: Int32)
        case ended
    }

    public let pid: Int32
    /// The file that has its output.
    public let log: String
    private let life: LifeBox

    private final class LifeBox: Sendable {
        let value = Mutex(Life.starting)
    }

    /// Starts `executable` with its output appended to the file `log`; `user` only counts where the tests run as root.
    /// `deathSignal`, by its name, is what the server gets when the test process ends.
    public init(
        _ executable: String, _ arguments: [String], log: String, user: String? = nil, deathSignal: String = "KILL",
        environment: [String: String] = [:]
    ) throws {
        var words = ["setpriv", "--pdeathsig", deathSignal]
        if let user, getuid() == 0 { words += ["--reuid", user, "--regid", user, "--init-groups"] }
        words += ["env"] + environment.map { "\($0)=\($1)" } + [executable] + arguments
        self.log = log
        let life = LifeBox()
        self.life = life
        // The kernel sends the death signal when the *thread* that started the server ends: so that thread stays, waiting for it.
        NativeThread.start(name: "server-wait") { [words] in Self.runServer(words, log: log, life) }
        while true {
            switch life.value.withLock({ $0 }) {
            case .starting: usleep(200)
            case .failed(let error): throw error
            case .running(let pid):
                self.pid = pid
                return
            case .ended: throw SystemError(call: executable, code: ECHILD)
            }
        }
    }

    public var isRunning: Bool {
        life.value.withLock { if case .running = $0 { true } else { false } }
    }

    /// Sends a signal, unless it has ended.
    public func signal(_ number: Int32) {
        life.value.withLock { if case .running(let pid) = $0 { _ = kill(pid, number) } }
    }

    /// Sends `number` and waits for the end; kills what has not ended within 20 s.
    public func end(_ number: Int32 = SIGTERM) async {
        signal(number)
        if await eventually(within: .seconds(20), { !isRunning }) { return }
        signal(SIGKILL)
        _ = await eventually { !isRunning }
    }

    private static func runServer(_ words: [String], log: String, _ life: LifeBox) {
        switch spawn(words, log: log) {
        case .failure(let error): life.value.withLock { $0 = .failed(error) }
        case .success(let pid):
            life.value.withLock { $0 = .running(pid: pid) }
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
            life.value.withLock { $0 = .ended }
        }
    }

    private static func spawn(_ words: [String], log: String) -> Result<Int32, SystemError> {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Another test may be reading from a child of its own: its pipe would stay open for as long as this server.
        _ = clinux_spawn_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(flags))
        let arguments = words.map { strdup($0) }
        defer { for text in arguments { free(text) } }
        var pid: Int32 = 0
        let code = posix_spawnp(&pid, words[0], &actions, &attributes, arguments + [nil], environ)
        return code == 0 ? .success(pid) : .failure(SystemError(call: "posix_spawn \(words[0])", code: code))
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
