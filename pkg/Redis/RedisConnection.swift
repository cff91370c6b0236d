public import EventLoops

/// What happens to a connection: for logs and metrics, and for who has to reload after an absence. Reported on the loop's thread.
public enum RedisEvent: Sendable {
    case connected
    /// It was up and is not any more.
    case disconnected(reason: String)
    /// An attempt to connect failed; the next one follows after the delay.
    case connectFailed(reason: String, retryMilliseconds: UInt64)
}

/// One connection to Redis, kept up as long as it lives: commands in, answers to closures, in order and without blocking.
///
/// Commands given during one turn of the loop go out together. When the connection breaks everything pending fails at once, and
/// new commands fail with `.notConnected` until it is back; nothing is sent twice.
///
/// ```
///   stopped ──connect──► resolving ──► connecting ──► greeting ──► ready
///                            ▲             │              │          │
///                            └─── backing off ◄───────────┴──────────┘
/// ```
/// `@unchecked Sendable` because it travels in closures to its loop; it is confined to that loop's thread, everything included.
public final class RedisConnection: @unchecked Sendable {
    public typealias Completion = (Result<RedisReply, RedisError>) -> Void

    private enum Phase {
        /// Before `connect` and after `close`. To `resolving`.
        case stopped
        /// The addresses are being found. To `connecting`, or `backingOff`.
        case resolving
        /// TCP and TLS, trying one address after the other. To `greeting`, or `backingOff`.
        case connecting(Transport, rest: [SocketAddress])
        /// Logging in. To `ready`, or `backingOff`.
        case greeting(Transport)
        /// Commands are taken. To `backingOff`.
        case ready(Transport)
        /// Waiting before the next attempt. To `resolving`.
        case backingOff
    }

    public let configuration: RedisConfiguration
    private let loop: EventLoop
    private let observer: (RedisEvent) -> Void
    private var phase = Phase.stopped
    /// Grows with each attempt: what belongs to an earlier one is recognised and dropped.
    private var attempt = 0
    private var failures = 0
    private var reader = ReplyReader()
    private var pending = PendingQueue()
    private var outgoing: [UInt8] = []
    private var sendIsScheduled = false
    /// Of connecting, or of the delay before it.
    private var phaseTimer: TimerID?
    private var answerTimer: TimerID?
    private var tlsSettings: TLSSettings?

    /// `observer` is called on the loop's thread.
    public init(
        loop: EventLoop, configuration: RedisConfiguration, observer: @escaping (RedisEvent) -> Void = { _ in }
    ) {
        self.loop = loop
        self.configuration = configuration
        self.observer = observer
    }

    deinit { close() }

    /// Commands are taken now.
    public var isConnected: Bool { if case .ready = phase { true } else { false } }

    /// Commands that wait for their answers.
    public var pendingCommands: Int { pending.count }

    /// Connects, and again whenever the connection is lost, until `close`.
    public func connect() {
        guard case .stopped = phase else { return }
        resolve()
    }

    /// Closes the connection; what is pending fails.
    public func close() {
        if case .stopped = phase { return }
        leave("closed by this side", to: .stopped)
    }

    /// Sends a command. `completion` is called exactly once, on the loop's thread: with the answer, or with the reason why there
    /// is none; while this call still runs where it cannot be sent.
    public func command(_ words: [RedisArgument], _ completion: @escaping Completion) {
        send(completion) { CommandEncoder.append(words, to: &$0) }
    }

    /// The same, for a command that was prepared.
    public func command(
        _ prepared: PreparedCommand, key: UnsafeRawBufferPointer, _ completion: @escaping Completion
    ) {
        send(completion) { CommandEncoder.append(prepared, key: key, to: &$0) }
    }

    private func send(_ completion: @escaping Completion, encode: (inout [UInt8]) -> Void) {
        guard isConnected else { return completion(.failure(.notConnected)) }
        guard pending.count < configuration.maximumPending else { return completion(.failure(.overloaded)) }
        enqueue(completion, encode: encode)
    }

    /// Runs a script by its digest, and by its source where the server does not know it yet (after a restart, a failover, a flush).
    public func run(
        _ script: RedisScript, keys: [RedisArgument], _ arguments: [RedisArgument] = [],
        _ completion: @escaping Completion
    ) {
        let operands = [.integer(Int64(keys.count))] + keys + arguments
        command(["EVALSHA", .text(script.digest)] + operands) { [weak self] result in
            guard let self, case .failure(let error) = result, error.code == "NOSCRIPT" else {
                return completion(result)
            }
            command(["EVAL", .text(script.source)] + operands, completion)
        }
    }

    // MARK: Sending

    private func enqueue(_ completion: @escaping Completion, encode: (inout [UInt8]) -> Void) {
        encode(&outgoing)
        let deadline = EventLoop.monotonicNanoseconds() + configuration.commandTimeoutMilliseconds * 1_000_000
        pending.append(PendingQueue.Entry(deadline: deadline, completion: completion))
        if answerTimer == nil { awaitAnswer(until: deadline) }
        guard !sendIsScheduled else { return }
        sendIsScheduled = true
        // Not at the end of the turn: the loop may be nested, and the command given from the outer loop's turn.
        loop.execute { [weak self] in self?.sendCollected() }
    }

    private func sendCollected() {
        sendIsScheduled = false
        switch phase {
        case .greeting(let transport), .ready(let transport):
            // Not `send(&outgoing)`: the transport may find the server gone, and then this connection is left while it sends.
            var bytes: [UInt8] = []
            swap(&bytes, &outgoing)
            transport.send(&bytes)
            // An empty buffer comes back, with its memory.
            if outgoing.isEmpty { swap(&bytes, &outgoing) }
        case .stopped, .resolving, .connecting, .backingOff: outgoing.removeAll()
        }
    }

