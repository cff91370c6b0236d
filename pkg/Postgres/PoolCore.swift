internal import CPostgres
internal import EventLoops

/// The pool's state: which connections exist, who has them, who waits. Decides; `Channel` does the talking.
///
/// ```
///   (none) ──connect──► connecting ──ok──► idle ◄──release── leased
///                           │ failed         └────lease──────►┘
///                           ▼                 lost, surplus, spoilt: closed
///                        backing off ──delay──► connecting
/// ```
/// `@unchecked Sendable` because closures carry it to the loop; it is confined to the loop's thread.
final class PoolCore: @unchecked Sendable {
    typealias Lease = Result<Channel, PostgresError>

    private struct Waiter {
        var id: UInt64
        var timer: TimerID
        var completion: (Lease) -> Void
    }

    private struct Idle {
        var channel: Channel
        /// When it became idle, nanoseconds.
        var since: UInt64
    }

    private let loop: EventLoop
    private let configuration: PostgresConfiguration
    private let observer: @Sendable (PostgresPoolEvent) -> Void
    private let publish: (PostgresPoolStatus) -> Void
    /// Most recently used last: the surplus ages at the front.
    private var idle: [Idle] = []
    private var leased: [ObjectIdentifier: Channel] = [:]
    private var connecting = 0
    private var waiters: [Waiter] = []
    private var failures = 0
    private var backingOff: TimerID?
    private var lastError: PostgresError?
    private var isClosed = false
    private var whenDrained: [() -> Void] = []

    init(
        loop: EventLoop, configuration: PostgresConfiguration,
        observer: @escaping @Sendable (PostgresPoolEvent) -> Void,
        publish: @escaping (PostgresPoolStatus) -> Void
    ) {
        self.loop = loop
        self.configuration = configuration
        self.observer = observer
        self.publish = publish
    }

    private var open: Int { idle.count + leased.count }

    func start() {
        connectAsNeeded()
        sweepLater()
    }

    // MARK: Leasing

    func lease(_ id: UInt64, timeoutMilliseconds: UInt64, _ completion: @escaping (Lease) -> Void) {
        guard !isClosed else { return completion(.failure(Self.closed)) }
        while waiters.isEmpty, let channel = idle.popLast()?.channel {
            // The server may have ended the session without this loop having turned since.
            guard channel.isAlive() else { continue }
            leased[ObjectIdentifier(channel)] = channel
            completion(.success(channel))
            return report()
        }
        guard waiters.count < configuration.maximumWaiters else {
            return completion(.failure(PostgresError(.acquireTimeout, "\(waiters.count) requests wait already")))
        }
        let timer = loop.after(milliseconds: timeoutMilliseconds) { [unowned self] in
            let reason = lastError.map { "; last error: \($0.message)" } ?? ""
            giveUp(id, PostgresError(.acquireTimeout, "no connection within \(timeoutMilliseconds) ms\(reason)"))
        }
        waiters.append(Waiter(id: id, timer: timer, completion: completion))
        connectAsNeeded()
        report()
    }

