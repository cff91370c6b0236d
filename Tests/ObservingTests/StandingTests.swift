import Testing

@testable import Observing

/// Every state and reason in words.
@Suite struct StandingTests {
    private static let due = "1970-01-01T00:00:20.000Z"

    private func told(_ standing: Standing) -> String { standing.explanation(now: 10_000) }

    private func retrying(_ reason: String, _ status: Int64? = nil) -> Standing {
        Standing(state: .retrying, attempts: 3, reason: reason, failure: reason, status: status, dueAt: 20_000)
    }

    @Test func pendingOnes() {
        var standing = Standing(state: .pending)
        #expect(
            told(standing)
                == "No request has been made yet; the first one follows as soon as the dispatcher gets to it.")
        #expect(standing.next == Standing.Next(at: nil, what: "attempt"))
        standing.requested = Standing.Request(what: .cancel, at: 5_000)
        #expect(
            told(standing)
                == "No request has been made yet; a user asked at 1970-01-01T00:00:05.000Z to cancel it, so should the "
                + "first one fail, it is closed.")
    }

    @Test(
        arguments: [
            ("resolve", nil, "failed: the endpoint's name could not be resolved"),
            ("connect", nil, "failed: no connection to the endpoint could be made"),
            ("tls", nil, "failed: no TLS connection to the endpoint could be made"),
            ("timeout", nil, "failed: the endpoint did not answer in time"),
            ("connection_reset", nil, "failed: the connection ended before the answer was complete"),
            ("protocol_violation", nil, "failed: the answer was not valid HTTP"),
            ("answer_too_large", nil, "failed: the answer was too large"),
            ("denied_address", nil, "failed: the endpoint's address may not be sent to"),
            ("transport", nil, "failed on its way"), ("status_503", 503, "was answered with status 503"),
            ("of_tomorrow", nil, "failed (of_tomorrow)"),
        ] as [(String, Int64?, String)])
    func retryingOnes(reason: String, status: Int64?, words: String) {
        let standing = retrying(reason, status)
        #expect(told(standing) == "Request 3 \(words); request 4 is due at \(Self.due).")
        #expect(standing.next == Standing.Next(at: 20_000, what: "retry"))
    }

    @Test func whatIsDueAndWhatUsersWant() {
        var standing = retrying("status_500", 500)
        #expect(
            standing.explanation(now: 20_000)
                == "Request 3 was answered with status 500; request 4 has been due since \(Self.due) and follows as soon "
                + "as its turn comes.")
        standing.requested = Standing.Request(what: .retry, at: 5_000)
        #expect(
            told(standing)
                == "Request 3 was answered with status 500; a user asked at 1970-01-01T00:00:05.000Z to retry it, so "
                + "request 4 follows at once.")
        #expect(standing.next == Standing.Next(at: 5_000, what: "retry"))
        standing.requested = Standing.Request(what: .cancel, at: 5_000)
        #expect(told(standing).hasSuffix("to cancel it, so it is closed without another request."))
        #expect(standing.next == Standing.Next(at: 5_000, what: "cancel"))
        standing.requested = nil
        standing.dueAt = nil
        #expect(told(standing).hasSuffix("; request 4 follows as soon as its turn comes."))
    }

    @Test(arguments: [
        ("webhook_busy", "because its webhook has as many requests under way as it may"),
        ("rate_limited", "because its webhook gets as many requests a second as it may"),
        ("breaker_open", "because most requests to its webhook failed lately, so that none is made for a while"),
        ("webhook_paused", "because its webhook is paused"),
        ("webhook_disabled", "because its webhook is disabled"),
        ("webhook_unknown", "because the dispatcher does not know its webhook yet"),
        ("not_signed", "because its request could not be signed"),
        ("resolver_down", "because most names cannot be resolved at the moment"),
        ("no_descriptors", "because the dispatcher has no file descriptors or memory left"),
        ("interrupted", "because the dispatcher stopped during its request"), ("of_tomorrow", "because of of_tomorrow"),
    ]) func parkedOnes(reason: String, words: String) {
        var standing = Standing(state: .parked, reason: reason, dueAt: 20_000)
        #expect(told(standing) == "It waits \(words); request 1 is due at \(Self.due).")
        standing.attempts = 2
        #expect(told(standing) == "After 2 requests it waits \(words); request 3 is due at \(Self.due).")
    }

    @Test(arguments: [
        (
            "attempts_exhausted",
            "after 3 requests, as many as there may be, the last of which was answered with status 500"
        ),
        (
            "expired",
            "because it was not delivered within the time that it had, in 3 requests, the last of which was answered with "
                + "status 500"
        ), ("status_410", "because the endpoint answered with status 410, which says that it is gone for good"),
        ("status_413", "because the endpoint answered with status 413, which another request would not change"),
        ("payload_lost", "because its payload was no longer in Kafka"),
        ("payload_too_large", "because its payload is too large to be kept for another request"),
        ("of_tomorrow", "because of of_tomorrow"),
    ]) func deadOnes(reason: String, words: String) {
        var standing = Standing(state: .dead, attempts: 3, reason: reason, failure: "status_500", status: 500)
        standing.letter = .open
        #expect(told(standing) == "Given up \(words); requeue it to deliver it again.")
        #expect(standing.next == nil)
    }

    @Test(arguments: [
        ("webhook_deleted", "its webhook was deleted"), ("ce_id_missing", "its event has no ce_id"),
        ("ce_type_missing", "its event has no ce_type"), ("ce_source_missing", "its event has no ce_source"),
        ("delivery_id_invalid", "its record names no delivery"),
    ]) func hopelessOnes(reason: String, words: String) {
        let standing = Standing(state: .dead, reason: reason, letter: .open)
        #expect(told(standing) == "Given up because \(words); requeuing would not help, so discard it.")
    }

    @Test func deadLettersFates() {
        var standing = Standing(state: .dead, attempts: 1, reason: "attempts_exhausted")
        #expect(told(standing) == "Given up after 1 request, as many as there may be; nothing follows.")
        standing.failure = "timeout"
        standing.letter = .requeuing
        #expect(told(standing).hasSuffix("the endpoint did not answer in time; it is being requeued."))
        standing.letter = .requeued("dlv_1")
        #expect(told(standing).hasSuffix("; it was requeued as dlv_1."))
        standing.letter = .discarded
        #expect(told(standing).hasSuffix("; its dead letter was discarded."))
    }

    @Test func endedOnes() {
        let delivered = Standing(state: .delivered, attempts: 2, status: 204)
        #expect(told(delivered) == "Delivered: request 2 was answered with status 204; nothing follows.")
        let cancelled = Standing(state: .cancelled, attempts: 1, reason: "cancelled")
        #expect(told(cancelled) == "Cancelled at a user's wish after 1 request; nothing follows unless it is resent.")
        #expect(delivered.next == nil && cancelled.next == nil)
    }

    /// One sentence, whatever is known.
    @Test func everyStateHasOneSentence() {
        for state in Standing.State.allCases {
            for reason in [nil, "odd"] {
                let text = told(Standing(state: state, reason: reason))
                #expect(text.hasSuffix(".") && !text.contains("  ") && !text.dropLast().contains(". "), "\(text)")
            }
        }
    }
}
