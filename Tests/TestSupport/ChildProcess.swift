internal import CLinux
internal import EventLoops
internal import Glibc
internal import Synchronization

/// A program started by a test. Its standard input is a pipe that closes with `closeInput`, at the latest when the test process
/// ends, however that ends: a helper script that reads it to the end cannot outlive the tests.
public final class ChildProcess: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
        public init(description: String) { self.description = description }
    }

    private struct State {
        var output: [UInt8] = []
        /// How much of `output` `line` has handed out.
        var taken = 0
        var errors: [UInt8] = []
        var openPipes = 2
        var status: Int32?
        var input: Int32
    }

    public let pid: Int32
    private let state: Mutex<State>

    /// Starts `executable` (a path, or a name looked up in PATH) with `environment` added to this process's own.
    public init(_ executable: String, _ arguments: [String] = [], environment: [String: String] = [:]) throws {
        let (inputRead, inputWrite) = try Self.pipe()
        let (outputRead, outputWrite) = try Self.pipe()
        let (errorRead, errorWrite) = try Self.pipe()
        defer { for end in [inputRead, outputWrite, errorWrite] { close(end) } }
        do {
            pid = try Self.spawn(executable, arguments, environment, [inputRead, outputWrite, errorWrite])
        } catch {
            for end in [inputWrite, outputRead, errorRead] { close(end) }
            throw error
        }
        state = Mutex(State(input: inputWrite))
        read(outputRead) { $0.output += $1 }
        read(errorRead) { $0.errors += $1 }
        let pid = pid
        NativeThread.start(name: "child-wait") { [self] in
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
            state.withLock { $0.status = status & 0x7f == 0 ? status >> 8 & 0xff : -(status & 0x7f) }
        }
    }

    // The threads above hold a reference while the child runs, so this closes the pipe of a child that has ended.
    deinit { closeInput() }

    /// Standard output so far.
    public var output: String { state.withLock { String(decoding: $0.output, as: UTF8.self) } }
    /// Standard error so far.
    public var errors: String { state.withLock { String(decoding: $0.errors, as: UTF8.self) } }
    /// The exit code, or minus the signal that ended it; nil while it runs.
    public var status: Int32? { state.withLock { $0.openPipes == 0 ? $0.status : nil } }

    /// The next line of standard output; nil when it has ended. Throws when none comes in time.
    public func line(within limit: Duration = .seconds(20)) async throws -> String? {
        try await waiting(limit, for: "a line of output") { state -> String?? in
            if let end = state.output[state.taken...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { state.taken = end + 1 }
                return .some(String(decoding: state.output[state.taken..<end], as: UTF8.self))
            }
            return state.openPipes == 0 ? .some(nil) : nil
        }
    }

    /// Writes one line to standard input.
    public func send(_ line: String) {
        let descriptor = state.withLock { $0.input }
        let bytes = Array(line.utf8) + [UInt8(ascii: "\n")]
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }

    /// Ends standard input, which tells a well-behaved helper to finish.
    public func closeInput() {
        let descriptor = state.withLock { state in
            defer { state.input = -1 }
            return state.input
        }
        if descriptor >= 0 { close(descriptor) }
    }

    /// Sends a signal, unless it has ended.
    public func signal(_ signal: Int32) {
        state.withLock { if $0.status == nil { _ = kill(pid, signal) } }
    }

    /// Waits for its end and returns the exit code (or minus the signal). Kills it and throws when it takes too long.
    @discardableResult
    public func exit(within limit: Duration = .seconds(20)) async throws -> Int32 {
        do {
            return try await waiting(limit, for: "its end") { $0.openPipes == 0 ? $0.status : nil }
        } catch {
            signal(SIGKILL)
            throw error
        }
    }

    private func waiting<Result>(
        _ limit: Duration, for what: String, _ probe: (inout State) -> Result?
    ) async throws -> Result {
        let deadline = ContinuousClock.now + limit
        while true {
            if let result = state.withLock({ probe(&$0) }) { return result }
            guard ContinuousClock.now < deadline else {
                let written = output + errors
                throw Failure(description: "child \(pid): no sign of \(what) within \(limit); it wrote: \(written)")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func read(_ descriptor: Int32, _ take: @escaping @Sendable (inout State, ArraySlice<UInt8>) -> Void) {
        NativeThread.start(name: "child-read") { [self] in
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = Glibc.read(descriptor, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { break }
                let bytes = buffer[..<count]
                state.withLock { take(&$0, bytes) }
            }
            close(descriptor)
            state.withLock { $0.openPipes -= 1 }
        }
    }

    private static func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw SystemError(call: "pipe", code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// Everything above the three standard descriptors is closed in the child, and no signal is blocked or ignored there.
    private static func spawn(
        _ executable: String, _ arguments: [String], _ environment: [String: String], _ standard: [Int32]
    ) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (target, source) in standard.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, source, Int32(target))
        }
        _ = clinux_spawn_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let words = ([executable] + arguments).map { strdup($0) }
        let settings = inherited(environment).map { strdup($0) }
        defer { for text in words + settings { free(text) } }
        var pid: Int32 = 0
        let code = posix_spawnp(&pid, executable, &actions, &attributes, words + [nil], settings + [nil])
        guard code == 0 else { throw SystemError(call: "posix_spawn \(executable)", code: code) }
        return pid
    }

    private static func inherited(_ added: [String: String]) -> [String] {
        var settings: [String] = []
        var entry = environ
        while let text = entry.pointee {
            let setting = String(cString: text)
            if added[String(setting.prefix { $0 != "=" })] == nil { settings.append(setting) }
            entry += 1
        }
        return settings + added.map { "\($0)=\($1)" }
    }
}
