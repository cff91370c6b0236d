internal import CHTTPServer
internal import EventLoops
internal import Synchronization

/// One thread of a server: h2o's loop with ours nested in it.
///
/// `@unchecked Sendable`: everything but `start`, `listen` and `stop` happens on the thread, and those reach it through the nested loop.
final class ServerLoop: @unchecked Sendable {
    private let configuration: HTTPServerConfiguration
    private let routes: [HTTPRoute]
    private let table: RouteTable
    private let onResponse: HTTPServer.ResponseObserver
    private let loop: EventLoop
    private var direct: [(method: String, path: String, handler: DirectRoute.Handler)] = []
    private var server: OpaquePointer?
    private var isStopped = false

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
                    return started.resume(throwing: error)
                }
                started.resume()
                while !isStopped { chttp_loop_turn(server) }
            }
        }
    }

    func listen(_ listener: Int32) async throws {
        let code = await onLoop { [self] in chttp_loop_listen(server, listener) }
        if code != 0 { throw SystemError(call: "dup", code: code) }
    }

    func stop(withinMilliseconds limit: UInt64) async {
        await onLoop { [self] in chttp_loop_drain(server) }
        let deadline = EventLoop.monotonicNanoseconds() + limit * 1_000_000
        await withCheckedContinuation { continuation in
            loop.execute { [self] in finish(deadline) { continuation.resume() } }
        }
    }

    private func onLoop<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: work()) }
        }
    }

    // MARK: On the thread

    private func prepare(_ directRoutes: HTTPServer.DirectRoutes) throws {
        var settings = chttp_configuration(
            max_body_bytes: configuration.maximumBodyBytes,
            request_timeout_ms: configuration.requestTimeoutMilliseconds,
            max_connections: configuration.maximumConnections,
            on_request: { context, request in
                guard let context, let request else { return }
                Unmanaged<ServerLoop>.fromOpaque(context).takeUnretainedValue().handle(request)
            },
            // The server lives as long as its thread, which keeps this object.
            context: Unmanaged.passUnretained(self).toOpaque())
        guard let server = chttp_loop_new(&settings) else { throw HTTPServerError(description: "out of memory") }
        self.server = server
        chttp_loop_watch(
            server, loop.descriptor,
            { context in
                guard let context else { return }
                Unmanaged<EventLoop>.fromOpaque(context).takeUnretainedValue().poll()
            }, Unmanaged.passUnretained(loop).toOpaque())
        direct = try directRoutes(loop).map { ($0.method, $0.path, $0.handler) }
    }

    /// The thread ends when every connection is closed. Those that idle are hung up once nothing is pending and the last answers
    /// had a moment to leave, all of them when the time is up.
    private func finish(_ deadline: UInt64, _ done: @escaping () -> Void) {
        let now = EventLoop.monotonicNanoseconds()
        if chttp_loop_connections(server) == 0 || now >= deadline + 1_000_000_000 {
            isStopped = true
            return done()
        }
        if now >= deadline { chttp_loop_hang_up(server) }
        let isIdle = chttp_loop_pending(server) == 0
        let next = isIdle ? min(deadline, now + Self.idleGraceNanoseconds) : deadline
        loop.after(milliseconds: 5) { [self] in finish(next, done) }
    }

    private static let idleGraceNanoseconds: UInt64 = 250_000_000

    private func handle(_ token: OpaquePointer) {
        let requestID = findHeader(token, "x-request-id").flatMap(acceptedRequestID) ?? drawRequestID()
        let method = string(chttp_request_method(token))
        let path = string(chttp_request_path(token))
        if let problem = refusal(token) {
            return responder(token, requestID, method, "refused").answer(problem)
        }
        for route in direct where route.path == path && route.method == method {
            route.handler(
                DirectRequest(token: token, requestID: requestID), responder(token, requestID, method, route.path))
            return
        }
        switch table.match(method: method, path: path) {
        case .route(let index, let parameters):
            var request = DirectRequest(token: token, requestID: requestID).copy()
            request.parameters = parameters
            run(routes[index], request, responder(token, requestID, method, routes[index].pattern))
        case .otherMethods(let methods): methodNotAllowed(token, requestID, method, methods)
        case .none:
            let methods = direct.filter { $0.path == path }.map(\.method)
            if !methods.isEmpty { return methodNotAllowed(token, requestID, method, methods) }
            responder(token, requestID, method, "unknown").answer(
                HTTPProblem(status: 404, code: "not_found", detail: "There is nothing at this path."))
        }
    }

    private func methodNotAllowed(_ token: OpaquePointer, _ requestID: String, _ method: String, _ methods: [String]) {
        let allowed = Set(methods).sorted().joined(separator: ", ")
        var problem = HTTPProblem(
            status: 405, code: "method_not_allowed", detail: "This path answers \(allowed) only.")
        problem.headers["allow"] = allowed
        responder(token, requestID, method, "unknown").answer(problem)
    }

    private func responder(_ token: OpaquePointer, _ requestID: String, _ method: String, _ route: String)
        -> HTTPResponder
    {
        HTTPResponder(token, requestID: requestID, method: method, route: route, loop: loop, onResponse: onResponse)
    }

    /// What h2o lets through and no handler should see.
    private func refusal(_ token: OpaquePointer) -> HTTPProblem? {
        if chttp_request_version(token) >= 0x0101, chttp_request_has_host(token) == 0 {
            return HTTPProblem(
                status: 400, code: "host_missing", detail: "An HTTP/1.1 request needs a Host header.", field: "Host")
        }
        for index in 0..<chttp_request_header_count(token) {
            let header = chttp_request_header(token, index)
            if raw(header.value).contains(where: { $0 == 0 || $0 == 10 || $0 == 13 }) {
                return HTTPProblem(
                    status: 400, code: "header_invalid",
                    detail: "A header value has a line break or NUL in it: send it on one line.",
                    field: string(header.name))
            }
        }
        return nil
    }

    /// Runs an async handler; its answer, or a 504 when it takes too long, comes back to this thread.
    private func run(_ route: HTTPRoute, _ request: HTTPRequest, _ responder: HTTPResponder) {
        let slot = Confined(responder)
        let task = Task.detached { [loop, handler = route.handler] in
            let response = await handler(request)
            loop.execute { slot.value.answer(response) }
        }
        loop.after(milliseconds: configuration.handlerTimeoutMilliseconds) { [weak responder] in
            guard let responder, !responder.isAnswered else { return }
            task.cancel()
            responder.answer(
                HTTPProblem(
                    status: 504, code: "timeout", detail: "The request took too long; try again.", retryAfter: 1))
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

/// The process's start and a count: unique enough to find a request in the logs, and cheap.
private func drawRequestID() -> String {
    requestIDPrefix + String(requestIDs.add(1, ordering: .relaxed).newValue, radix: 36)
}
private let requestIDs = Atomic<UInt64>(0)
private let requestIDPrefix = String(UInt64.random(in: 1 << 50..<1 << 51), radix: 36) + "-"
