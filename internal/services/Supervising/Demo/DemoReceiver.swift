internal import HTTPServing
internal import StandardWebhooks
internal import Synchronization

/// Whom the demo delivers to: three endpoints of one server on loopback. Usable from any thread.
final class DemoReceiver: Sendable {
    /// An endpoint, by its path.
    enum Endpoint: String {
        /// Takes everything.
        case works = "/demo"
        /// Fails the first two requests of each event.
        case recovers = "/recovers"
        /// Refuses everything, until it is mended.
        case broken = "/broken"
    }

    static let failuresBeforeRecovery = 2

    private struct State {
        var receptions: [Reception] = []
        var isMended = false
    }

    private let state = Mutex(State())

    /// From now on the broken endpoint works.
    func mend() { state.withLock { $0.isMended = true } }

    func server() -> HTTPServer {
        ListenReceiver { [self] request, _ in
            answer(request)
        } arrived: { [self] reception in
            state.withLock { $0.receptions.append(reception) }
        }.server(host: "127.0.0.1", port: 0)
    }

    private func answer(_ request: HTTPRequest) -> Int {
        state.withLock { state in
            switch Endpoint(rawValue: request.path) {
            case .works, nil: 200
            case .recovers:
                state.receptions.count { $0.request.eventID == request.eventID } < Self.failuresBeforeRecovery
                    ? 500 : 200
            case .broken: state.isMended ? 200 : 400
            }
        }
    }

    /// The requests to an endpoint for an event, in the order in which they came.
    func requests(_ endpoint: Endpoint, eventID: String) -> [Reception] {
        state.withLock { $0.receptions }.filter { reception in
            reception.request.path == endpoint.rawValue && reception.request.eventID == eventID
        }
    }

    /// The first request to an endpoint for one of these events.
    func first(_ endpoint: Endpoint, of eventIDs: [String]) -> Reception? {
        state.withLock { $0.receptions }.first { reception in
            reception.request.path == endpoint.rawValue && eventIDs.contains(reception.request.eventID)
        }
    }
}

extension HTTPRequest {
    /// Of the event that a webhook's request carries.
    var eventID: String { header(WebhookHeaders.id) ?? "" }
}
