internal import CGRPC
internal import Synchronization

/// One call under way at a server: its task, and the one answer it gets.
final class ServerCall: Sendable {
    private struct State {
        var task: Task<Void, Never>?
        var isCancelled = false
    }

    /// Alive until `reply`, which comes exactly once.
    private let handle: Handle
    private let state = Mutex(State())

    init(_ handle: Handle) { self.handle = handle }

    /// When the caller gives up. Before `reply`.
    var deadline: ContinuousClock.Instant? {
        let remaining = cgrpc_server_call_remaining_ms(handle.pointer)
        return remaining == .max ? nil : .now + .milliseconds(remaining)
    }

    func run(_ work: @escaping @Sendable () async -> Void) {
        let task = Task.detached { await work() }
        let isCancelled = state.withLock { state in
            state.task = task
            return state.isCancelled
        }
        if isCancelled { task.cancel() }
    }

    func cancel() {
        let task = state.withLock { state in
            state.isCancelled = true
            return state.task
        }
        task?.cancel()
    }

    func reply(_ status: GRPCStatus, body: [UInt8]) {
        withLent(status.sentMessage) { details in
            withLent(body) { body in
                status.metadata.withLent { trailing, count in
                    cgrpc_server_call_reply(handle.pointer, status.code.rawValue, details, body, trailing, count)
                }
            }
        }
    }
}
