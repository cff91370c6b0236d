import Testing

@testable import Delivering

@Suite struct FailureRuleTests {
    @Test(arguments: [
        ("429", FailureRule.statuses(429...429)), ("500-599", .statuses(500...599)), ("100-199", .statuses(100...199)),
        ("timeout", .transport(.timeout)), ("connection_reset", .transport(.reset)), ("transport", .transport(.other)),
    ])
    func areReadAndWritten(text: String, rule: FailureRule) {
        #expect(FailureRule(text) == rule && rule.text == text)
    }

    @Test(arguments: [
        "", "-", "42", "4290", "200", "204-204", "199-200", "299-300", "100-599", "503-500", "500-", "-500",
        "500-503-504",
        "+50", "5xx", "timeouts", "Timeout", "reset", "interrupted", "no_descriptors",
    ])
    func othersAreNone(text: String) { #expect(FailureRule(text) == nil) }

    @Test func whatIsInBothListsIsNotRetried() {
        let rules = ClassificationRules(
            retryable: [.statuses(400...499), .statuses(410...410), .transport(.deniedAddress)],
            nonRetryable: [.statuses(404...404), .transport(.tls)])
        let expected: [(FailureCause, FailureClass)] = [
            (.status(400), .retryable), (.status(404), .nonRetryable), (.status(500), .unknown),
            (.transport(.tls), .nonRetryable), (.transport(.deniedAddress), .retryable),
            (.transport(.timeout), .unknown),
        ]
        for (cause, failureClass) in expected { #expect(rules.failureClass(of: cause) == failureClass, "\(cause)") }
        // 410 says that the endpoint is gone, unless the operator knows better.
        #expect(rules.classify(.answered(status: 410, retryAfter: nil)).effects == [])
        let none = ClassificationRules(retryable: [], nonRetryable: [])
        #expect(none.classify(.answered(status: 410, retryAfter: nil)) == (.unknown(reason: "status_410"), .gone))
        #expect(none.classify(.failed(.timeout)) == (.unknown(reason: "timeout"), .overloaded))
        #expect(none.classify(.failed(.interrupted)) == (.parked(reason: "interrupted"), []))
        #expect(none.classify(.answered(status: 204, retryAfter: nil)) == (.delivered, []))
    }

    @Test func causesAreReadFromOutcomes() {
        #expect(FailureCause(reason: "status_500", status: 500) == .status(500))
        #expect(FailureCause(reason: "attempts_exhausted", status: 500) == .status(500))
        // The status came, and then the connection broke off.
        #expect(FailureCause(reason: "connection_reset", status: 200) == .transport(.reset))
        #expect(FailureCause(reason: "timeout", status: nil) == .transport(.timeout))
        #expect(FailureCause(reason: "attempts_exhausted", status: nil) == nil)
        #expect(FailureCause(reason: "interrupted", status: nil) == nil)
        #expect(FailureCause(reason: "", status: 204) == nil)
    }
}

@Suite struct FailureExplanationTests {
    private static let causes =
        (Array(100...199) + Array(300...999)).map { FailureCause.status($0) }
        + TransportFailure.allCases.filter { !$0.isOurs }.map { FailureCause.transport($0) }

    @Test(arguments: [
        (FailureCause.status(429), FailureType.rateLimit), (.status(500), .serverError), (.status(503), .serverError),
        (.status(504), .serverError), (.status(401), .authError), (.status(403), .authError),
        (.status(400), .clientError), (.status(404), .clientError), (.status(410), .clientError),
        (.status(413), .clientError), (.status(302), .clientError), (.status(408), .timeoutError),
        (.transport(.timeout), .timeoutError), (.transport(.resolve), .dnsError), (.transport(.tls), .tlsError),
        (.transport(.connect), .networkError), (.transport(.reset), .networkError), (.status(100), .unknownError),
        (.status(999), .unknownError), (.transport(.other), .unknownError),
    ])
    func causesHaveTheirType(cause: FailureCause, type: FailureType) {
        #expect(FailureExplanation(cause).type == type)
    }

    @Test func everyFailureIsExplainedInOneSentenceWithAFix() {
        var types: Set<FailureType> = []
        for cause in Self.causes {
            let words = FailureExplanation(cause)
            types.insert(words.type)
            for sentence in [words.explanation, words.suggestedFix] {
                #expect(sentence.hasSuffix(".") && sentence.count { $0 == "." } == 1, "\(cause): \(sentence)")
                #expect(sentence.first?.isUppercase == true && sentence.count < 120, "\(cause): \(sentence)")
            }
            if case .status(let status) = cause { #expect(words.explanation.contains("\(status)")) }
        }
        #expect(types == Set(FailureType.allCases))
    }
}