    /// Takes a waiter out, if it still waits.
    func giveUp(_ id: UInt64, _ reason: PostgresError) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        let waiter = waiters.remove(at: index)
        loop.cancel(waiter.timer)
        waiter.completion(.failure(reason))
        report()
    }

    /// Takes a connection back. One that is not idle (an unfinished transaction, a failed one, an error) is closed.
    func release(_ channel: Channel, reusable: Bool) {
        guard leased.removeValue(forKey: ObjectIdentifier(channel)) != nil else { return }
        if isClosed || !reusable || !channel.isIdle {
            channel.close()
        } else {
            offer(channel)
        }
        connectAsNeeded()
        drainedPerhaps()
        report()
    }

    private func offer(_ channel: Channel) {
        channel.endSubscriptions()
        guard !waiters.isEmpty else {
            return idle.append(Idle(channel: channel, since: loop.now))
        }
        let waiter = waiters.removeFirst()
        loop.cancel(waiter.timer)
        leased[ObjectIdentifier(channel)] = channel
        waiter.completion(.success(channel))
    }

    // MARK: Connecting

    private func connectAsNeeded() {
        guard !isClosed, backingOff == nil else { return }
        // After a failure one attempt at a time: a server that comes back is not met by a crowd.
        let limit = failures > 0 ? 1 : configuration.maximumConnections
        let wanted = max(configuration.minimumConnections - open, waiters.count)
        while connecting < wanted, connecting < limit, open + connecting < configuration.maximumConnections {
            connecting += 1
            let parameters = configuration.parameters
            NativeThread.start(name: "pg-connect") { [loop, self] in
                let attempt = ConnectionAttempt(parameters)
                loop.execute { self.connected(attempt) }
            }
        }
    }

    private func connected(_ attempt: ConnectionAttempt) {
        connecting -= 1
        guard !isClosed else { return drainedPerhaps() }
        do {
            let channel = try attempt.channel(on: loop)
            failures = 0
            lastError = nil
            channel.onLost = { [unowned self, unowned channel] in lost(channel, $0) }
            offer(channel)
            observer(.connected(open: open))
            connectAsNeeded()
        } catch {
            failed(error)
        }
        report()
    }

    private func failed(_ error: PostgresError) {
        failures += 1
        lastError = error
        guard backingOff == nil else { return }
        let doubled = configuration.reconnectDelayMilliseconds << UInt64(min(failures - 1, 16))
        let delay = min(doubled, configuration.maximumReconnectDelayMilliseconds)
        let jittered = delay * UInt64.random(in: 80...120) / 100
        observer(.connectFailed(error, retryMilliseconds: jittered))
        backingOff = loop.after(milliseconds: jittered) { [unowned self] in
            backingOff = nil
            connectAsNeeded()
        }
    }

    private func lost(_ channel: Channel, _ reason: PostgresError) {
        if leased[ObjectIdentifier(channel)] == nil {
            idle.removeAll { $0.channel === channel }
        }
        if idle.isEmpty { lastError = reason }
        observer(.lost(reason))
        connectAsNeeded()
        report()
    }

    // MARK: Upkeep and end

    private func sweepLater() {
        let period = max(configuration.idleTimeoutMilliseconds / 4, 10)
        loop.after(milliseconds: period) { [weak self] in
            guard let self, !isClosed else { return }
            sweep()
            sweepLater()
        }
    }

    /// Closes what has been idle too long, down to the minimum.
    private func sweep() {
        let limit = configuration.idleTimeoutMilliseconds * 1_000_000
        while open > configuration.minimumConnections, let first = idle.first, loop.now - first.since > limit {
            idle.removeFirst().channel.close()
        }
        report()
    }

    /// Refuses what comes, fails what waits, closes what is idle. `drained` is called when the last lease is back.
    func close(drained: @escaping () -> Void) {
        isClosed = true
        if let backingOff { loop.cancel(backingOff) }
        for waiter in waiters {
            loop.cancel(waiter.timer)
            waiter.completion(.failure(Self.closed))
        }
        waiters = []
        for entry in idle { entry.channel.close() }
        idle = []
        whenDrained.append(drained)
        drainedPerhaps()
        report()
    }

    /// Closes leased connections too, which fails what runs on them.
    func abandonLeases() {
        for channel in leased.values { channel.close() }
        leased = [:]
        drainedPerhaps()
    }

    private func drainedPerhaps() {
        guard isClosed, leased.isEmpty else { return }
        for handler in whenDrained { handler() }
        whenDrained = []
    }

    private func report() {
        publish(
            PostgresPoolStatus(open: open, leased: leased.count, waiting: waiters.count, lastError: lastError))
    }

    private static let closed = PostgresError(.closed, "the pool was closed")
}

/// One blocking attempt to connect, made on a thread of its own because libpq resolves names blocking. Closes what nobody took.
///
/// `@unchecked Sendable` because it is handed from the connecting thread to the loop's, once.
private final class ConnectionAttempt: @unchecked Sendable {
    private var connection: OpaquePointer?

    init(_ parameters: [(keyword: String, value: String)]) {
        // libpq wants two arrays of C strings that end with NULL.
        var texts: [UnsafeMutablePointer<CChar>?] = []
        func copy(_ text: String) -> UnsafePointer<CChar>? {
            let bytes = text.utf8CString
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
            for (index, byte) in bytes.enumerated() { copy[index] = byte }
            texts.append(copy)
            return UnsafePointer(copy)
        }
        let keywords = parameters.map { copy($0.keyword) } + [nil]
        let values = parameters.map { copy($0.value) } + [nil]
        connection = PQconnectdbParams(keywords, values, 1)
        for text in texts { text?.deallocate() }
    }

    deinit { PQfinish(connection) }

    /// The connection, driven by `loop` from now on. Throws what kept it from being made.
    func channel(on loop: EventLoop) throws(PostgresError) -> Channel {
        guard let connection, PQstatus(connection) == CONNECTION_OK else {
            let message = connection.map { String(cString: PQerrorMessage($0)).trimmingNewlines }
            throw PostgresError(.connection, message ?? "out of memory")
        }
        do {
            let channel = try Channel(connection, loop: loop)
            self.connection = nil
            return channel
        } catch {
            throw PostgresError(.connection, "\(error)")
        }
    }
}
