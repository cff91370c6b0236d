internal import CGRPC
internal import EventLoops
internal import Synchronization

/// Answers unary gRPC calls over HTTP/2, in plain text or TLS.
///
/// For the inside of a cluster, with mutual TLS outside development: gRPC core 1.51, which Debian ships, stops accepting for good once it
/// has run out of descriptors, and takes a gigabyte when a client opens and resets streams as fast as it can.
///
///     idle ── start ──► serving ── shutdown ──► draining ── last call finished ──► stopped
public final class GRPCServer: Sendable {
    public struct Configuration: Sendable {
        /// An address, or a name that resolves to this machine's.
        public var host = "127.0.0.1"
        /// 0: any free port, which `start` returns.
        public var port: UInt16 = 0
        /// nil: plain text.
        public var identity: GRPCIdentity?
        /// Larger requests are refused by gRPC with `RESOURCE_EXHAUSTED`, larger replies are answered as `INTERNAL`.
        public var maxMessageBytes = 4 << 20
        /// Handlers at once; further calls are refused with `RESOURCE_EXHAUSTED`.
        public var maxConcurrentCalls = 1000
        /// Called after each call, from any thread: for logs and metrics.
        public var observe: @Sendable (GRPCCallReport) -> Void = { _ in }

        public init() {}
    }

    private enum Phase {
        case idle
        case serving(Handle)
        case draining(Handle)
        case stopped
    }

    private struct State {
        var phase = Phase.idle
        var runningCalls = 0
    }

    private let configuration: Configuration
    private let methods: GRPCMethods
    private let state = Mutex(State())
    private let stopped = Latch()

    public init(_ configuration: Configuration, methods: GRPCMethods) {
        self.configuration = configuration
        self.methods = methods
    }

    /// Binds, starts to serve and returns the port. It then serves until `shutdown`. Once only.
    public func start() throws(GRPCListenError) -> UInt16 {
        let addresses = try ListenAddress.resolve(host: configuration.host, port: configuration.port)
        let server = withArguments(arguments) { cgrpc_server_create($0, $1, events) }
        var port = 0
        for address in addresses {
            port = withIdentity(configuration.identity) { Int(cgrpc_server_bind(server, address, $0)) }
            guard port != 0 else { break }
        }
        guard let bound = UInt16(exactly: port), bound != 0 else {
            discard(server)
            let what = configuration.identity == nil ? "gRPC refused the address" : "the certificate or key is unusable"
            throw GRPCListenError(description: "cannot listen on \(addresses.joined(separator: ", ")): \(what)")
        }
        let handle = Handle(server)
        let isFirst = state.withLock { state in
            guard case .idle = state.phase else { return false }
            cgrpc_server_start(handle.pointer)
            state.phase = .serving(handle)
            return true
        }
        guard isFirst else {
            discard(server)
            throw GRPCListenError(description: "the server has been started or shut down before")
        }
        NativeThread.start(name: "grpc-server") { cgrpc_server_run(handle.pointer) }
        return bound
    }

    /// Frees a server that was not started, and takes back the reference of its events.
    private func discard(_ server: OpaquePointer) {
        cgrpc_server_discard(server)
        Unmanaged.passUnretained(self).release()
    }

    /// Refuses new calls, lets those under way finish for `grace`, cancels what is left then, and returns when the port is closed and
    /// every call has been answered; at the latest a second after `grace`, should a handler ignore its cancellation.
    public func shutdown(grace: Duration = .seconds(5)) async {
        let wasIdle = state.withLock { state -> Bool in
            switch state.phase {
            case .idle:
                state.phase = .stopped
                return true
            case .serving(let server):
                state.phase = .draining(server)
                cgrpc_server_shutdown(server.pointer)
            case .draining, .stopped: break
            }
            return false
        }
        if wasIdle { stopped.open() }
        if await stopped.wait(for: grace) { return }
        state.withLock { state in
            if case .draining(let server) = state.phase { cgrpc_server_cancel_calls(server.pointer) }
        }
        _ = await stopped.wait(for: .seconds(1))
    }

    /// Calls whose handlers run at this moment.
    public var callsUnderWay: Int { state.withLock { $0.runningCalls } }

    private var arguments: [(key: StaticString, value: Int)] {
        [
            // Else two servers share a port, and the clients between them, without a word.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", configuration.maxMessageBytes),
            ("grpc.max_concurrent_streams", configuration.maxConcurrentCalls),
            ("grpc.server_handshake_timeout_ms", 10_000),
            // Uncompressed only: a small message cannot become a large one.
            ("grpc.compression_enabled_algorithms_bitset", 1),
            // What `GRPCClient` needs to notice that its server's machine has gone.
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ]
    }

