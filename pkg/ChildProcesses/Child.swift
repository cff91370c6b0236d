internal import CLinux
internal import EventLoops
public import Glibc
internal import Synchronization

/// What is to be run.
public struct ChildProgram: Sendable {
    public var name: String
    public var executable: String
    public var arguments: [String]
    /// Added to the parent's.
    public var environment: [String: String]
    /// The file that its output is appended to.
    public var log: String
    /// Another user to run as, where the parent is root.
    public var user: String?
    /// What asks it to stop.
    public var stopSignal: Int32
    /// What it gets when the parent dies: SIGINT, SIGQUIT, SIGTERM, or else SIGKILL.
    public var deathSignal: Int32

    public init(
        name: String, executable: String, arguments: [String] = [], environment: [String: String] = [:], log: String,
        user: String? = nil, stopSignal: Int32 = SIGTERM
    ) {
        self.name = name
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.log = log
        self.user = user
        self.stopSignal = stopSignal
        deathSignal = stopSignal
    }
}

/// Why a program cannot be started.
public struct ChildError: Error, Equatable, CustomStringConvertible {
    public let description: String
}

/// One run of a program, which ends when its parent does, however that ends: the kernel signals it then (PR_SET_PDEATHSIG, set by
/// `setpriv`). That is tied to the thread that started it, so each has a thread that waits for its end.
public final class Child: Sendable {
    private enum State {
        case running(pid: Int32)
        case ended(reason: String)
    }

    public let program: ChildProgram
    private let state: Mutex<State>
    private let ends = AsyncStream.makeStream(of: Void.self)

    /// Throws where it cannot be started.
    public init(_ program: ChildProgram) async throws(ChildError) {
        self.program = program
        let ended = AsyncStream.makeStream(of: Int32.self)
        let started = await withCheckedContinuation { continuation in
            NativeThread.start(name: "child-wait") {
                let result = Self.spawn(program)
                continuation.resume(returning: result)
                guard case .success(let pid) = result else { return }
                var status: Int32 = 0
                while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
                ended.continuation.yield(status)
                ended.continuation.finish()
            }
        }
        switch started {
        case .success(let pid): state = Mutex(.running(pid: pid))
        case .failure(let error): throw ChildError(description: "\(program.name) cannot be started: \(error)")
        }
        let finish = ends.continuation
        Task { [self] in
            for await status in ended.stream { state.withLock { $0 = .ended(reason: Self.reason(status)) } }
            finish.finish()
        }
    }

    /// Runs a program to its end and returns why it ended. Where the task is cancelled, the program is stopped.
    public static func run(_ program: ChildProgram) async throws(ChildError) -> String {
        let child = try await Child(program)
        await child.waitForEnd()
        // In a task of its own: in a cancelled one nothing waits.
        if Task.isCancelled { await Task { await child.stop(within: .seconds(10)) }.value }
        return child.endReason ?? ""
    }

    public var pid: Int32? {
        state.withLock { if case .running(let pid) = $0 { pid } else { nil } }
    }

    /// Why it ended; nil while it runs.
    public var endReason: String? {
        state.withLock { if case .ended(let reason) = $0 { reason } else { nil } }
    }

    /// Returns when it has ended, or the task was cancelled.
    public func waitForEnd() async {
        for await _ in ends.stream {}
    }

    public func signal(_ number: Int32) {
        // Under the lock the pid cannot have been given to another process: it is reaped before the state changes, but a signal to a
        // pid reaped a moment ago finds nobody.
        state.withLock { if case .running(let pid) = $0 { _ = kill(pid, number) } }
    }

    /// Asks it to end, and kills it when it takes too long.
    public func stop(within limit: Duration) async {
        signal(program.stopSignal)
        let deadline = ContinuousClock.now + limit
        while endReason == nil, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(20)) }
        if endReason == nil { signal(SIGKILL) }
        while endReason == nil { try? await Task.sleep(for: .milliseconds(20)) }
    }

    private static func reason(_ status: Int32) -> String {
        let signal = status & 0x7f
        return signal == 0 ? "exit code \(status >> 8 & 0xff)" : "signal \(signal)"
    }

    private static func words(_ program: ChildProgram) -> [String] {
        let deathSignal = [SIGINT: "INT", SIGQUIT: "QUIT", SIGTERM: "TERM"][program.deathSignal] ?? "KILL"
        var words = ["setpriv", "--pdeathsig", deathSignal]
        if let user = program.user, getuid() == 0 { words += ["--reuid", user, "--regid", user, "--init-groups"] }
        return words + ["env"] + program.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            + [program.executable] + program.arguments
    }

    private static func spawn(_ program: ChildProgram) -> Result<Int32, SystemError> {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, program.log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // The in-memory broker's sockets are inherited otherwise, and its connections never close.
        _ = clinux_spawn_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // Of its own group, so that a terminal's Ctrl-C reaches the parent alone, which stops everything in order.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        let arguments = words(program).map { strdup($0) }
        defer { for text in arguments { free(text) } }
        var pid: Int32 = 0
        let code = posix_spawnp(&pid, "setpriv", &actions, &attributes, arguments + [nil], environ)
        return code == 0 ? .success(pid) : .failure(SystemError(call: "setpriv", code: code))
    }
}
