internal import CHTTPServer
internal import EventLoops
internal import Synchronization

/// One thread of a server: h2o's loop with ours nested in it.
///
///     start ─► listen ─► stop: drain ─► (nobody idles) ─► (everybody is answered, or the time is up) ─► the thread ends
///
/// `@unchecked Sendable`: everything but `start`, `listen` and `stop` happens on the thread, and those reach it through the nested loop.
final class ServerLoop: @unchecked Sendable {
    private let configuration: HTTPServerConfiguration
    private let routes: [HTTPRoute]
    private let table: RouteTable
    private let onResponse: HTTPServer.ResponseObserver
    private let loop: EventLoop
    private var direct = DirectRouteTable([])
    private var server: OpaquePointer?
    /// Set when the thread shall end; called when it has let go of everything.
    private var whenStopped: (() -> Void)?

    init(
        _ configuration: HTTPServerConfiguration, routes: [HTTPRoute],
        onResponse: @escaping HTTPServer.ResponseObserver
    ) throws {
        self.configuration = configuration
        self.routes = routes
        self.onResponse = onResponse
        table = RouteTable(routes)
        loop = try EventLoop()
    }

    // MARK: From other threads

    func start(name: String, directRoutes: @escaping HTTPServer.DirectRoutes) async throws {
        try await withCheckedThrowingContinuation { (started: CheckedContinuation<Void, any Error>) in
            NativeThread.start(name: name) { [self] in
                do {
                    try prepare(directRoutes)
                } catch {
                    release()
                    return started.resume(throwing: error)
                }
                started.resume()
                while whenStopped == nil { chttp_loop_turn(server) }
                release()
                whenStopped?()
            }
        }
    }

    func listen(_ listener: Int32) async throws {
        let code: Int32 = await withCheckedContinuation { continuation in
            loop.execute { [self] in continuation.resume(returning: chttp_loop_listen(server, listener)) }
        }
        if code != 0 { throw SystemError(call: "dup", code: code) }
    }

    func stop(withinMilliseconds limit: UInt64) async {
        await withCheckedContinuation { continuation in
            loop.execute { [self] in
                chttp_loop_drain(server)
                let now = EventLoop.monotonicNanoseconds()
                finish(idleUntil: now + Self.idleGraceNanoseconds, answersUntil: now + limit * 1_000_000) {
                    continuation.resume()
                }
            }
        }
    }

    // MARK: Beginning and end

    private func prepare(_ directRoutes: HTTPServer.DirectRoutes) throws {
        direct = DirectRouteTable(try directRoutes(loop))
        var settings = chttp_configuration(
            max_body_bytes: max(configuration.maximumBodyBytes, direct.maximumBodyBytes) + Self.toleratedExcessBytes,
            request_timeout_ms: configuration.requestTimeoutMilliseconds,
            max_connections: max(1, configuration.maximumConnections / configuration.loops),
            on_request: { context, request in
                guard let context, let request else { return }
                Unmanaged<ServerLoop>.fromOpaque(context).takeUnretainedValue().handle(request)
            },
            // The server lives as long as its thread, which keeps this object.
            context: Unmanaged.passUnretained(self).toOpaque())
        guard let server = chttp_loop_new(&settings) else { throw HTTPServerError(description: "out of memory") }
        self.server = server
        let code = chttp_loop_watch(
            server, loop.descriptor,
            { context in
                guard let context else { return }
                Unmanaged<EventLoop>.fromOpaque(context).takeUnretainedValue().poll()
            }, Unmanaged.passUnretained(loop).toOpaque())
        if code != 0 { throw SystemError(call: "dup", code: code) }
    }

    /// What the routes own goes on the thread that it belongs to.
    private func release() {
        direct = DirectRouteTable([])
        if let server { chttp_loop_free(server) }
        server = nil
    }

    /// The thread ends when every connection is closed. Those in use close with their answer. Those that idle are hung up after a
    /// moment, in which a client that is about to send a request can send it; and all of them when the time is up.
    private func finish(idleUntil: UInt64, answersUntil: UInt64, _ done: @escaping () -> Void) {
        let now = EventLoop.monotonicNanoseconds()
        if chttp_loop_connections(server) == 0 || now >= answersUntil + Self.hangUpNanoseconds {
            whenStopped = done
            return
        }
        if now >= answersUntil {
            chttp_loop_hang_up(server, 0)
        } else if now >= idleUntil {
            chttp_loop_hang_up(server, 1)
        }
        loop.after(milliseconds: 5) { [self] in finish(idleUntil: idleUntil, answersUntil: answersUntil, done) }
    }

