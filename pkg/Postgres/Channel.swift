internal import CPostgres
internal import EventLoops

/// One established connection, driven without blocking: operations in, results out, one at a time.
///
/// Owns the PGconn; the pool closes every channel before it lets go of it. `@unchecked Sendable` because references travel in closures to the loop; everything here runs on the loop's
/// thread only. After `closed` nothing works any more: a connection that met an error of its own is never reused.
final class Channel: @unchecked Sendable {
    private let loop: EventLoop
    private let connection: OpaquePointer
    private let descriptor: Int32
    private var waiting: [Operation] = []
    private var current: Operation?
    private var stage = Operation.Stage.receiving
    private var results: [PostgresRows] = []
    private var failure: PostgresError?
    private var awaitsPipelineSync = false
    private var deadline: TimerID?
    private var watchesWritable = false
    private(set) var isClosed = false
    /// Called once when the connection is gone, with the reason; not after `close`.
    var onLost: (PostgresError) -> Void = { _ in }
    /// Called for each NOTIFY that arrives, between statements too.
    var onNotification: (PostgresNotification) -> Void = { _ in }
    private var closeHandlers: [() -> Void] = []

    /// Takes an open connection over. Throws `SystemError` where it cannot be watched.
    init(_ connection: OpaquePointer, loop: EventLoop) throws {
        self.loop = loop
        self.connection = connection
        descriptor = PQsocket(connection)
        _ = PQsetnonblocking(connection, 1)
        _ = PQsetNoticeProcessor(connection, { _, _ in }, nil)
        try loop.watch(descriptor, for: .readable) { [unowned self] in ready($0) }
    }

    /// The session is outside any transaction and nothing runs or waits.
    var isIdle: Bool {
        !isClosed && current == nil && waiting.isEmpty && PQtransactionStatus(connection) == PQTRANS_IDLE
    }

    var isInTransaction: Bool { PQtransactionStatus(connection) != PQTRANS_IDLE }

    /// Reads what has come meanwhile, and says whether the session still stands.
    func isAlive() -> Bool {
        if !isClosed { receive() }
        return !isClosed
    }

    /// Starts the operation, or queues it behind those before it. The completion comes later, once, on the loop's thread.
    func submit(_ operation: Operation) {
        guard !isClosed else { return operation.completion(.failure(Self.lost("the connection was closed"))) }
        if current == nil { start(operation) } else { waiting.append(operation) }
    }

    /// Gives an operation up: one that runs is cancelled on the server, and the connection closed.
    func abort(_ id: UInt64, _ reason: PostgresError) {
        if current?.id == id { return interrupt(reason) }
        guard let index = waiting.firstIndex(where: { $0.id == id }) else { return }
        waiting.remove(at: index).completion(.failure(reason))
    }

    /// Closes the connection; whatever was running or waiting fails.
    func close() {
        guard !isClosed else { return }
        end(Self.lost("the connection was closed"))
    }

    /// Calls `handler` once when the connection has ended, or is given back.
    func whenClosed(_ handler: @escaping () -> Void) {
        if isClosed { handler() } else { closeHandlers.append(handler) }
    }

    /// Forgets what the last borrower subscribed to.
    func endSubscriptions() {
        onNotification = { _ in }
        for handler in closeHandlers { handler() }
        closeHandlers = []
    }

    // MARK: Sending

    private func start(_ operation: Operation) {
        current = operation
        stage = .receiving
        results = []
        failure = nil
        deadline = loop.after(milliseconds: operation.timeoutMilliseconds) { [unowned self] in
            interrupt(PostgresError(.statementTimeout, "no answer within \(operation.timeoutMilliseconds) ms"))
        }
        guard send(operation.request) else { return lose() }
        flush()
    }

