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

    /// Whether the endpoint is not to blame, so that no attempt is spent.
    public var isOurs: Bool { self == .noDescriptors || self == .interrupted }
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

/// Why a request failed.
public enum FailureCause: Equatable, Sendable {
    /// The endpoint's answer, which is none of 200 to 299.
    case status(Int)
    case transport(TransportFailure)

    /// As outcomes say it; nil where that is no failure of a request.
    public init?(reason: String, status: Int?) {
        if let failure = TransportFailure.allCases.first(where: { $0.reason == reason && !$0.isOurs }) {
            self = .transport(failure)
        } else if let status, !(200...299).contains(status) {
            self = .status(status)
        } else {
            return nil
        }
    }

    /// As it stands in outcomes and metrics.
    public var reason: String {
        switch self {
        case .status(let status): "status_\(status)"
        case .transport(let failure): failure.reason
        }
    }
}

/// Whether another request may help.
public enum FailureClass: String, Sendable, CaseIterable {
    case retryable = "RETRYABLE"
    case nonRetryable = "NON_RETRYABLE"
    /// Tried again fewer times.
    case unknown = "UNKNOWN"
}

/// One entry of the rules: `429`, `500-599` or `timeout`.
public enum FailureRule: Equatable, Sendable {
    case statuses(ClosedRange<Int>)
    case transport(TransportFailure)

    /// Statuses are 100 to 999 without those that mean success; transport failures have the names that outcomes give them.
    public init?(_ text: String) {
        if let failure = TransportFailure.allCases.first(where: { $0.reason == text && !$0.isOurs }) {
            self = .transport(failure)
            return
        }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part in part.count == 3 && part.allSatisfy(\.isASCIIDigit) ? Int(part) : nil }
        guard numbers.count == parts.count, (1...2).contains(numbers.count), let first = numbers.first,
            let last = numbers.last, first >= 100, first <= last, !(first...last).overlaps(200...299)
        else { return nil }
        self = .statuses(first...last)
    }

    public var text: String {
        switch self {
        case .statuses(let range):
            range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
        case .transport(let failure): failure.reason
        }
    }

    func covers(_ cause: FailureCause) -> Bool {
        switch (self, cause) {
        case (.statuses(let range), .status(let status)): range.contains(status)
        case (.transport(let own), .transport(let failure)): own == failure
        default: false
        }
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}

/// The one place that says what an endpoint's answer means. 200 to 299 is success; else, unless it is configured otherwise:
///
///     410 413 414 415 505                             NON_RETRYABLE   the same bytes will not fit next time either
///     408 425 429, other 5xx                          RETRYABLE
///     resolve connect tls timeout connection_reset
///     protocol_violation transport                    RETRYABLE
///     other 4xx, 3xx, 1xx                             UNKNOWN         perhaps a deployment gone wrong; redirects are not followed
///     answer_too_large denied_address                 UNKNOWN
///
/// Whatever the rules say, 429, 503 and timeouts tell that the endpoint is overloaded, and 410 that it is gone, unless that is retryable.
public struct ClassificationRules: Equatable, Sendable {
    public var retryable: [FailureRule]
    /// These go before the others.
    public var nonRetryable: [FailureRule]

    public init(retryable: [FailureRule], nonRetryable: [FailureRule]) {
        self.retryable = retryable
        self.nonRetryable = nonRetryable
    }

    public static let standard = ClassificationRules(
        retryable: [
            .statuses(408...408), .statuses(425...425), .statuses(429...429), .statuses(500...599),
            .transport(.resolve), .transport(.connect), .transport(.tls), .transport(.timeout), .transport(.reset),
            .transport(.protocolViolation), .transport(.other),
        ],
        nonRetryable: [.statuses(410...410), .statuses(413...415), .statuses(505...505)])

    public func failureClass(of cause: FailureCause) -> FailureClass {
        if nonRetryable.contains(where: { $0.covers(cause) }) { return .nonRetryable }
        return retryable.contains { $0.covers(cause) } ? .retryable : .unknown
    }

    public func classify(_ end: RequestEnd) -> (verdict: Verdict, effects: Effects) {
        switch end {
        case .answered(200...299, _): (.delivered, [])
        case .answered(let status, _): verdict(of: .status(status))
        case .failed(let failure) where failure.isOurs: (.parked(reason: failure.reason), [])
        case .failed(let failure): verdict(of: .transport(failure))
        }
    }

    private func verdict(of cause: FailureCause) -> (verdict: Verdict, effects: Effects) {
        var effects: Effects = []
        switch cause {
        case .status(429), .status(503), .transport(.timeout): effects = .overloaded
        default: break
        }
        switch failureClass(of: cause) {
        case .retryable: return (.retryable(reason: cause.reason), effects)
        case .nonRetryable: return (.permanent(reason: cause.reason), cause == .status(410) ? .gone : effects)
        case .unknown: return (.unknown(reason: cause.reason), cause == .status(410) ? .gone : effects)
        }
    }
}
