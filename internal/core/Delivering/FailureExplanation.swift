/// What kind of trouble a request met.
public enum FailureType: String, Sendable, CaseIterable {
    case rateLimit = "RATE_LIMIT"
    case serverError = "SERVER_ERROR"
    case authError = "AUTH_ERROR"
    case clientError = "CLIENT_ERROR"
    case timeoutError = "TIMEOUT_ERROR"
    case dnsError = "DNS_ERROR"
    case tlsError = "TLS_ERROR"
    case networkError = "NETWORK_ERROR"
    case unknownError = "UNKNOWN_ERROR"
}

/// A failed request, put into words for whoever has to mend it: what happened in one sentence, and what to do about it.
public struct FailureExplanation: Equatable, Sendable {
    public var type: FailureType
    public var explanation: String
    public var suggestedFix: String

    private init(_ type: FailureType, _ explanation: String, fix: String) {
        self.type = type
        self.explanation = explanation
        suggestedFix = fix
    }

    public init(_ cause: FailureCause) {
        switch cause {
        case .status(let status): self = Self.of(status)
        case .transport(let failure): self = Self.of(failure)
        }
    }

    private static func of(_ status: Int) -> FailureExplanation {
        let answered = "The endpoint answered with status \(status)"
        return switch status {
        case 300...399:
            FailureExplanation(
                .clientError, "\(answered), a redirection, and redirections are not followed.",
                fix: "Set the webhook's url to where the redirection leads.")
        case 400...499: ofRequest(status, answered)
        case 502, 504:
            FailureExplanation(
                .serverError, "\(answered): a proxy in front of it did not get an answer from it.",
                fix: "See that what stands behind the proxy runs and answers in time.")
        case 503:
            FailureExplanation(
                .serverError, "\(answered): it has more to do than it can, or is being maintained.",
                fix: "Give the endpoint more capacity, or lower the webhook's max_in_flight or rate_per_second.")
        case 500...599:
            FailureExplanation(
                .serverError, "\(answered): it failed over this request.",
                fix: "Look into the endpoint's log at the time of the attempt.")
        default:
            FailureExplanation(
                .unknownError, "\(answered), which does not say whether it took the event.",
                fix: "Let the endpoint answer with 200 or 204 once it has the event.")
        }
    }

    private static func ofRequest(_ status: Int, _ answered: String) -> FailureExplanation {
        switch status {
        case 401, 403, 407:
            FailureExplanation(
                .authError, "\(answered): it does not accept the request's credentials or signature.",
                fix: "Check the webhook's headers, and the secret that the endpoint verifies signatures with.")
        case 404, 405:
            FailureExplanation(
                .clientError, "\(answered): nothing takes a POST at this URL.", fix: "Correct the webhook's url.")
        case 408:
            FailureExplanation(
                .timeoutError, "\(answered): it did not get the whole request in time.",
                fix: "Look for a slow or overloaded proxy in front of the endpoint.")
        case 410:
            FailureExplanation(
                .clientError, "\(answered): it is gone for good.",
                fix: "Delete the webhook, or enable it again once the endpoint is back.")
        case 413, 414, 415, 431:
            FailureExplanation(
                .clientError, "\(answered): it does not take requests of this size or kind.",
                fix: "Raise the endpoint's limits, or send smaller events that refer to large data.")
        case 429:
            FailureExplanation(
                .rateLimit, "\(answered): it gets more requests than it wants.",
                fix: "Set the webhook's rate_per_second or max_in_flight, or raise the endpoint's own limit.")
        default:
            FailureExplanation(
                .clientError, "\(answered): it refused the request.",
                fix: "Look at the answer's body and into the endpoint's log.")
        }
    }

    private static func of(_ failure: TransportFailure) -> FailureExplanation {
        switch failure {
        case .resolve:
            FailureExplanation(
                .dnsError, "The endpoint's name could not be resolved.",
                fix: "Correct the host in the webhook's url, or its entry in DNS.")
        case .connect:
            FailureExplanation(
                .networkError, "No connection to the endpoint could be made.",
                fix: "See that the endpoint runs, and that its firewall lets Martlet in.")
        case .tls:
            FailureExplanation(
                .tlsError, "No TLS connection to the endpoint could be made.",
                fix: "Renew the endpoint's certificate, with its whole chain and for the host in the webhook's url.")
        case .timeout:
            FailureExplanation(
                .timeoutError, "The endpoint did not answer in time.",
                fix: "Answer before working on the event, or raise the webhook's timeout_ms.")
        case .reset:
            FailureExplanation(
                .networkError, "The connection ended before the answer was complete.",
                fix: "Look whether the endpoint or its proxy restarts or closes connections early.")
        case .protocolViolation:
            FailureExplanation(
                .networkError, "What came back was not HTTP.",
                fix: "See that the webhook's url leads to an HTTP server, by its scheme and port too.")
        case .answerTooLarge:
            FailureExplanation(
                .serverError, "More came than an answer's head may be before its status was complete.",
                fix: "Send fewer and smaller headers in the answer.")
        case .deniedAddress:
            FailureExplanation(
                .clientError, "The endpoint's address or port may not be sent to.",
                fix: "Use a public address and port 80 or 443, or have the operator allow the port.")
        case .noDescriptors, .interrupted, .other:
            FailureExplanation(
                .unknownError, "The request ended before its answer, for a reason that has no name.",
                fix: "Look into the dispatcher's log at the time of the attempt.")
        }
    }
}
