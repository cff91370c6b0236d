internal import CLinux
internal import EventLoops
internal import Glibc

/// The supervisor behind `up --detach`: this program again, in a session of its own, which says on a pipe how the start goes.
enum DetachedSupervisor {
    /// Set in its environment. Not `MARTLET_…`: those are the configuration's.
    private static let mark = "_MARTLET_SUPERVISOR"
    /// Its last line when everything is ready.
    private static let readyLine = "@ready"

    static var isThisProcess: Bool { getenv(mark) != nil }

    /// In the supervisor: tells the waiting parent.
    static func announceReady() { CommandOutput.standard.result(readyLine) }

    /// In the caller: starts the supervisor, shows its progress, and returns when it is ready. Throws with its last line where it is not.
    static func launch(
        _ state: LocalState, arguments: [String], progress: (String) -> Void
    ) async throws -> LocalState.Running {
        let output = try spawn(arguments)
        let lines = AsyncStream.makeStream(of: String.self)
        NativeThread.start(name: "supervisor-out") {
            defer { lines.continuation.finish() }
            guard let file = fdopen(output, "r") else { return }
            defer { fclose(file) }
            var line: UnsafeMutablePointer<CChar>?
            var capacity = 0
            while case let count = getline(&line, &capacity, file), count > 0, let text = line {
                let bytes = UnsafeRawBufferPointer(start: text, count: count)
                lines.continuation.yield(String(decoding: bytes, as: UTF8.self).filter { $0 != "\n" })
            }
            free(line)
        }
        var failure: [String] = []
        for await line in lines.stream {
            if line == readyLine {
                guard let running = state.running() else { break }
                return running
            }
            if line.hasPrefix("Error: ") || !failure.isEmpty {
                failure.append(failure.isEmpty ? String(line.dropFirst(7)) : line)
            } else {
                progress(line)
            }
        }
        throw SupervisionError(
            failure.isEmpty ? "the supervisor ended without a word" : failure.joined(separator: "\n"))
    }

    /// Returns the reading end of its output.
    private static func spawn(_ arguments: [String]) throws(SupervisionError) -> Int32 {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw SupervisionError("pipe: \(String(cString: strerror(errno)))") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        _ = clinux_spawn_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(clinux_spawn_setsid()))
        setenv(mark, "1", 1)
        defer { unsetenv(mark) }
        let words = (["martlet"] + arguments).map { strdup($0) }
        defer { for word in words { free(word) } }
        var pid: Int32 = 0
        let code = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, words + [nil], environ)
        close(ends[1])
        guard code == 0 else {
            close(ends[0])
            throw SupervisionError("the supervisor cannot be started: \(String(cString: strerror(code)))")
        }
        return ends[0]
    }
}
