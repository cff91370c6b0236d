/// How a request ended, as far as the decision about it needs to know.
public enum RequestEnd: Equatable, Sendable {
    /// The endpoint answered with a status line and headers.
    /// - Parameter retryAfter: the field's value as it came, nil where there was none.
    case answered(status: Int, retryAfter: String?)
    case failed(TransportFailure)
}

/// Why there was no answer.
public enum TransportFailure: String, Sendable, CaseIterable {
    case resolve, connect, tls, timeout, reset, protocolViolation, answerTooLarge, deniedAddress
    /// No fault of the endpoint: this process is out of file descriptors or memory.
    case noDescriptors
    /// No fault of the endpoint: this process ended the request, because it lost the partition or stops.
    case interrupted
    case other

    /// As it stands in outcomes and metrics.
    public var reason: String {
        switch self {
        case .resolve: "resolve"
        case .connect: "connect"
        case .tls: "tls"
        case .timeout: "timeout"
        case .reset: "connection_reset"
        case .protocolViolation: "protocol_violation"
        case .answerTooLarge: "answer_too_large"
        case .deniedAddress: "denied_address"
        case .noDescriptors: "no_descriptors"
        case .interrupted: "interrupted"
        case .other: "transport"
        }
    }
}

/// What a request's end means for its delivery.
public enum Verdict: Equatable, Sendable {
    case delivered
    /// Worth another attempt.
    case retryable(reason: String)
    /// Perhaps worth another attempt: tried again fewer times.
    case unknown(reason: String)
    /// Another attempt cannot help.
    case permanent(reason: String)
    /// No attempt was spent.
    case parked(reason: String)

    public var reason: String {
        switch self {
        case .delivered: ""
        case .retryable(let reason), .unknown(let reason), .permanent(let reason), .parked(let reason): reason
        }
    }
}

/// What the endpoint's answer says beyond its own delivery.
public struct Effects: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// 410: the webhook is to be disabled.
    public static let gone = Effects(rawValue: 1)
    /// 429, 503 or a timeout: the endpoint has more than it can do.
    public static let overloaded = Effects(rawValue: 2)
}

/// The one place that says what an endpoint's answer means.
///
///     status                          verdict      effects
///     2xx                             delivered
///     410                             permanent    gone
///     413 414 415 505                 permanent                 the same bytes will not fit next time either
///     408 425 5xx                     retryable    503: overloaded
///     429                             retryable    overloaded
///     other 4xx, 3xx, 1xx             unknown                   perhaps a deployment gone wrong; redirects are not followed
public func classify(_ end: RequestEnd) -> (verdict: Verdict, effects: Effects) {
    switch end {
    case .answered(let status, _): classify(status: status)
    case .failed(let failure): classify(failure)
    }
}

private func classify(status: Int) -> (verdict: Verdict, effects: Effects) {
    let reason = "status_\(status)"
    switch status {
    case 200...299: return (.delivered, [])
    case 410: return (.permanent(reason: reason), .gone)
    case 413, 414, 415, 505: return (.permanent(reason: reason), [])
    case 429, 503: return (.retryable(reason: reason), .overloaded)
    case 408, 425, 500...599: return (.retryable(reason: reason), [])
    default: return (.unknown(reason: reason), [])
    }
}

private func classify(_ failure: TransportFailure) -> (verdict: Verdict, effects: Effects) {
    switch failure {
    case .resolve, .connect, .tls, .reset, .protocolViolation, .other: (.retryable(reason: failure.reason), [])
    case .timeout: (.retryable(reason: failure.reason), .overloaded)
    case .answerTooLarge, .deniedAddress: (.unknown(reason: failure.reason), [])
    case .noDescriptors, .interrupted: (.parked(reason: failure.reason), [])
    }
}