    /// One timer for all: it looks at the oldest command, which is the first to be overdue.
    private func awaitAnswer(until deadline: UInt64) {
        answerTimer = loop.at(deadline) { [unowned self] in
            answerTimer = nil
            guard let first = pending.firstDeadline else { return }
            if first > loop.now { return awaitAnswer(until: first) }
            fail("no answer within \(configuration.commandTimeoutMilliseconds) ms", pendingError: .timedOut)
        }
    }

    // MARK: Connecting

    private func resolve() {
        phase = .resolving
        attempt += 1
        let attempt = attempt
        phaseTimer = loop.after(milliseconds: configuration.connectTimeoutMilliseconds) { [unowned self] in
            phaseTimer = nil
            fail("no connection within \(configuration.connectTimeoutMilliseconds) ms")
        }
        Resolver.resolve(host: configuration.host, port: configuration.port, loop: loop) { [weak self] resolution in
            guard let self, attempt == self.attempt, case .resolving = phase else { return }
            switch resolution {
            case .failed(let reason): fail(reason)
            case .addresses(let addresses): open(addresses)
            }
        }
    }

    private func open(_ addresses: [SocketAddress], after reason: String = "no address") {
        guard let address = addresses.first else { return fail(reason) }
        let rest = Array(addresses.dropFirst())
        do {
            if tlsSettings == nil, let tls = configuration.tls { tlsSettings = try TLSSettings(tls) }
            let transport = try Transport.make(for: address, loop: loop)
            phase = .connecting(transport, rest: rest)
            transport.onOpen = { [unowned self] in greet() }
            transport.onBytes = { [unowned self] in receive($0) }
            transport.onClosed = { [unowned self] in ended($0) }
            try transport.begin(address, tls: tlsSettings, host: configuration.host)
        } catch RedisError.disconnected(let reason) {
            fail(reason)
        } catch {
            open(rest, after: "\(error)")
        }
    }

    private func ended(_ reason: String) {
        if case .connecting(_, let rest) = phase { open(rest, after: reason) } else { fail(reason) }
    }

    /// Logs in, and asks for a sign of life: a server that still loads its data, or wants a password, says so.
    private func greet() {
        guard case .connecting(let transport, _) = phase else { return }
        phase = .greeting(transport)
        reader = ReplyReader()
        var commands: [[RedisArgument]] = []
        if let password = configuration.password {
            commands.append(["AUTH"] + (configuration.user.map { [.text($0)] } ?? []) + [.text(password)])
        }
        if configuration.database != 0 { commands.append(["SELECT", .integer(Int64(configuration.database))]) }
        if !configuration.clientName.isEmpty {
            commands.append(["CLIENT", "SETNAME", .text(configuration.clientName)])
        }
        commands.append(["PING"])
        for (index, words) in commands.enumerated() {
            let isLast = index == commands.count - 1
            enqueue { [unowned self] result in
                greeted(result, isLast: isLast)
            } encode: {
                CommandEncoder.append(words, to: &$0)
            }
        }
    }

    private func greeted(_ result: Result<RedisReply, RedisError>, isLast: Bool) {
        guard case .greeting(let transport) = phase else { return }
        switch result {
        case .failure(.server(let message)): fail(message)
        case .failure: break
        case .success where isLast:
            cancelPhaseTimer()
            phase = .ready(transport)
            failures = 0
            observer(.connected)
        case .success: break
        }
    }

    // MARK: Receiving

    private func receive(_ bytes: UnsafeRawBufferPointer) {
        reader.feed(bytes)
        let attempt = attempt
        do {
            // A completion may close this connection, or even open the next.
            while attempt == self.attempt, let reply = try reader.next() {
                guard let entry = pending.popFirst() else { return fail("an answer to no command") }
                if case .error(let message) = reply {
                    entry.completion(.failure(.server(message)))
                } else {
                    entry.completion(.success(reply))
                }
            }
        } catch {
            fail("\(error)")
        }
    }

    // MARK: Losing it

    private func fail(_ reason: String, pendingError: RedisError? = nil) {
        if case .stopped = phase { return }
        let wasReady = isConnected
        let doubled = configuration.reconnectDelayMilliseconds << UInt64(min(failures, 16))
        let delay = min(doubled, configuration.maximumReconnectDelayMilliseconds) * UInt64.random(in: 80...120) / 100
        failures += 1
        leave(reason, to: .backingOff, pendingError: pendingError)
        phaseTimer = loop.after(milliseconds: delay) { [unowned self] in
            phaseTimer = nil
            resolve()
        }
        if wasReady {
            observer(.disconnected(reason: reason))
        } else {
            observer(.connectFailed(reason: reason, retryMilliseconds: delay))
        }
    }

    private func leave(_ reason: String, to next: Phase, pendingError: RedisError? = nil) {
        switch phase {
        case .connecting(let transport, _), .greeting(let transport), .ready(let transport): transport.close()
        case .stopped, .resolving, .backingOff: break
        }
        phase = next
        attempt += 1
        cancelPhaseTimer()
        if let answerTimer { loop.cancel(answerTimer) }
        answerTimer = nil
        outgoing.removeAll()
        let error = pendingError ?? .disconnected(reason)
        for entry in pending.removeAll() { entry.completion(.failure(error)) }
    }

    private func cancelPhaseTimer() {
        if let phaseTimer { loop.cancel(phaseTimer) }
        phaseTimer = nil
    }
}
