import Glibc
import HTTPServing
import Synchronization

/// The endpoints of one fault's webhooks, which count: how often each event came to each path, and when it was taken.
final class ChaosReceiver: Sendable {
    struct Endpoint: Sendable, Hashable {
        enum Behaviour {
            /// Takes everything.
            case steady
            /// Answers 500 to the first request for three events in ten: often enough for many retries, too rarely for its breaker to open.
            case flaky
            /// Answers 503 while `setAway` says so.
            case leaving
        }
        var path: String
        var behaviour: Behaviour

        static let standard = [
            Endpoint(path: "/steady", behaviour: .steady), Endpoint(path: "/flaky", behaviour: .flaky),
        ]
    }

    private struct Arrivals {
        var requests = 0
        /// Requests answered 204.
        var taken = 0
        /// Milliseconds since 1970.
        var takenMs: Int64 = 0
    }

    private struct State {
        /// By path and event.
        var arrivals: [String: [String: Arrivals]] = [:]
        var isAway = false
        /// Requests to endpoints that were away before, by the second of their arrival since they are back.
        var afterReturn: [Int64: Int] = [:]
        var returnedMs: Int64?
    }

    let endpoints: [Endpoint]
    private let state = Mutex(State())
    private let server = Mutex<HTTPServer?>(nil)
    let port: UInt16

    init(_ endpoints: [Endpoint]) async throws {
        self.endpoints = endpoints
        let shared = Box()
        let made = HTTPServer(HTTPServerConfiguration()) { _ in
            endpoints.map { endpoint in
                DirectRoute("POST", endpoint.path) { request, responder in
                    let id = request.copy().header("webhook-id") ?? ""
                    responder.answer(HTTPResponse(status: shared.receiver?.arrived(endpoint, id) ?? 503))
                }
            }
        }
        port = try await made.start()
        server.withLock { $0 = made }
        shared.receiver = self
    }

    /// The routes exist before the receiver does.
    private final class Box: Sendable {
        private let box = Mutex<ChaosReceiver?>(nil)
        var receiver: ChaosReceiver? {
            get { box.withLock { $0 } }
            set { box.withLock { $0 = newValue } }
        }
    }

    /// The status to answer.
    private func arrived(_ endpoint: Endpoint, _ id: String) -> Int {
        let now = nowMs()
        return state.withLock { state in
            var entry = state.arrivals[endpoint.path]?[id] ?? Arrivals()
            entry.requests += 1
            let status =
                switch endpoint.behaviour {
                case .steady: 204
                case .flaky: entry.requests == 1 && "048".contains(id.last ?? "0") ? 500 : 204
                case .leaving: state.isAway ? 503 : 204
                }
            if status == 204 {
                if entry.taken == 0 { entry.takenMs = now }
                entry.taken += 1
            }
            if endpoint.behaviour == .leaving, let returned = state.returnedMs {
                state.afterReturn[(now - returned) / 1_000, default: 0] += 1
            }
            state.arrivals[endpoint.path, default: [:]][id] = entry
            return status
        }
    }

    func setAway(_ isAway: Bool) {
        state.withLock { state in
            state.isAway = isAway
            if !isAway { state.returnedMs = nowMs() }
        }
    }

    /// The most requests in one second to the endpoints that were away, once they are back.
    var peakAfterReturn: Int { state.withLock { $0.afterReturn.values.max() ?? 0 } }

    func url(_ endpoint: Endpoint) -> String { "http://127.0.0.1:\(port)\(endpoint.path)" }

    /// Events that an endpoint has answered 204 for, and when first.
    func taken(_ endpoint: Endpoint) -> [String: Int64] {
        state.withLock { ($0.arrivals[endpoint.path] ?? [:]).mapValues(\.takenMs).filter { $0.value > 0 } }
    }

    /// What came of each accepted event at each endpoint, as comma-separated values.
    func rawData(of accepted: [String: Int64]) -> String {
        let arrivals = state.withLock { $0.arrivals }
        var text = "endpoint,event,sent_ms,taken_ms,requests,taken\n"
        for endpoint in endpoints {
            for (id, sentMs) in accepted.sorted(by: { $0.value < $1.value }) {
                let entry = arrivals[endpoint.path]?[id] ?? Arrivals()
                text += "\(endpoint.path),\(id),\(sentMs),\(entry.takenMs),\(entry.requests),\(entry.taken)\n"
            }
        }
        return text
    }

    func requests(_ endpoint: Endpoint) -> Int {
        state.withLock { $0.arrivals[endpoint.path]?.values.reduce(0) { $0 + $1.requests } ?? 0 }
    }

    /// Requests for what an endpoint had taken before.
    var repeats: Int {
        state.withLock { state in
            state.arrivals.values.reduce(0) { sum, events in
                events.values.reduce(sum) { $0 + max(0, $1.taken - 1) }
            }
        }
    }

    func stop() async {
        let stopping = server.withLock { server in
            defer { server = nil }
            return server
        }
        await stopping?.stop(withinMilliseconds: 500)
    }
}

func nowMs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
}
