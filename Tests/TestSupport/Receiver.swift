internal import EventLoops
internal import HTTPServing
internal import Synchronization

/// An endpoint that counts: how often each message came to each path.
public final class Receiver: Sendable {
    private struct Arrival: Hashable {
        var path: String
        var id: String
    }

    /// A request as it came; header names in lower case.
    public struct Request: Sendable {
        public var path: String
        public var headers: [(name: String, value: String)]
        public var body: [UInt8]

        public func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
    }

    private struct State {
        var counts: [Arrival: Int] = [:]
        var requests: [Request] = []
        var running = 0
        var mostRunning = 0
    }

    private let state = Mutex(State())
    private let server = Mutex<HTTPServer?>(nil)
    public let port: UInt16

    /// - Parameters:
    ///   - delayMs: before each answer.
    ///   - keeps: requests of which everything is kept; the rest are counted.
    ///   - status: by path.
    ///   - answer: by path and how often this message has come there, this time included; instead of `status`.
    ///   - problem: the body of what is no success.
    public init(
        paths: [String], delayMs: UInt64 = 0, keeps: Int = 200,
        status: @escaping @Sendable (String) -> Int = { _ in 204 },
        answer: (@Sendable (_ path: String, _ arrival: Int) -> Int)? = nil, problem: String = ""
    ) async throws {
        let box = Box()
        let made = HTTPServer(HTTPServerConfiguration()) { loop in
            paths.map { path in
                DirectRoute("POST", path) { request, responder in
                    let copy = request.copy()
                    let arrival = box.receiver.withLock { $0 }?.arrived(copy, keeps: keeps) ?? 1
                    let code = answer?(path, arrival) ?? status(path)
                    let answer = {
                        box.receiver.withLock { $0 }?.answered()
                        let headers = code == 503 ? [("retry-after", "7")] : []
                        responder.answer(
                            HTTPResponse(status: code, headers: headers, body: code < 300 ? [] : Array(problem.utf8)))
                    }
                    if delayMs == 0 { answer() } else { loop.after(milliseconds: delayMs, answer) }
                }
            }
        }
        port = try await made.start()
        server.withLock { $0 = made }
        box.receiver.withLock { $0 = self }
    }

    private final class Box: Sendable {
        let receiver = Mutex<Receiver?>(nil)
    }

    /// Returns how often the message has come to this path.
    private func arrived(_ request: HTTPRequest, keeps: Int) -> Int {
        state.withLock { state in
            let arrival = Arrival(path: request.path, id: request.header("webhook-id") ?? "")
            state.counts[arrival, default: 0] += 1
            state.running += 1
            state.mostRunning = max(state.mostRunning, state.running)
            if state.requests.count < keeps {
                state.requests.append(Request(path: request.path, headers: request.headers, body: request.body))
            }
            return state.counts[arrival] ?? 1
        }
    }

    private func answered() { state.withLock { $0.running -= 1 } }

    public func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }
    /// Different messages, by path and `webhook-id`.
    public var distinct: Int { state.withLock { $0.counts.count } }
    public var total: Int { state.withLock { $0.counts.values.reduce(0, +) } }
    /// Requests beyond the first for a message.
    public var repeats: Int { total - distinct }
    /// Requests that have not been answered yet.
    public var running: Int { state.withLock { $0.running } }
    public var mostRunning: Int { state.withLock { $0.mostRunning } }
    public var requests: [Request] { state.withLock { $0.requests } }
    public func ids(at path: String) -> Set<String> {
        state.withLock { Set($0.counts.keys.filter { $0.path == path }.map(\.id)) }
    }

    public func stop() async {
        let stopping = server.withLock { server in
            defer { server = nil }
            return server
        }
        await stopping?.stop(withinMilliseconds: 500)
    }
}