    private func send(_ request: Request) -> Bool {
        switch request {
        case .script(let sql), .copyIn(let sql, _):
            return PQsendQuery(connection, sql) == 1
        case .statements(let statements) where statements.count == 1:
            return send(statements[0])
        case .statements(let statements):
            guard PQenterPipelineMode(connection) == 1 else { return false }
            awaitsPipelineSync = true
            return statements.allSatisfy(send) && PQpipelineSync(connection) == 1
        }
    }

    private func send(_ statement: PostgresStatement) -> Bool {
        let encoded = statement.parameters.map(\.encoded)
        let flat = encoded.flatMap { $0?.bytes ?? [] }
        let lengths = encoded.map { Int32($0?.bytes.count ?? 0) }
        let formats: [Int32] = encoded.map { $0?.isBinary == true ? 1 : 0 }
        // Only bytea has its type named: everything else is spelled out and read as what its place in the statement needs.
        let types: [Oid] = encoded.map { $0?.isBinary == true ? 17 : 0 }
        return flat.withUnsafeBytes { flat in
            var offset = 0
            // An empty bytea needs an address too: NULL means NULL.
            let empty = UnsafeRawPointer(bitPattern: 1)
            let values: [UnsafePointer<CChar>?] = encoded.map { value in
                guard let value else { return nil }
                defer { offset += value.bytes.count }
                let start = value.bytes.isEmpty ? empty : flat.baseAddress.map { $0 + offset }
                return start?.assumingMemoryBound(to: CChar.self)
            }
            return PQsendQueryParams(
                connection, statement.sql, Int32(encoded.count), types, values, lengths, formats, 0) == 1
        }
    }

    /// Sends what libpq holds; what the socket does not take now goes out when it is writable.
    private func flush() {
        let left = PQflush(connection)
        guard left >= 0 else { return lose() }
        if (left == 1) != watchesWritable {
            watchesWritable = left == 1
            loop.rewatch(descriptor, for: watchesWritable ? [.readable, .writable] : .readable)
        }
    }

    /// Data goes over in pieces, so that libpq's buffer stays small however large the COPY.
    private func copyMore() {
        guard case .copying(var offset) = stage, case .copyIn(_, let data)? = current?.request else { return }
        while offset < data.count, !watchesWritable, !isClosed {
            let end = min(data.count, offset + 128 * 1_024)
            let taken = data[offset..<end].withUnsafeBytes { piece in
                PQputCopyData(
                    connection, piece.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(piece.count))
            }
            guard taken >= 0 else { return lose() }
            if taken == 1 { offset = end }
            flush()
        }
        guard !isClosed else { return }
        stage = .copying(offset: offset)
        guard offset == data.count else { return }
        switch PQputCopyEnd(connection, nil) {
        case 1:
            stage = .receiving
            flush()
        case 0: flush()
        default: lose()
        }
    }

    // MARK: Receiving

    private func ready(_ readiness: Readiness) {
        if readiness.contains(.writable), watchesWritable {
            flush()
            if !isClosed, !watchesWritable { copyMore() }
        }
        if readiness.contains(.readable), !isClosed { receive() }
    }

    private func receive() {
        guard PQconsumeInput(connection) == 1 else { return lose() }
        // Reading may have made room for what could not be sent before.
        if watchesWritable { flush() }
        takeNotifications()
        while !isClosed, current != nil, stage == .receiving, PQisBusy(connection) == 0 {
            if let result = PQgetResult(connection) {
                take(result)
            } else if !awaitsPipelineSync {
                finish()
            } else if PQstatus(connection) == CONNECTION_BAD {
                break
            }
        }
        if !isClosed, PQstatus(connection) == CONNECTION_BAD { lose() }
    }

