internal import ChildProcesses
internal import Synchronization

/// Keeps one program running: what ends is started again, later each time. During the start it is not: then its end is a failure.
final class Keeper: Sendable {
    private struct State {
        var child: Child
        var isStopping = false
        var restarts: Task<Void, Never>?
    }

    let program: ChildProgram
    private let state: Mutex<State>
    private let report: @Sendable (String) -> Void

    /// Starts it.
    init(_ program: ChildProgram, report: @escaping @Sendable (String) -> Void) async throws(SupervisionError) {
        self.program = program
        self.report = report
        state = Mutex(State(child: try await starting { () throws(ChildError) in try await Child(program) }))
    }

    private var child: Child { state.withLock { $0.child } }

    var isAlive: Bool { child.endReason == nil }

    /// One line about a program that ended while it should have started.
    var deathNotice: SupervisionError {
        SupervisionError(
            "\(program.name) died during the start (\(child.endReason ?? "it runs")); its log ends with:\n\(Files.tail(program.log))"
        )
    }

    /// From now on it is started again whenever it ends.
    func watch() {
        let task = Task { [self] in
            var backoff = RestartBackoff()
            while true {
                let since = ContinuousClock.now
                let current = child
                await current.waitForEnd()
                if state.withLock({ $0.isStopping }) { return }
                let delay = backoff.delay(afterRunning: ContinuousClock.now - since)
                report("\(program.name) ended (\(current.endReason ?? "")); starting it again in \(delay)")
                guard await restart(after: delay) else { return }
            }
        }
        state.withLock { $0.restarts = task }
    }

    /// False where it is to stop instead.
    private func restart(after delay: Duration) async -> Bool {
        while true {
            try? await Task.sleep(for: delay)
            if state.withLock({ $0.isStopping }) { return false }
            do throws(ChildError) {
                let next = try await Child(program)
                let isStopping = state.withLock { state in
                    state.child = next
                    return state.isStopping
                }
                if isStopping { await next.stop(within: .seconds(5)) }
                return !isStopping
            } catch {
                report("\(error)")
            }
        }
    }

    func stop(within limit: Duration) async {
        let child = state.withLock { state in
            state.isStopping = true
            state.restarts?.cancel()
            return state.child
        }
        await child.stop(within: limit)
    }
}

/// A program that cannot be started, as an error of supervision.
func starting<Value: Sendable>(_ body: () async throws(ChildError) -> Value) async throws(SupervisionError) -> Value {
    do throws(ChildError) { return try await body() } catch { throw SupervisionError(error.description) }
}
