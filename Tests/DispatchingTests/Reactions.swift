import Glibc
import Records
import TestSupport

/// How an endpoint reacts to its first request, and what has to come of the delivery. Delays are the system's 10 s, at most 1 min,
/// with a jitter of a fifth, unless the row says otherwise.
struct Reaction: Sendable {
    typealias Serve = @Sendable (RawConnection) -> Void

    var name: String
    /// nil: nobody listens.
    var serve: Serve?
    var kind = Outcome.Kind.failed
    var reason: String
    var status: UInt32 = 0
    /// From the decision to the due time.
    var delayMs: ClosedRange<Int64>
    /// What is kept of the answer.
    var response = ""
    var retry: WebhookRetry?

    private static let own: ClosedRange<Int64> = 8_000...12_000

    private init(
        _ name: String, _ serve: Serve?, _ reason: String, _ kind: Outcome.Kind = .failed, status: UInt32 = 0,
        delayMs: ClosedRange<Int64> = own, response: String = ""
    ) {
        (self.name, self.serve, self.kind, self.reason, self.status) = (name, serve, kind, reason, status)
        (self.delayMs, self.response) = (delayMs, response)
    }

    static let all = statuses + wishes + ofWebhooks + broken + oversized

    // MARK: Answers

    private static func answers(_ status: Int, _ headers: String = "", body: String = "") -> Serve {
        { connection in
            while connection.request() != nil { connection.answer("\(status) Said", headers: headers, body: body) }
        }
    }

    private static let page = String(repeating: "no ", count: 1_000)
    private static let pageStart = String(page.prefix(1_024))

    private static let statuses =
        [302, 400, 401, 404, 408, 429, 503].map { status in
            Reaction("\(status)", answers(status), "status_\(status)", status: UInt32(status))
        } + [
            Reaction("500", answers(500, body: page), "status_500", status: 500, response: pageStart),
            Reaction("410", answers(410, body: page), "status_410", .dead, status: 410, response: pageStart),
            Reaction("413", answers(413), "status_413", .dead, status: 413),
        ]

    /// `Retry-After`: never before the policy's own delay, never beyond the longest.
    private static let wishes: [Reaction] = [
        wish("second", 503, "1", own), wish("half-minute", 503, "30", 30_000...30_000),
        wish("day", 429, "86400", 60_000...60_000), wish("nonsense", 503, "soon", own),
        wish("past", 503, "Sun, 06 Nov 1994 08:49:37 GMT", own),
        wish("far", 503, "Tue, 01 Jan 2999 00:00:00 GMT", 60_000...60_000),
        wish("perhaps-final", 404, "30", 30_000...30_000),
        // A date has no fraction of a second.
        Reaction("date", answersWithDate, "status_503", status: 503, delayMs: 29_000...30_000),
    ]

    private static func wish(_ name: String, _ status: Int, _ field: String, _ delayMs: ClosedRange<Int64>) -> Reaction
    {
        Reaction(
            "wish-" + name, answers(status, "Retry-After: \(field)\r\n"), "status_\(status)", status: UInt32(status),
            delayMs: delayMs)
    }

    private static let answersWithDate: Serve = { connection in
        guard connection.request() != nil else { return }
        var (at, parts) = (time(nil) + 30, tm())
        var text = [CChar](repeating: 0, count: 64)
        gmtime_r(&at, &parts)
        let count = strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
        let date = String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        connection.answer("503 Said", headers: "Retry-After: \(date)\r\n", body: "")
    }

    /// What a webhook has of its own goes before the system's.
    private static let ofWebhooks: [Reaction] = [
        own("schedule", "status_500", delayMs: 2_400...3_600) { $0.scheduleMs = [3_000, 600_000] },
        own("delay", "status_500", delayMs: 80_000...120_000) { $0.initialDelayMs = 100_000 },
        own("no-retries", "attempts_exhausted", .dead) { $0.maxRetries = 0 },
    ]

    private static func own(
        _ name: String, _ reason: String, _ kind: Outcome.Kind = .failed, delayMs: ClosedRange<Int64> = own,
        _ change: (inout WebhookRetry) -> Void
    ) -> Reaction {
        var reaction = Reaction("own-" + name, answers(500), reason, kind, status: 500, delayMs: delayMs)
        var retry = WebhookRetry()
        change(&retry)
        reaction.retry = retry
        return reaction
    }

    // MARK: Connections

    private static let broken: [Reaction] = [
        Reaction("refuses", nil, "connect"),
        Reaction("hangs-up", { _ in }, "connection_reset"),
        Reaction("hangs-up-in-request", { _ = $0.read() }, "connection_reset"),
        Reaction(
            "resets-in-request",
            { connection in
                _ = connection.read()
                connection.resetOnClose()
            }, "connection_reset"),
        Reaction("hangs-up-after-request", { _ = $0.request() }, "connection_reset"),
        Reaction("hangs-up-in-head", says("HTTP/1.1 200 OK\r\nContent-Le"), "connection_reset", status: 200),
        Reaction(
            "hangs-up-in-body", says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), "connection_reset",
            status: 200, response: "half"),
        Reaction(
            "resets-in-body",
            { connection in
                says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")(connection)
                connection.resetOnClose()
            }, "connection_reset", status: 200),
        Reaction("talks-nonsense", says("SSH-2.0-OpenSSH_9.2\r\n"), "protocol_violation"),
        Reaction("says-nothing", { $0.awaitClose() }, "timeout"),
    ]

    private static func says(_ text: String) -> Serve {
        { connection in
            if connection.request() != nil { connection.write(text) }
        }
    }

    /// Nobody reads on for ever; what the status said counts.
    private static let oversized: [Reaction] = [
        Reaction("endless-200", saysOn("200 Said"), "", .delivered, status: 200),
        Reaction("endless-500", saysOn("500 Said"), "status_500", status: 500, response: pageStart),
        Reaction("endless-410", saysOn("410 Said"), "status_410", .dead, status: 410, response: pageStart),
        Reaction(
            "huge-503", answers(503, "Retry-After: 30\r\n", body: String(repeating: page, count: 100)), "status_503",
            status: 503, delayMs: 30_000...30_000),
        Reaction("endless-head", saysOn("503 Said", "X-Filler: \(page)\r\n"), "status_503", status: 503),
        Reaction("endless-prelude", saysOn("100 Continue", "X-Filler: \(page)\r\n"), "answer_too_large"),
    ]

    private static let chunk = "\(String(page.utf8.count, radix: 16))\r\n\(page)\r\n"

    /// Begins an answer and never ends it.
    private static func saysOn(_ status: String, _ more: String? = nil) -> Serve {
        { connection in
            guard connection.request() != nil else { return }
            connection.write("HTTP/1.1 \(status)\r\n" + (more ?? "Transfer-Encoding: chunked\r\n\r\n"))
            while connection.write(more ?? chunk) {}
        }
    }
}
