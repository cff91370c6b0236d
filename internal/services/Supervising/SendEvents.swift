internal import HTTPSending
internal import JSONScanning
internal import Synchronization

/// What became of one event.
enum SendOutcome: Sendable, Equatable {
    case accepted(id: String, isDuplicate: Bool)
    /// The service does not want it.
    case refused(String)
    /// Nothing was decided while there was patience.
    case gaveUp(String)
}

/// Posts events to event-ingestion, again while it is busy. Usable from any thread.
final class EventPoster: Sendable {
    private let client: HTTPClient
    private let endpoint: Endpoint
    private let headers: HeaderLines
    private let patience: Duration
    /// Whether the service has ever answered. One that never has is away, and waiting for it would only hide that.
    private let hasAnswered = Atomic<Bool>(false)

    init(baseURL: String, token: String?, patienceMilliseconds: Int) throws(SendError) {
        do {
            client = try HTTPClient()
            endpoint = try Endpoint(baseURL + "/events")
        } catch {
            throw SendError(description: "\(baseURL): \(error)")
        }
        var headers = HeaderLines()
        headers.append("content-type", "application/json")
        if let token, !headers.append("authorization", "Bearer \(token)") {
            throw SendError(description: "the token has a line break in it")
        }
        self.headers = headers
        patience = .milliseconds(patienceMilliseconds)
    }

    func post(_ body: [UInt8]) async -> SendOutcome {
        let deadline = ContinuousClock.now + patience
        var pause = Duration.milliseconds(100)
        while true {
            let result = await client.send(.post, to: endpoint, headers: headers, body: body)
            switch judge(result) {
            case .done(let outcome): return outcome
            case .again(let reason, let atLeast):
                let wait = max(atLeast, pause * Double.random(in: 0.8...1.2))
                guard ContinuousClock.now + wait < deadline, (try? await Task.sleep(for: wait)) != nil else {
                    return .gaveUp(reason)
                }
                pause = min(pause * 2, .seconds(5))
            }
        }
    }

    private enum Verdict {
        case done(SendOutcome)
        case again(String, atLeast: Duration)
    }

    private func judge(_ result: HTTPSendResult) -> Verdict {
        if result.failure != nil {
            let reason = "\(endpoint.url): \(result.message)"
            guard hasAnswered.load(ordering: .relaxed) else { return .done(.gaveUp(reason)) }
            return .again(reason, atLeast: .zero)
        }
        hasAnswered.store(true, ordering: .relaxed)
        switch result.status {
        case 200...299:
            let answer = JSONValue(answer: result.body)
            return .done(
                .accepted(id: answer?["id"]?.text ?? "", isDuplicate: answer?["duplicate"]?.boolean ?? false))
        case 429, 503:
            let seconds = result.header("retry-after").flatMap { Int($0) } ?? 0
            return .again(
                problemText(status: result.status, body: result.body), atLeast: .seconds(min(seconds, 3_600)))
        default:
            return .done(.refused(problemText(status: result.status, body: result.body)))
        }
    }
}
