internal import Synchronization

/// Tells one service that it shall stop. The group binds one to each service's task; child tasks inherit it.
final class ShutdownNotice: Sendable {
    @TaskLocal static var current: ShutdownNotice?

    private struct State {
        var isGiven = false
        var nextToken = 0
        var handlers: [Int: @Sendable () -> Void] = [:]
    }

    private let state = Mutex(State())

    var isGiven: Bool { state.withLock { $0.isGiven } }

    /// Calls the handlers, once, on the calling thread.
    func give() {
        let handlers = state.withLock { state in
            state.isGiven = true
            defer { state.handlers = [:] }
            return state.handlers
        }
        for (_, handler) in handlers.sorted(by: { $0.key < $1.key }) { handler() }
    }

    /// Calls `handler` when the notice is given, at once where it has been.
    func add(_ handler: @escaping @Sendable () -> Void) -> Int? {
        let token: Int? = state.withLock { state in
            guard !state.isGiven else { return nil }
            state.nextToken += 1
            state.handlers[state.nextToken] = handler
            return state.nextToken
        }
        if token == nil { handler() }
        return token
    }

    func remove(_ token: Int) { state.withLock { $0.handlers[token] = nil } }
}

/// Returns when the service that this task belongs to shall stop, or when the task is cancelled.
public func gracefulShutdown() async {
    let (stream, continuation) = AsyncStream<Never>.makeStream()
    await withGracefulShutdownHandler {
        for await _ in stream {}
    } onGracefulShutdown: {
        continuation.finish()
    }
}

/// Runs `operation`, and `handler` once if the service shall stop before it is over; from whatever thread says so, at once where that
/// was said already. Outside a service group just the operation.
public func withGracefulShutdownHandler<Result>(
    isolation: isolated (any Actor)? = #isolation, operation: () async throws -> Result,
    onGracefulShutdown handler: @escaping @Sendable () -> Void
) async rethrows -> Result {
    guard let notice = ShutdownNotice.current else { return try await operation() }
    let token = notice.add(handler)
    defer { if let token { notice.remove(token) } }
    return try await operation()
}

/// Runs `operation` in a task that is cancelled when the service shall stop, or with the calling task.
public func cancelWhenGracefulShutdown<Result: Sendable>(
    _ operation: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    let task = Task { try await operation() }
    return try await withTaskCancellationHandler {
        try await withGracefulShutdownHandler {
            try await task.value
        } onGracefulShutdown: {
            task.cancel()
        }
    } onCancel: {
        task.cancel()
    }
}

extension Task where Success == Never, Failure == Never {
    /// Whether the service that the current task belongs to shall stop.
    public static var isShuttingDownGracefully: Bool { ShutdownNotice.current?.isGiven ?? false }
}
