internal import EventLoops
internal import Synchronization

/// One session, lent by a pool for the length of a closure. Statements of concurrent tasks run one after the other.
/// Kept beyond the closure it refuses to work.
public final class PostgresConnection: Sendable {
    let channel: Channel
    private let loop: EventLoop
    private let timeoutMilliseconds: UInt64
    private let ended = Atomic<Bool>(false)
    /// What goes ahead of the next request, in the same round trip: a transaction's BEGIN.
    private let ahead = Mutex<[PostgresStatement]>([])

    init(channel: Channel, loop: EventLoop, timeoutMilliseconds: UInt64) {
        self.channel = channel
        self.loop = loop
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    func end() { ended.store(true, ordering: .releasing) }

    /// Runs one statement and returns its rows. Throws `PostgresError`.
    @discardableResult
    public func query(
        _ sql: String, _ parameters: [PostgresValue] = [], timeoutMilliseconds: UInt64? = nil
    ) async throws -> PostgresRows {
        let statement = PostgresStatement(sql, parameters)
        let results = try await perform(.statements([statement]), timeoutMilliseconds)
        guard let rows = results.last else { throw PostgresError(.usage, "the statement gave no result") }
        return rows
    }

    /// Sends several statements at once, in one round trip; outside a transaction they are one. Throws `PostgresError`.
    @discardableResult
    public func batch(
        _ statements: [PostgresStatement], timeoutMilliseconds: UInt64? = nil
    ) async throws -> [PostgresRows] {
        guard !statements.isEmpty else { return [] }
        return try await perform(.statements(statements), timeoutMilliseconds)
    }

    /// Runs SQL text of any number of statements, without parameters. Throws `PostgresError`.
    public func execute(script: String, timeoutMilliseconds: UInt64? = nil) async throws {
        _ = try await perform(.script(script), timeoutMilliseconds)
    }

    /// Runs a `COPY … FROM STDIN` with `data` in the format that it names (`PostgresCopyWriter` makes the binary one) and returns
    /// how many rows were stored: all or, with an error, none. Throws `PostgresError`.
    @discardableResult
    public func copyIn(_ sql: String, _ data: [UInt8], timeoutMilliseconds: UInt64? = nil) async throws -> Int {
        let results = try await perform(.copyIn(sql: sql, data: data), timeoutMilliseconds)
        return results.last?.affectedRows ?? 0
    }

    /// Runs `body` in a transaction of this session: see `PostgresPool.transaction`.
    public nonisolated(nonsending) func transaction<Value>(
        _ isolation: PostgresIsolation = .readCommitted,
        _ body: nonisolated(nonsending) (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        ahead.withLock { $0 = [PostgresStatement("BEGIN ISOLATION LEVEL \(isolation.rawValue)")] }
        let value: Value
        do {
            value = try await body(self)
        } catch {
            // Where this fails too the session is gone or is closed on its return, which rolls back as well.
            if !takeBack() { _ = try? await query("ROLLBACK") }
            throw error
        }
        if takeBack() { return value }
        // A failed transaction whose error was swallowed answers COMMIT with a rollback, and no error.
        let tag = try await query("COMMIT").commandTag
        guard tag == "COMMIT" else {
            throw PostgresError(
                .server, "the transaction was rolled back: a statement in it had failed", sqlState: "25P02")
        }
        return value
    }

    /// Forgets a BEGIN that nothing has followed; true where there was one.
    private func takeBack() -> Bool {
        ahead.withLock { ahead in
            defer { ahead = [] }
            return !ahead.isEmpty
        }
    }

    /// Subscribes to a channel for as long as this session is lent. The stream keeps the latest 1,024 notifications that were not read
    /// yet, and ends with the session.
    public func listen(_ name: String) async throws -> AsyncStream<PostgresNotification> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: PostgresNotification.self, bufferingPolicy: .bufferingNewest(1_024))
        loop.execute { [channel] in
            let earlier = channel.onNotification
            channel.onNotification = { notification in
                earlier(notification)
                if notification.channel == name { continuation.yield(notification) }
            }
            channel.whenClosed { continuation.finish() }
        }
        try await query("LISTEN " + Self.quoted(identifier: name))
        return stream
    }

    /// An identifier spelled so that SQL takes it for nothing else.
    public static func quoted(identifier: String) -> String {
        var quoted = "\""
        for scalar in identifier.unicodeScalars {
            if scalar == "\"" { quoted.append("\"") }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\""
    }

    private func perform(_ request: Request, _ timeout: UInt64?) async throws -> [PostgresRows] {
        guard !ended.load(ordering: .acquiring) else {
            throw PostgresError(.usage, "the connection was used after it had been given back")
        }
        try Self.check(request)
        let id = Operation.nextID()
        let timeout = timeout ?? timeoutMilliseconds
        let abort: @Sendable () -> Void = { [channel, loop] in
            let reason = PostgresError(.cancelled, "the task was cancelled while its statement ran")
            loop.execute { channel.abort(id, reason) }
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                submit(request, id, timeout) { continuation.resume(with: $0) }
                // A cancellation that came before this point found nothing to abort.
                if Task.isCancelled { abort() }
            }
        } onCancel: {
            abort()
        }
    }

    /// Under the lock until the loop has it: a concurrent statement must not overtake the BEGIN.
    private func submit(
        _ request: Request, _ id: UInt64, _ timeout: UInt64,
        _ completion: @escaping @Sendable (Result<[PostgresRows], PostgresError>) -> Void
    ) {
        ahead.withLock { ahead in
            let first = ahead
            ahead = []
            loop.execute { [channel] in
                var operation = Operation(
                    id: id, request: request, timeoutMilliseconds: timeout, completion: completion)
                if case .statements(let statements) = request {
                    operation.request = .statements(first + statements)
                    operation.completion = { completion($0.map { Array($0.dropFirst(first.count)) }) }
                } else if !first.isEmpty {
                    // Where this fails the session is lost, and the operation behind it says so.
                    channel.submit(
                        Operation(
                            id: Operation.nextID(), request: .statements(first), timeoutMilliseconds: timeout,
                            completion: { _ in }))
                }
                channel.submit(operation)
            }
        }
    }

    private static func check(_ request: Request) throws {
        let statements: [PostgresStatement]
        switch request {
        case .statements(let list): statements = list
        case .script(let sql), .copyIn(let sql, _): statements = [PostgresStatement(sql)]
        }
        for statement in statements {
            guard !statement.sql.utf8.contains(0) else { throw PostgresError(.usage, "SQL with a NUL inside") }
            guard statement.parameters.count <= 65_535 else {
                throw PostgresError(.usage, "a statement takes 65,535 parameters, not \(statement.parameters.count)")
            }
            if let index = statement.parameters.firstIndex(where: \.holdsNUL) {
                throw PostgresError(.usage, "parameter $\(index + 1) is text with a NUL inside", sqlState: "22021")
            }
        }
    }
}
