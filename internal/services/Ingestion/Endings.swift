internal import HTTPServing

/// What a producer is told: one place for every end that a request can have.
extension Ending {
    /// The body of a 202.
    /// - Parameter id: as JSON, with its quotes.
    static func acceptance(id: some Sequence<UInt8>, isDuplicate: Bool) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(112)
        body.append(contentsOf: #"{"id":"#.utf8)
        body.append(contentsOf: id)
        body.append(contentsOf: #","status":"accepted","duplicate":"#.utf8)
        body.append(contentsOf: (isDuplicate ? "true}" : "false}").utf8)
        return body
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
