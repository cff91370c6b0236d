internal import Synchronization

/// Lets one loop sleep until there is something to do. A signal that comes while nobody waits is kept, once.
final class Wakeup: Sendable {
    private struct State {
        var isSignalled = false
        var waiting: CheckedContinuation<Void, Never>?
        /// Which wait this is, so that the timer of an earlier one does not end a later one.
        var round = 0
    }

    private let state = Mutex(State())

    func signal() { wake(round: nil) }

    /// Returns at the next signal, when `limit` has passed, or when the task is cancelled. One caller at a time.
    func wait(upTo limit: Duration) async {
        let round = state.withLock { state in
            state.round += 1
            return state.round
        }
        let timer = Task.detached { [self] in
            try await Task.sleep(for: limit)
            wake(round: round)
        }
        defer { timer.cancel() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isSignalled = state.withLock { state in
                    defer { state.isSignalled = false }
                    if !state.isSignalled { state.waiting = continuation }
                    return state.isSignalled
                }
                if isSignalled { continuation.resume() }
            }
        } onCancel: {
            signal()
        }
    }

    private func wake(round: Int?) {
        let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard round == nil || round == state.round else { return nil }
            let waiting = state.waiting
            state.waiting = nil
            if waiting == nil { state.isSignalled = true }
            return waiting
        }
        waiting?.resume()
    }
}
