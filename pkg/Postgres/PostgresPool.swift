internal import EventLoops
internal import Synchronization

/// What happened to the pool's connections: for logs and metrics. Reported on the pool's own thread: do not block.
public enum PostgresPoolEvent: Sendable {
    /// A connection was opened; `open` counts them all now.
    case connected(open: Int)
    case connectFailed(PostgresError, retryMilliseconds: UInt64)
    case lost(PostgresError)
}

public struct PostgresPoolStatus: Sendable {
    /// Connections that exist, those in use among them.
    public var open = 0
    public var leased = 0
    /// Requests that wait for a connection.
    public var waiting = 0
    /// Why connecting failed last, or the last connection broke; nil once one has been made again.
    public var lastError: PostgresError?

    /// A connection exists, or nothing has gone wrong yet.
    public var isAvailable: Bool { open > 0 || lastError == nil }
}

/// Connections to one database, shared by any number of tasks.
///
/// A thread with an event loop owns every connection; callers wait without blocking. Nothing happens before the first use
/// or `start`. A server that goes away fails what is running, and connections are made again with growing, jittered delays
/// for as long as the pool lives.
public final class PostgresPool: Sendable {
    public let configuration: PostgresConfiguration
    private let thread: EventLoopThread
    private let core: PoolCore
    private let started = Mutex(false)
    private let snapshot: Snapshot

    private final class Snapshot: Sendable {
        let status = Mutex(PostgresPoolStatus())
    }

    /// Throws `SystemError` where the process has no descriptors left. `observer` is called on the pool's thread.
    public init(
        _ configuration: PostgresConfiguration,
        observer: @escaping @Sendable (PostgresPoolEvent) -> Void = { _ in }
    ) throws {
        self.configuration = configuration
        let thread = try EventLoopThread()
        let snapshot = Snapshot()
        self.thread = thread
        self.snapshot = snapshot
        core = PoolCore(loop: thread.loop, configuration: configuration, observer: observer) { status in
            snapshot.status.withLock { $0 = status }
        }
    }

    deinit {
        guard started.withLock({ $0 }) else { return }
        thread.loop.execute { [core, loop = thread.loop] in
            core.close {}
            core.abandonLeases()
            loop.stop()
        }
    }

    /// Opens the minimum of connections in the background. Never fails: an absent server is tried again and again.
    public func start() {
        let first = started.withLock { started in
            defer { started = true }
            return !started
        }
        guard first else { return }
        thread.start(name: "postgres")
        thread.loop.execute { [core] in core.start() }
    }

    /// Refuses new requests, waits up to `graceMilliseconds` for those running, and closes every connection.
    public func close(graceMilliseconds: UInt64 = 3_000) async {
        start()
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            thread.loop.execute { [core, loop = thread.loop] in
                let timer = loop.after(milliseconds: graceMilliseconds) { core.abandonLeases() }
                core.close {
                    loop.cancel(timer)
                    continuation.resume()
                }
            }
        }
    }

    /// The pool's state a moment ago.
    public var status: PostgresPoolStatus { snapshot.status.withLock { $0 } }

    // MARK: Statements

    /// Runs one statement on a connection of its own and returns its rows. Throws `PostgresError`.
    @discardableResult
    public func query(
        _ sql: String, _ parameters: [PostgresValue] = [], timeoutMilliseconds: UInt64? = nil
    ) async throws -> PostgresRows {
        let connection = try await lease()
        defer { release(connection) }
        return try await connection.query(sql, parameters, timeoutMilliseconds: timeoutMilliseconds)
    }

    /// Sends several statements at once, in one round trip, as one transaction: all take effect or none. The results are in their
    /// order. Throws `PostgresError`.
    @discardableResult
    public func batch(
        _ statements: [PostgresStatement], timeoutMilliseconds: UInt64? = nil
    ) async throws -> [PostgresRows] {
        let connection = try await lease()
        defer { release(connection) }
        return try await connection.batch(statements, timeoutMilliseconds: timeoutMilliseconds)
    }

    /// Runs `body` in a transaction: committed when it returns, rolled back when it throws. Repeating after
    /// `isSerializationFailure` is the caller's decision. Throws what `body` throws, or `PostgresError`; a commit whose
    /// answer was lost is a connection failure, and may have happened.
    public nonisolated(nonsending) func transaction<Value>(
        _ isolation: PostgresIsolation = .readCommitted,
        _ body: nonisolated(nonsending) (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        let connection = try await lease()
        defer { release(connection) }
        return try await connection.transaction(isolation, body)
    }

    /// Lends `body` a connection: for advisory locks, LISTEN, several transactions on one session. Whatever session state it leaves
    /// behind is discarded.
    public nonisolated(nonsending) func withConnection<Value>(
        _ body: nonisolated(nonsending) (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        let connection = try await lease()
        do {
            let value = try await body(connection)
            try await connection.query("DISCARD ALL")
            release(connection)
            return value
        } catch {
            release(connection, reusable: false)
            throw error
        }
    }

    // MARK: Leases

    private func lease() async throws -> PostgresConnection {
        start()
        let id = Operation.nextID()
        let timeout = configuration.acquireTimeoutMilliseconds
        let giveUp: @Sendable () -> Void = { [core, loop = thread.loop] in
            let reason = PostgresError(.cancelled, "the task was cancelled while it waited for a connection")
            loop.execute { core.giveUp(id, reason) }
        }
        let channel: Channel = try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                thread.loop.execute { [core] in
                    core.lease(id, timeoutMilliseconds: timeout) { continuation.resume(with: $0) }
                }
                // A cancellation that came before this point found nothing to give up.
                if Task.isCancelled { giveUp() }
            }
        } onCancel: {
            giveUp()
        }
        return PostgresConnection(
            channel: channel, loop: thread.loop, timeoutMilliseconds: configuration.statementTimeoutMilliseconds)
    }

    private func release(_ connection: PostgresConnection, reusable: Bool = true) {
        connection.end()
        thread.loop.execute { [core, channel = connection.channel] in core.release(channel, reusable: reusable) }
    }
}

public enum PostgresIsolation: String, Sendable {
    case readCommitted = "READ COMMITTED"
    case repeatableRead = "REPEATABLE READ"
    case serializable = "SERIALIZABLE"
}