    private func take(_ result: OpaquePointer) {
        let rows = PostgresRows(result: ResultHandle(result))
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            results.append(rows)
        case PGRES_COPY_IN:
            guard case .copyIn? = current?.request else { return refuseCopy() }
            stage = .copying(offset: 0)
            copyMore()
        case PGRES_COPY_OUT, PGRES_COPY_BOTH:
            interrupt(PostgresError(.usage, "COPY out of the database is not supported"))
        case PGRES_PIPELINE_SYNC:
            awaitsPipelineSync = false
            if PQexitPipelineMode(connection) == 1 { finish() } else { lose() }
        case PGRES_PIPELINE_ABORTED: break
        default:
            if failure == nil { failure = PostgresError(result: result) }
        }
    }

    private func refuseCopy() {
        failure = PostgresError(.usage, "COPY FROM STDIN needs copyIn")
        if PQputCopyEnd(connection, "no data was given") == -1 { lose() } else { flush() }
    }

    private func finish() {
        guard let operation = current else { return }
        let outcome: Result<[PostgresRows], PostgresError> = failure.map { .failure($0) } ?? .success(results)
        clear()
        if !waiting.isEmpty { start(waiting.removeFirst()) }
        operation.completion(outcome)
    }

    private func clear() {
        if let deadline { loop.cancel(deadline) }
        deadline = nil
        current = nil
        results = []
        failure = nil
    }

    private func takeNotifications() {
        while let notification = PQnotifies(connection) {
            let channel = String(cString: notification.pointee.relname)
            let payload = notification.pointee.extra.map { String(cString: $0) } ?? ""
            PQfreemem(notification)
            onNotification(PostgresNotification(channel: channel, payload: payload))
        }
    }

    // MARK: The end

    /// Ends a connection whose statement may still be running: the server is told to stop it, by a thread of its own because libpq can
    /// only do so blocking.
    private func interrupt(_ reason: PostgresError) {
        if let cancel = PQgetCancel(connection) {
            let ticket = CancelTicket(cancel)
            NativeThread.start(name: "pg-cancel") { ticket.send() }
        }
        lose(reason)
    }

    private func lose(_ reason: PostgresError? = nil) {
        guard !isClosed else { return }
        let known = failure.flatMap { $0.isConnectionFailure ? $0 : nil }
        let reason = reason ?? known ?? Self.lost(String(cString: PQerrorMessage(connection)))
        end(reason)
        onLost(reason)
    }

    private func end(_ reason: PostgresError) {
        isClosed = true
        let operations = (current.map { [$0] } ?? []) + waiting
        waiting = []
        clear()
        loop.unwatch(descriptor)
        PQfinish(connection)
        for operation in operations { operation.completion(.failure(reason)) }
        endSubscriptions()
    }

    private static func lost(_ message: String) -> PostgresError {
        PostgresError(.connection, message.trimmingNewlines)
    }
}

/// Asks the server to stop a statement. `@unchecked Sendable` because a PGcancel is made to be used on another thread, and only one does.
private final class CancelTicket: @unchecked Sendable {
    private let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { PQfreeCancel(pointer) }

    /// Blocks until the server has taken the request or cannot be reached. There is nothing to do about an error: the connection
    /// is closed anyhow, which ends the statement when it next writes.
    func send() {
        var message = [CChar](repeating: 0, count: 256)
        _ = PQcancel(pointer, &message, Int32(message.count))
    }
}

/// A NOTIFY from the server.
public struct PostgresNotification: Sendable, Equatable {
    public var channel: String
    public var payload: String
}

extension PostgresError {
    /// The server's own error.
    init(result: OpaquePointer) {
        func field(_ code: Character) -> String? {
            PQresultErrorField(result, Int32(code.asciiValue ?? 0)).map { String(cString: $0) }
        }
        let state = field("C")
        let message = field("M") ?? String(cString: PQresultErrorMessage(result)).trimmingNewlines
        // Without SQLSTATE the error is libpq's own: the connection broke.
        self.init(state == nil ? .connection : .server, message, sqlState: state)
        detail = field("D")
        hint = field("H")
        table = field("t")
        column = field("c")
        constraint = field("n")
    }
}

extension String {
    /// libpq ends messages with a newline and puts several lines where it tried several addresses.
    var trimmingNewlines: String {
        split(separator: "\n", omittingEmptySubsequences: true).joined(separator: "; ")
    }
}
