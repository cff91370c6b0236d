internal import JSONScanning

/// How a delivery stands, as far as a person needs to know it to be told. Pure: the one place where that is put into words.
struct Standing: Equatable, Sendable {
    enum State: String, Sendable, CaseIterable {
        /// A user asked for it; it has no outcome yet.
        case pending
        case retrying, parked, delivered, dead, cancelled
    }

    enum Wish: String, Sendable, CaseIterable { case retry, cancel }

    struct Request: Equatable, Sendable {
        var what: Wish
        /// Milliseconds since 1970.
        var at: Int64
    }

    /// What became of its dead letter.
    enum Letter: Equatable, Sendable {
        case open, requeuing, discarded
        case requeued(String)
    }

    /// What happens next.
    struct Next: Equatable, Sendable {
        /// Milliseconds since 1970; nil: as soon as its turn comes.
        var at: Int64?
        /// `attempt` (the first one), `retry` or `cancel`.
        var what: String
    }

    var state: State
    /// Requests made.
    var attempts: Int64 = 0
    /// The last outcome's.
    var reason: String?
    /// Why the last request failed, and its status.
    var failure: String?
    var status: Int64?
    var dueAt: Int64?
    /// What a user wants of it, as long as that has not come about.
    var requested: Request?
    /// nil: there is none (any more).
    var letter: Letter?

    var next: Next? {
        switch state {
        case .pending: Next(at: nil, what: "attempt")
        case .retrying, .parked:
            requested.map { Next(at: $0.at, what: $0.what.rawValue) } ?? Next(at: dueAt, what: "retry")
        case .delivered, .dead, .cancelled: nil
        }
    }

    /// How it stands, why, and what happens next and when, in one sentence.
    /// - Parameter now: Milliseconds since 1970.
    func explanation(now: Int64) -> String {
        switch state {
        case .pending: "No request has been made yet; \(first)."
        case .retrying: "Request \(attempts) \(Self.failed(failure ?? reason, status)); \(following(now))."
        case .parked: "\(waiting) because \(Self.parked(reason)); \(following(now))."
        case .delivered: "Delivered: request \(attempts)\(answered); nothing follows."
        case .dead: "Given up \(givenUp); \(afterwards)."
        case .cancelled: "Cancelled at a user's wish after \(requests); nothing follows unless it is resent."
        }
    }

    // MARK: Parts

    private var first: String {
        guard let requested, requested.what == .cancel else {
            return "the first one follows as soon as the dispatcher gets to it"
        }
        return "a user asked at \(rfc3339(requested.at)) to cancel it, so should the first one fail, it is closed"
    }

    private var requests: String { attempts == 1 ? "1 request" : "\(attempts) requests" }
    private var answered: String { status.map { " was answered with status \($0)" } ?? " was taken" }

    private var waiting: String { attempts == 0 ? "It waits" : "After \(requests) it waits" }

    private func following(_ now: Int64) -> String {
        let request = "request \(attempts + 1)"
        if let requested {
            let asked = "a user asked at \(rfc3339(requested.at)) to \(requested.what) it, so "
            return asked
                + (requested.what == .cancel ? "it is closed without another request" : "\(request) follows at once")
        }
        guard let dueAt else { return "\(request) follows as soon as its turn comes" }
        return dueAt > now
            ? "\(request) is due at \(rfc3339(dueAt))"
            : "\(request) has been due since \(rfc3339(dueAt)) and follows as soon as its turn comes"
    }

    static func failed(_ reason: String?, _ status: Int64?) -> String {
        if let status { return "was answered with status \(status)" }
        return switch reason {
        case "resolve": "failed: the endpoint's name could not be resolved"
        case "connect": "failed: no connection to the endpoint could be made"
        case "tls": "failed: no TLS connection to the endpoint could be made"
        case "timeout": "failed: the endpoint did not answer in time"
        case "connection_reset": "failed: the connection ended before the answer was complete"
        case "protocol_violation": "failed: the answer was not valid HTTP"
        case "answer_too_large": "failed: the answer was too large"
        case "denied_address": "failed: the endpoint's address may not be sent to"
        case "transport": "failed on its way"
        case let reason?: "failed (\(reason))"
        case nil: "failed"
        }
    }

    static func parked(_ reason: String?) -> String {
        switch reason {
        case "webhook_busy": "its webhook has as many requests under way as it may"
        case "rate_limited": "its webhook gets as many requests a second as it may"
        case "breaker_open": "most requests to its webhook failed lately, so that none is made for a while"
        case "webhook_paused": "its webhook is paused"
        case "webhook_disabled": "its webhook is disabled"
        case "webhook_unknown": "the dispatcher does not know its webhook yet"
        case "not_signed": "its request could not be signed"
        case "resolver_down": "most names cannot be resolved at the moment"
        case "no_descriptors": "the dispatcher has no file descriptors or memory left"
        case "interrupted": "the dispatcher stopped during its request"
        case let reason?: "of \(reason)"
        case nil: "it cannot be sent at the moment"
        }
    }

    private var givenUp: String {
        let last = failure.map { ", the last of which \(Self.failed($0, status))" } ?? ""
        return switch reason {
        case "attempts_exhausted": "after \(requests), as many as there may be\(last)"
        case "expired": "because it was not delivered within the time that it had, in \(requests)\(last)"
        case "status_410": "because the endpoint answered with status 410, which says that it is gone for good"
        case "webhook_deleted": "because its webhook was deleted"
        case "payload_lost": "because its payload was no longer in Kafka"
        case "payload_too_large": "because its payload is too large to be kept for another request"
        case "ce_id_missing": "because its event has no ce_id"
        case "ce_type_missing": "because its event has no ce_type"
        case "ce_source_missing": "because its event has no ce_source"
        case "delivery_id_invalid": "because its record names no delivery"
        case let reason? where reason.hasPrefix("status_"):
            "because the endpoint answered with status \(reason.dropFirst(7)), which another request would not change"
        case let reason?: "because of \(reason)"
        case nil: "after \(requests)"
        }
    }

    /// What no requeuing mends.
    private var isHopeless: Bool {
        ["webhook_deleted", "ce_id_missing", "ce_type_missing", "ce_source_missing", "delivery_id_invalid"]
            .contains(reason)
    }

    private var afterwards: String {
        switch letter {
        case .open: isHopeless ? "requeuing would not help, so discard it" : "requeue it to deliver it again"
        case .requeuing: "it is being requeued"
        case .requeued(let child): "it was requeued as \(child)"
        case .discarded: "its dead letter was discarded"
        case nil: "nothing follows"
        }
    }
}
