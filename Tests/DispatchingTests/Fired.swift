import Records

/// A delivery that comes back from `retries`, and what has to become of it. Whatever a row does not say is as with one whose first
/// request was answered with 502 a second ago. The system's delays are 1 s, 2 s, 4 s, … for 6 retries, without jitter.
struct Fired: Sendable {
    var name: String
    var webhook: String
    var attempt: UInt32 = 1
    var generation: UInt32 = 1
    var ageMs: Int64 = 1_000
    /// Whether the record says itself when the delivery began; else its origin's time tells.
    var saysSince = true
    var payload: [UInt8]? = [UInt8]("{}".utf8)
    var isCancelled = false
    var parent: DeliveryID?

    /// What the endpoint answers; nil: no request may be made.
    var answer: Int?
    var kind: Outcome.Kind
    var reason: String
    /// Until it is due again.
    var delayMs: Int64?

    private init(
        _ name: String, to webhook: String, answer: Int? = nil, _ kind: Outcome.Kind, _ reason: String = "",
        delayMs: Int64? = nil, _ change: (inout Fired) -> Void = { _ in }
    ) {
        (self.name, self.webhook, self.answer, self.kind, self.reason) = (name, webhook, answer, kind, reason)
        self.delayMs = delayMs
        change(&self)
    }

    static let all = tried + waiting + ended

    private static let hour: Int64 = 3_600_000
    private static let exhausted = "attempts_exhausted"

    /// An attempt counts requests, whatever the generation.
    private static let tried = [
        Fired("delivered", to: "ok", answer: 204, .delivered) { ($0.attempt, $0.generation) = (5, 9) },
        Fired("delivered, empty", to: "ok", answer: 204, .delivered) { $0.payload = [] },
        Fired("fresh, of a user", to: "failing", answer: 500, .failed, "status_500", delayMs: 1_000) {
            ($0.attempt, $0.generation, $0.parent) = (0, 0, DeliveryID(random: 3, 4))
        },
        Fired("again", to: "failing", answer: 500, .failed, "status_500", delayMs: 2_000),
        Fired("the last but one", to: "failing", answer: 500, .failed, "status_500", delayMs: 32_000) {
            ($0.attempt, $0.generation) = (5, 5)
        },
        Fired("the last", to: "failing", answer: 500, .dead, exhausted) {
            ($0.attempt, $0.generation, $0.parent) = (6, 6, DeliveryID(random: 3, 4))
        },
        Fired("often parked", to: "failing", answer: 500, .failed, "status_500", delayMs: 2_000) {
            $0.generation = 70
        },
        Fired("perhaps final, the last but one", to: "missing", answer: 404, .failed, "status_404", delayMs: 8_000) {
            ($0.attempt, $0.generation) = (3, 3)
        },
        Fired("perhaps final, the last", to: "missing", answer: 404, .dead, exhausted) {
            ($0.attempt, $0.generation) = (4, 4)
        },
        Fired("gone", to: "gone", answer: 410, .dead, "status_410"),
        Fired("of the webhook's schedule", to: "scheduled", answer: 500, .failed, "status_500", delayMs: 7_000),
        Fired("the last of the webhook's schedule", to: "scheduled", answer: 500, .dead, exhausted) {
            ($0.attempt, $0.generation) = (2, 2)
        },
        Fired("nearly too old", to: "ok", answer: 204, .delivered) { $0.ageMs = hour - 300_000 },
        // Whoever may write to the topic must not be able to end the process.
        Fired("beyond all numbers", to: "failing", answer: 500, .dead, exhausted) {
            ($0.attempt, $0.generation) = (.max, .max)
        },
    ]

    private static let waiting = [
        Fired("disabled", to: "disabled", .parked, "webhook_disabled", delayMs: 60_000),
        Fired("disabled, after its last retry", to: "disabled", .parked, "webhook_disabled", delayMs: 60_000) {
            ($0.attempt, $0.generation) = (6, 50)
        },
        Fired("disabled, beyond all numbers", to: "disabled", .parked, "webhook_disabled", delayMs: 60_000) {
            $0.generation = .max
        },
        Fired("perhaps not there yet", to: "deleted", .parked, "webhook_unknown", delayMs: 1_000),
        Fired("perhaps not there yet, parked before", to: "never", .parked, "webhook_unknown", delayMs: 2_000) {
            $0.attempt = 0
        },
    ]

    private static let ended = [
        Fired("deleted", to: "deleted", .dead, "webhook_deleted") { $0.generation = 2 },
        Fired("too old", to: "ok", .dead, "expired") { $0.ageMs = hour + 1_000 },
        Fired("too old by its origin", to: "ok", .dead, "expired") { ($0.ageMs, $0.saysSince) = (hour + 1_000, false) },
        Fired("too old for a disabled webhook", to: "disabled", .dead, "expired") { $0.ageMs = hour + 1_000 },
        Fired("without payload", to: "ok", .dead, "payload_lost") { $0.payload = nil },
        Fired("cancelled", to: "ok", .cancelled, "cancelled") { $0.isCancelled = true },
        Fired("cancelled while disabled", to: "disabled", .cancelled, "cancelled") { $0.isCancelled = true },
        Fired("cancelled too late", to: "deleted", .cancelled, "cancelled") {
            ($0.isCancelled, $0.payload, $0.ageMs, $0.generation) = (true, nil, hour + 1_000, 9)
        },
    ]

    // MARK: As records

    func id(_ number: Int) -> DeliveryID { DeliveryID(random: 0xf13d, UInt64(number)) }

    /// What a retry-manager writes into `deliveries`, but for the event's headers.
    func headers(_ number: Int, now: Int64) -> [String: String] {
        var headers = [
            "martlet-delivery": "\(id(number))", "martlet-webhook": "wh_" + webhook, "martlet-attempt": "\(attempt)",
            "martlet-generation": "\(generation)", "martlet-origin-topic": "elsewhere", "martlet-origin-partition": "9",
            "martlet-origin-offset": "7", "martlet-origin-timestamp": "\(now - ageMs)", "martlet-reason": "status_502",
        ]
        if saysSince {
            headers["martlet-since"] = "\(now - ageMs)"
            headers["martlet-origin-timestamp"] = "1000"
        }
        if attempt > 0 { (headers["martlet-failure"], headers["martlet-status"]) = ("status_502", "502") }
        if isCancelled { headers["martlet-command"] = "cancel" }
        if let parent { headers["martlet-parent"] = "\(parent)" }
        return headers
    }

    var attemptAfter: UInt32 { answer == nil || attempt == .max ? attempt : attempt + 1 }

    var generationAfter: UInt32 {
        (kind == .failed || kind == .parked) && generation < .max ? generation + 1 : generation
    }
}
