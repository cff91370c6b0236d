internal import HTTPServing

/// What a producer is told: one place for every end that a request can have.
extension Ending {
    /// - Parameter id: as JSON, with its quotes.
    func answer(_ responder: HTTPResponder, id: [UInt8]) {
        if let problem { return responder.answer(problem) }
        var body: [UInt8] = []
        body.reserveCapacity(112)
        write(id: id, to: &body)
        body.withUnsafeBytes { responder.answer(status: 202, contentType: "application/json", $0) }
    }

    /// The body of a 202, and what a batch's answer says of each event.
    func write(id: [UInt8], to body: inout [UInt8]) {
        body.append(contentsOf: #"{"id":"#.utf8)
        body.append(contentsOf: id)
        body.append(contentsOf: #","status":""#.utf8)
        body.append(contentsOf: (problem?.code ?? "accepted").utf8)
        body.append(contentsOf: (self == .duplicate ? #"","duplicate":true}"# : #"","duplicate":false}"#).utf8)
    }

    /// nil: the event was accepted.
    var problem: HTTPProblem? {
        switch self {
        case .accepted, .duplicate: nil
        case .pending:
            HTTPProblem(
                status: 503, code: "pending",
                detail: "Another request with this id is under way; try again in a second.", field: "id", retryAfter: 1)
        case .kafkaAway:
            HTTPProblem(
                status: 503, code: "unavailable",
                detail: "Kafka cannot be reached, so nothing was accepted; try again.",
                retryAfter: 2)
        case .queueFull:
            HTTPProblem(
                status: 503, code: "overloaded", detail: "More events wait for Kafka than can be held; try again.",
                retryAfter: 1)
        case .tooLarge:
            HTTPProblem(status: 413, code: "too_large", detail: "The event is larger than its topic takes.")
        case .unacknowledged:
            HTTPProblem(
                status: 503, code: "unacknowledged",
                detail: "Kafka did not acknowledge the event in time and may have it all the same: "
                    + "try again with the same id, which is taken as a new one after half a minute.", retryAfter: 2)
        }
    }

    /// The label of the metric.
    var label: String {
        switch self {
        case .accepted: "accepted"
        case .duplicate: "duplicate"
        case .pending: "pending"
        case .kafkaAway: "unavailable"
        case .queueFull: "overloaded"
        case .tooLarge: "refused"
        case .unacknowledged: "unacknowledged"
        }
    }
}

extension HTTPProblem {
    /// The same, of one event of a batch.
    func ofElement(_ index: Int) -> HTTPProblem {
        var problem = self
        problem.field = "[\(index)]" + (field.map { "." + $0 } ?? "")
        return problem
    }
}