    // MARK: The shim's callbacks (queue thread)

    /// The server is retained until `stopped` has come.
    private var events: cgrpc_server_events {
        cgrpc_server_events(
            context: Unmanaged.passRetained(self).toOpaque(),
            arrived: { context, call in
                let server = Unmanaged<GRPCServer>.fromOpaque(context).takeUnretainedValue()
                return Unmanaged.passRetained(server.begin(Handle(call))).toOpaque()
            },
            cancelled: { Unmanaged<ServerCall>.fromOpaque($0).takeUnretainedValue().cancel() },
            finished: { Unmanaged<ServerCall>.fromOpaque($0).release() },
            stopped: { Unmanaged<GRPCServer>.fromOpaque($0).takeRetainedValue().hasStopped() })
    }

    private func hasStopped() {
        state.withLock { $0.phase = .stopped }
        stopped.open()
    }

    private func begin(_ handle: Handle) -> ServerCall {
        let call = ServerCall(handle)
        let method = cgrpc_server_call_method(handle.pointer).text
        let handler = methods.handlers[method]
        guard let handler else {
            finish(call, nil, .now, .failure(GRPCStatus(.unimplemented, "there is no method \(method)")))
            return call
        }
        guard admit() else {
            finish(call, method, .now, .failure(GRPCStatus(.resourceExhausted, "too many calls at once")))
            return call
        }
        guard let request = copyMessage(cgrpc_server_call_message(handle.pointer)) else {
            finish(call, method, .now, .failure(GRPCStatus(.invalidArgument, "the request cannot be decompressed")))
            leave()
            return call
        }
        let context = GRPCContext(
            method: method, metadata: GRPCMetadata(copying: cgrpc_server_call_metadata(handle.pointer)),
            deadline: call.deadline)
        call.run { [self] in
            let started = ContinuousClock.now
            let result: Result<GRPCMessage, any Error>
            do { result = .success(try await handler(request, context)) } catch { result = .failure(error) }
            leave()
            finish(call, method, started, result)
        }
        return call
    }

    private func admit() -> Bool {
        state.withLock { state in
            guard state.runningCalls < configuration.maxConcurrentCalls else { return false }
            state.runningCalls += 1
            return true
        }
    }

    private func leave() { state.withLock { $0.runningCalls -= 1 } }

    // MARK: Answering (any thread)

    private func finish(
        _ call: ServerCall, _ method: String?, _ started: ContinuousClock.Instant,
        _ result: Result<GRPCMessage, any Error>
    ) {
        var report = GRPCCallReport(method: method, duration: .now - started)
        switch result.flatMap(check) {
        case .success(let reply): call.reply(GRPCStatus(.ok, "", metadata: reply.metadata), body: reply.bytes)
        case .failure(let error):
            let status = Self.status(of: error)
            report.status = status
            report.error = error
            call.reply(status, body: [])
        }
        configuration.observe(report)
    }

    private func check(_ reply: GRPCMessage) -> Result<GRPCMessage, any Error> {
        if let problem = reply.metadata.problem { return .failure(GRPCReplyError(description: problem)) }
        guard reply.bytes.count <= configuration.maxMessageBytes else {
            let description = "the reply has \(reply.bytes.count) bytes, \(configuration.maxMessageBytes) are allowed"
            return .failure(GRPCReplyError(description: description))
        }
        return .success(reply)
    }

    private static func status(of error: any Error) -> GRPCStatus {
        switch error {
        case let status as GRPCStatus where status.code != .ok && status.metadata.problem == nil: status
        case is CancellationError: GRPCStatus(.cancelled, "the call was cancelled")
        default: GRPCStatus(.internal, "internal error")
        }
    }
}

/// A handler's mistake, answered as `INTERNAL`.
struct GRPCReplyError: Error, CustomStringConvertible {
    let description: String
}

/// One answered call.
public struct GRPCCallReport: Sendable {
    /// nil: a method that does not exist. So this is fit for a metric's label.
    public let method: String?
    /// From the handler's start to its end.
    public let duration: Duration
    /// What was answered.
    public internal(set) var status = GRPCStatus(.ok, "")
    /// What the handler threw: behind an `INTERNAL` the caller does not learn it.
    public internal(set) var error: (any Error)?
}
