internal import CGRPC
internal import EventLoops
internal import Synchronization
public import WireFormat

/// Makes unary gRPC calls to one server over one connection, which is opened by the first call and again whenever it was lost.
///
///     idle ── first use ──► open ── shutdown ──► closing ── last call ended ──► closed
public final class GRPCClient: Sendable {
    public struct Configuration: Sendable {
        /// `host:port`; or a URI such as `dns:///registry:8081`, which gRPC resolves.
        public var target: String
        /// nil: plain text. Empty: TLS, trusting the system's authorities.
        public var identity: GRPCIdentity?
        /// The name that the server's certificate must carry, where it is not the target's host.
        public var serverName: String?
        /// Larger replies end their call with `RESOURCE_EXHAUSTED`.
        public var maxMessageBytes = 4 << 20
        /// Calls at once; a further one ends with `RESOURCE_EXHAUSTED` without having been sent.
        public var maxConcurrentCalls = 1000
        /// Of calls that do not say otherwise. There is no call without a deadline: nothing else notices a frozen peer.
        public var timeout = Duration.seconds(5)
        /// How often a silent connection is probed, so that a peer whose machine has gone is noticed. The server must permit it:
        /// `GRPCServer` does from 5 s on, others usually from 5 min on.
        public var keepalive: Duration?

        public init(target: String) { self.target = target }
    }

    public enum Connectivity: Int32, Sendable {
        case idle = 0
        case connecting = 1
        case ready = 2
        /// The last attempt failed; another follows within a second.
        case failing = 3
        case closed = 4
    }

    private enum Phase {
        case idle
        case open(Handle)
        case closing(Handle)
        case closed
    }

    private struct State {
        var phase = Phase.idle
        var calls: [ObjectIdentifier: ClientCall] = [:]
    }

    private let configuration: Configuration
    private let state = Mutex(State())
    private let closed = Latch()

    public init(_ configuration: Configuration) { self.configuration = configuration }

    deinit {
        // No call is under way, for calls hold the client.
        if case .open(let channel) = state.withLock({ $0.phase }) { cgrpc_channel_close(channel.pointer) }
    }

    /// Calls `method` (`/package.Service/Method`) and returns the reply with its trailing metadata. While the server is away it ends at
    /// once with `UNAVAILABLE`. Cancelling the task cancels the call, here and at the server.
    public func call(
        _ method: String, bytes request: [UInt8], metadata: GRPCMetadata = [:], timeout: Duration? = nil
    ) async throws(GRPCStatus) -> GRPCMessage {
        if let problem = metadata.problem { throw GRPCStatus(.invalidArgument, problem) }
        let call = ClientCall()
        let channel = try register(call)
        let milliseconds = (timeout ?? configuration.timeout).wholeMilliseconds
        let result = await withTaskCancellationHandler {
            await call.run(
                on: channel, method: method, request: request, metadata: metadata, timeoutMs: milliseconds)
        } onCancel: {
            call.cancel()
        }
        unregister(call)
        return try result.get()
    }

    /// With messages.
    public func call<Request: WireMessage, Reply: WireMessage>(
        _ method: String, _ request: Request, returning: Reply.Type = Reply.self, metadata: GRPCMetadata = [:],
        timeout: Duration? = nil
    ) async throws(GRPCStatus) -> Reply {
        let reply = try await call(method, bytes: request.encoded(), metadata: metadata, timeout: timeout)
        do throws(WireError) {
            return try Reply(decoding: reply.bytes)
        } catch {
            throw GRPCStatus(.internal, "the reply is no \(Reply.self): \(error)")
        }
    }

    /// The connection's state. An idle connection starts to connect, so asking twice tells whether the server is there.
    public func connectivity() -> Connectivity {
        state.withLock { state in
            guard let channel = openChannel(&state) else { return .closed }
            return Connectivity(rawValue: cgrpc_channel_state(channel.pointer, true)) ?? .closed
        }
    }

    /// Refuses new calls, lets those under way finish for `grace`, then cancels them, and closes the connection.
    public func shutdown(grace: Duration = .seconds(2)) async {
        let channel = state.withLock { state -> Handle? in
            beginClosing(&state)
            return channelToClose(&state)
        }
        close(channel)
        if await closed.wait(for: grace) { return }
        for call in state.withLock({ Array($0.calls.values) }) { call.cancel() }
        // A cancelled call ends without the server's help.
        _ = await closed.wait(for: .seconds(1))
    }

    // MARK: State

    private func beginClosing(_ state: inout State) {
        switch state.phase {
        case .idle: state.phase = .closed
        case .open(let channel): state.phase = .closing(channel)
        case .closing, .closed: break
        }
    }

    private func register(_ call: ClientCall) throws(GRPCStatus) -> Handle {
        let limit = configuration.maxConcurrentCalls
        let result = state.withLock { state -> Result<Handle, GRPCStatus> in
            guard state.calls.count < limit else {
                return .failure(GRPCStatus(.resourceExhausted, "\(limit) calls are under way"))
            }
            guard let channel = openChannel(&state) else {
                return .failure(GRPCStatus(.unavailable, "the client is shut down, or its certificate is unusable"))
            }
            state.calls[ObjectIdentifier(call)] = call
            return .success(channel)
        }
        return try result.get()
    }

    private func unregister(_ call: ClientCall) {
        let channel = state.withLock { state -> Handle? in
            state.calls[ObjectIdentifier(call)] = nil
            return channelToClose(&state)
        }
        close(channel)
    }

    /// The channel, if nothing needs it any more: taken out, so it is closed once.
    private func channelToClose(_ state: inout State) -> Handle? {
        guard case .closing(let channel) = state.phase, state.calls.isEmpty else { return nil }
        state.phase = .closed
        return channel
    }

    private func close(_ channel: Handle?) {
        if let channel { cgrpc_channel_close(channel.pointer) }
        if case .closed = state.withLock({ $0.phase }) { closed.open() }
    }

    private func openChannel(_ state: inout State) -> Handle? {
        switch state.phase {
        case .open(let channel): return channel
        case .closing, .closed: return nil
        case .idle: break
        }
        let created = withIdentity(configuration.identity) { identity in
            withOptional(configuration.serverName) { name in
                withArguments(arguments) { list, count in
                    cgrpc_channel_create(
                        configuration.target, configuration.identity != nil, identity, name, list, count)
                }
            }
        }
        guard let created else { return nil }
        let channel = Handle(created)
        NativeThread.start(name: "grpc-client") { cgrpc_channel_run(channel.pointer) }
        state.phase = .open(channel)
        return channel
    }

    private var keepaliveArguments: [(key: StaticString, value: Int)] {
        guard let interval = configuration.keepalive else { return [] }
        return [
            ("grpc.keepalive_time_ms", Int(interval.wholeMilliseconds)),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    }

    private var arguments: [(key: StaticString, value: Int)] {
        [
            // Else `http_proxy` in the environment captures even loopback.
            ("grpc.enable_http_proxy", 0),
            ("grpc.service_config_disable_resolution", 1),
            // A client of its own: not the backoff of another one with the same target.
            ("grpc.use_local_subchannel_pool", 1),
            // Despite its name, how long one attempt to connect may take: a busy machine's handshake needs more than moments.
            ("grpc.min_reconnect_backoff_ms", 3_000),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.dns_min_time_between_resolutions_ms", 1_000),
            ("grpc.max_receive_message_length", configuration.maxMessageBytes),
        ] + keepaliveArguments
    }
}

extension Duration {
    /// At least 1.
    fileprivate var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds < Int64(1) << 40 else { return Int64(1) << 40 }
        return max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}
