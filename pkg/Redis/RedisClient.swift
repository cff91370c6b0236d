internal import EventLoops
internal import Synchronization

/// A connection for tasks: `RedisConnection` on a thread of its own, with answers that are awaited.
public final class RedisClient: Sendable {
    private let thread: EventLoopThread
    private let connection: RedisConnection
    private let isUp: Flag
    private let started = Mutex(false)

    private final class Flag: Sendable {
        let value = Atomic<Bool>(false)
    }

    /// Throws `SystemError` where the process has no descriptors left. `observer` is called on the client's thread.
    public init(
        _ configuration: RedisConfiguration, observer: @escaping @Sendable (RedisEvent) -> Void = { _ in }
    ) throws {
        let thread = try EventLoopThread()
        let isUp = Flag()
        self.thread = thread
        self.isUp = isUp
        connection = RedisConnection(loop: thread.loop, configuration: configuration) { event in
            if case .connected = event {
                isUp.value.store(true, ordering: .relaxed)
            } else {
                isUp.value.store(false, ordering: .relaxed)
            }
            observer(event)
        }
    }

    deinit {
        guard started.withLock({ $0 }) else { return }
        thread.loop.execute { [connection, loop = thread.loop] in
            connection.close()
            loop.stop()
        }
    }

    /// Connects in the background, and again whenever the connection is lost.
    public func start() {
        let first = started.withLock { started in
            defer { started = true }
            return !started
        }
        guard first else { return }
        thread.start(name: "redis")
        thread.loop.execute { [connection] in connection.connect() }
    }

    /// Closes the connection; what is pending fails, and so does everything afterwards.
    public func close() async {
        start()
        await thread.run { [connection, isUp] _ in
            connection.close()
            isUp.value.store(false, ordering: .relaxed)
        }
    }

    /// The connection was up a moment ago.
    public var isConnected: Bool { isUp.value.load(ordering: .relaxed) }

    /// Sends a command and returns its answer. Throws `RedisError`, at once where there is no connection.
    @discardableResult
    public func command(_ words: RedisArgument...) async throws -> RedisReply { try await command(words) }

    /// Sends a command and returns its answer. Throws `RedisError`, at once where there is no connection.
    @discardableResult
    public func command(_ words: [RedisArgument]) async throws -> RedisReply {
        try await perform { $0.command(words, $1) }
    }

    /// Runs a script: see `RedisConnection.run`.
    @discardableResult
    public func run(
        _ script: RedisScript, keys: [RedisArgument], _ arguments: [RedisArgument] = []
    ) async throws -> RedisReply {
        try await perform { $0.run(script, keys: keys, arguments, $1) }
    }

    private func perform(
        _ work: @escaping @Sendable (RedisConnection, @escaping RedisConnection.Completion) -> Void
    ) async throws -> RedisReply {
        start()
        return try await withCheckedThrowingContinuation { continuation in
            thread.loop.execute { [connection] in
                work(connection) { continuation.resume(with: $0) }
            }
        }
    }
}