    /// A body that is larger than allowed by up to this much is still read, so that it can be answered with a problem document.
    private static let toleratedExcessBytes = 1 << 20
    private static let idleGraceNanoseconds: UInt64 = 250_000_000
    /// How long closing the connections that were hung up may take.
    private static let hangUpNanoseconds: UInt64 = 500_000_000

    // MARK: Requests

    private func handle(_ token: OpaquePointer) {
        let requestID = findHeader(token, "x-request-id").flatMap(acceptedRequestID) ?? drawRequestID()
        let route = direct.find(raw(chttp_request_method(token)), raw(chttp_request_path(token)))
        let maximumBodyBytes = max(configuration.maximumBodyBytes, route?.maximumBodyBytes ?? 0)
        if let problem = refusal(token, maximumBodyBytes) {
            return answer(token, requestID, string(chttp_request_method(token)), "refused", problem)
        }
        if let route {
            return route.handler(
                DirectRequest(token: token, requestID: requestID),
                responder(token, requestID, route.method, route.path))
        }
        handleByTable(token, requestID)
    }

    private func handleByTable(_ token: OpaquePointer, _ requestID: String) {
        let method = string(chttp_request_method(token))
        let path = string(chttp_request_path(token))
        switch table.match(method: method, path: path) {
        case .route(let index, let parameters):
            var request = DirectRequest(token: token, requestID: requestID).copy()
            request.parameters = parameters
            run(routes[index], request, responder(token, requestID, method, routes[index].pattern))
        case .otherMethods(let methods):
            answer(token, requestID, method, "unknown", .methodNotAllowed(methods + direct.methods(path: path)))
        case .none:
            let methods = direct.methods(path: path)
            answer(
                token, requestID, method, "unknown",
                methods.isEmpty
                    ? HTTPProblem(status: 404, code: "not_found", detail: "There is nothing at this path.")
                    : .methodNotAllowed(methods))
        }
    }

    private func answer(
        _ token: OpaquePointer, _ requestID: String, _ method: String, _ route: String, _ problem: HTTPProblem
    ) {
        responder(token, requestID, method, route).answer(problem)
    }

    private func responder(_ token: OpaquePointer, _ requestID: String, _ method: String, _ route: String)
        -> HTTPResponder
    {
        HTTPResponder(token, requestID: requestID, method: method, route: route, loop: loop, onResponse: onResponse)
    }

    /// What h2o lets through and no handler should see.
    private func refusal(_ token: OpaquePointer, _ maximumBodyBytes: Int) -> HTTPProblem? {
        switch chttp_request_flaw(token) {
        case CHTTP_NO_HOST: return .hostMissing
        case CHTTP_AMBIGUOUS_LENGTH: return .ambiguousLength
        case CHTTP_BROKEN_HEADER: return .headerFolded
        default: break
        }
        let count = chttp_request_body(token).count
        return count > maximumBodyBytes ? .bodyTooLarge(count, maximumBodyBytes) : nil
    }

    /// Runs an async handler; its answer, or a 504 when it takes too long, comes back to this thread.
    private func run(_ route: HTTPRoute, _ request: HTTPRequest, _ responder: HTTPResponder) {
        let slot = Confined(responder)
        let task = Task.detached { [loop, handler = route.handler] in
            let response = await handler(request)
            loop.execute { slot.value.answer(response) }
        }
        responder.deadline = loop.after(milliseconds: configuration.handlerTimeoutMilliseconds) { [weak responder] in
            task.cancel()
            responder?.answer(.handlerTimedOut)
        }
    }
}

/// A value that travels through other threads' hands but is used on its loop's only.
private struct Confined<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// A caller's request id, where it is printable and not too long.
private func acceptedRequestID(_ bytes: UnsafeRawBufferPointer) -> String? {
    guard (1...128).contains(bytes.count), bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
}

/// A mark of the process and a count: unique enough to find a request in the logs, and short enough to need no memory of its own.
private func drawRequestID() -> String {
    requestIDPrefix + String(requestIDs.add(1, ordering: .relaxed).newValue, radix: 36)
}
private let requestIDs = Atomic<UInt64>(0)
private let requestIDPrefix = String(UInt64.random(in: 1 << 25..<1 << 26), radix: 36) + "-"
