internal import Synchronization

/// Opens once; what waits for it may give up.
final class Latch: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [Int: CheckedContinuation<Bool, Never>] = [:]
        var nextID = 0
    }

    private let state = Mutex(State())

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in waiting.values { continuation.resume(returning: true) }
    }

    /// Whether it has opened within `limit`. Cancellation of the caller's task does not shorten the wait.
    func wait(for limit: Duration) async -> Bool {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting[id] = continuation }
                return state.isOpen
            }
            if isOpen { return continuation.resume(returning: true) }
            // Only now, so that the time cannot be up before anybody waits. One that comes late meets nobody.
            Task.detached { [self] in
                try await Task.sleep(for: limit)
                state.withLock { $0.waiting.removeValue(forKey: id) }?.resume(returning: false)
            }
        }
    }
}
