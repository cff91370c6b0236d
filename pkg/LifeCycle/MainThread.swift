internal import CLinux
internal import Glibc
internal import Synchronization

/// What a process' `main` does: it leaves the main thread to signals and works in tasks.
public enum MainThread {
    /// Runs `body` off the main thread and ends the process with the code that it returns.
    ///
    /// Called first in a synchronous `main()`: SIGTERM and SIGINT are blocked here, before any other thread exists, and the main thread
    /// waits for them (an asynchronous `main` would unblock them again). The first goes to the running `ServiceGroup`; where
    /// there is none, and when it is repeated, the process ends at once with 128 + its number. The other one after it changes nothing: a
    /// terminal sends SIGINT to children too, to which a supervisor then sends SIGTERM. SIGPIPE is ignored: writing to a closed
    /// connection is an error like others.
    public static func run(_ body: @escaping @Sendable () async -> Int32) -> Never {
        signal(SIGPIPE, SIG_IGN)
        let descriptor = [SIGTERM, SIGINT].withUnsafeBufferPointer {
            clinux_signal_descriptor($0.baseAddress, Int32($0.count))
        }
        guard descriptor >= 0 else { fatalError("signalfd: \(String(cString: strerror(-descriptor)))") }
        Task.detached { end(await body()) }
        while true {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&waiting, 1, -1)
            while case let number = clinux_next_signal(descriptor), number != 0 {
                if !ShutdownSignals.deliver(number == SIGINT ? "SIGINT" : "SIGTERM") { end(128 + number) }
            }
        }
    }

    /// Without `exit`'s handlers: destructors of C++ libraries would run beside those libraries' own threads.
    private static func end(_ code: Int32) -> Never {
        fflush(nil)
        _exit(code)
    }
}

/// Who wants to hear of SIGTERM and SIGINT.
enum ShutdownSignals {
    private struct State {
        var nextToken = 0
        var subscribers: [Int: @Sendable (String) -> Void] = [:]
        /// The signals that came since there was somebody to hear them.
        var delivered: Set<String> = []
    }

    private static let state = Mutex(State())

    static func subscribe(_ subscriber: @escaping @Sendable (String) -> Void) -> Int {
        state.withLock { state in
            state.nextToken += 1
            state.subscribers[state.nextToken] = subscriber
            return state.nextToken
        }
    }

    static func unsubscribe(_ token: Int) { state.withLock { $0.subscribers[token] = nil } }

    /// False where the process shall end: nobody listens, or the same signal came before.
    static func deliver(_ name: String) -> Bool {
        let (subscribers, isHeard) = state.withLock { state -> ([Int: @Sendable (String) -> Void], Bool) in
            let isFirst = state.delivered.isEmpty
            let isHeard = isFirst ? !state.subscribers.isEmpty : !state.delivered.contains(name)
            if isHeard { state.delivered.insert(name) }
            return (isFirst ? state.subscribers : [:], isHeard)
        }
        for subscriber in subscribers.values { subscriber(name) }
        return isHeard
    }
}
