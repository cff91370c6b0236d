internal import Accounting
internal import JSONScanning
internal import Records

/// Something that was accepted and that nothing in Kafka accounts for.
struct AuditFinding: Sendable, Equatable {
    enum Reason: String, Sendable, CaseIterable {
        case noOutcome = "no_outcome"
        case partOfFanOut = "part_of_fan_out"
        case lostToRetention = "lost_to_retention"
        case notInRetries = "not_in_retries"
        case retriesTrimmed = "retries_trimmed"
        case noDeadLetter = "dead_letter_missing"

        /// For a person.
        var text: String {
            switch self {
            case .noOutcome: "taken by the dispatcher, which committed past it, and there is no outcome"
            case .partOfFanOut: "not every webhook that it was routed to has an outcome"
            case .lostToRetention: "Kafka's retention took it before the dispatcher had"
            case .notInRetries: "put off, and neither in retries nor on its way to the endpoint"
            case .retriesTrimmed: "put off, and the log of retries begins above its record"
            case .noDeadLetter: "given up, and not in dead-letters"
            }
        }
    }

    var reason: Reason
    /// Where the record, or the last outcome, lies.
    var topic: String
    var partition: Int32
    var first: Int64
    var last: Int64
    var delivery: DeliveryID?
    var webhook: String?
    var event: String?
    var eventType: String?
    var tenant: String?
    /// How many of how many webhooks have an outcome.
    var settled: (count: Int, fanOut: UInt32)?

    init(_ reason: Reason, _ topic: String, _ partition: Int32, _ span: Records.Outcome.Span) {
        self.reason = reason
        self.topic = topic
        self.partition = partition
        first = span.first
        last = span.last
    }

    /// The same for the same thing at each look.
    var key: String { delivery.map(\.description) ?? "\(topic)-\(partition) \(first)" }

    /// How many records it stands for.
    var count: Int { Int(last - first) + 1 }

    static func == (a: AuditFinding, b: AuditFinding) -> Bool { a.reason == b.reason && a.key == b.key }

    var text: String {
        let place = first == last ? "at \(first)" : "from \(first) to \(last)"
        return columns([
            delivery?.description, webhook, event.map { "event \($0)" }, eventType, "\(topic)-\(partition) \(place)",
            settled.map { "\($0.count) of \($0.fanOut) webhooks" }, reason.text,
        ])
    }

    func write(to writer: inout JSONWriter) {
        writer.member("reason", reason.rawValue)
        writer.member("explanation", reason.text)
        writer.member("delivery_id", optional: delivery?.description)
        writer.member("webhook_id", optional: webhook)
        writer.member("event_id", optional: event)
        writer.member("event_type", optional: eventType)
        writer.member("tenant", optional: tenant)
        writer.member("settled", optional: settled?.count)
        writer.member("fan_out", optional: settled?.fanOut)
        writer.member("topic", topic)
        writer.member("partition", partition)
        writer.member("first_offset", first)
        writer.member("last_offset", last)
    }
}

extension PartitionAudit.Repeated {
    private var why: String {
        switch cause {
        case .sameOutcome: "the outcome was appended twice"
        case .sameRecord: "the record was taken twice: who took it again did not know of the first outcome"
        case .firedAgain: "the retry-manager had fired it before, and did not know of that"
        }
    }

    private var at: String { "\(outcome.sourceTopic)-\(outcome.sourcePartition) at \(outcome.sourceOffset)" }

    var text: String {
        columns([
            outcome.delivery?.description, outcome.webhookID, "event \(outcome.eventID)", outcome.eventType, at,
            cause == .firedAgain ? "before at \(firstSourceOffset)" : nil, why,
        ])
    }

    func write(to writer: inout JSONWriter) {
        writer.member("reason", cause.rawValue)
        writer.member("explanation", why)
        writer.member("delivery_id", optional: outcome.delivery?.description)
        writer.member("webhook_id", outcome.webhookID)
        writer.member("event_id", outcome.eventID)
        writer.member("event_type", outcome.eventType)
        writer.member("tenant", outcome.tenant)
        writer.member("generation", outcome.generationBefore)
        writer.key("at")
        Supervising.write(
            place: outcome.sourceTopic, outcome.sourcePartition, outcome.sourceOffset, to: &writer)
        writer.member("first_offset", firstSourceOffset)
    }
}

/// What an audit found, of one partition number or of all.
struct AuditReport: Sendable {
    enum Verdict: Int32, Sendable {
        case balanced = 0
        case unbalanced = 1
        case cannotTell = 2
    }

    /// Of one source topic, in offsets.
    struct Source: Sendable, Equatable {
        /// Below the commit, and not accounted for by being older than what is judged.
        var judged = 0
        /// Too old to be judged: their outcomes are gone, or nobody asked.
        var notJudged = 0
        /// At or above the commit: on their way.
        var notSettled = 0
    }

    var sources: [String: Source] = [:]
    var counts = PartitionAudit.Counts()
    /// Deliveries that wait in `retries`, and those that have been fired from there.
    var waiting = 0
    var fired = 0
    var unaccounted: [AuditFinding] = []
    var repeated: [PartitionAudit.Repeated] = []
    /// Why something could not be judged.
    var doubts: [String] = []
    /// What is worth knowing and changes no verdict.
    var notes: [String] = []

    var unaccountedCount: Int { unaccounted.reduce(0) { $0 + $1.count } }

    var verdict: Verdict { !unaccounted.isEmpty ? .unbalanced : doubts.isEmpty ? .balanced : .cannotTell }

    mutating func add(_ other: AuditReport) {
        for (topic, source) in other.sources {
            sources[topic, default: Source()].judged += source.judged
            sources[topic, default: Source()].notJudged += source.notJudged
            sources[topic, default: Source()].notSettled += source.notSettled
        }
        counts.add(other.counts)
        waiting += other.waiting
        fired += other.fired
        unaccounted += other.unaccounted
        repeated += other.repeated
        doubts += other.doubts
        notes += other.notes
    }

    // MARK: Telling

    var lines: [String] {
        var lines = sources.sorted { $0.key < $1.key }.map { topic, source in
            "\(topic): \(source.judged) offsets judged, \(source.notSettled) not settled yet"
                + (source.notJudged > 0 ? ", \(source.notJudged) too old to be judged" : "")
        }
        lines.append(
            "deliveries: \(counts.delivered) delivered, \(counts.dead) dead, \(counts.cancelled) cancelled, "
                + "\(waiting) waiting, \(fired) fired and not settled yet")
        lines.append("outcomes: \(counts.outcomes), of which \(counts.failed) failed and \(counts.parked) parked")
        lines += notes
        lines += doubts.map { "cannot tell: \($0)" }
        lines.append("repeated: \(counts.repeatedRequests)")
        lines += repeated.map { "  " + $0.text }
        lines.append("unaccounted: \(unaccountedCount)")
        lines += unaccounted.map { "  " + $0.text }
        switch verdict {
        case .balanced: lines.append("Balanced.")
        case .unbalanced: lines.append("Unbalanced: something that was accepted is nowhere any more.")
        case .cannotTell: lines.append("Nothing is missing in what could be judged, which is not all.")
        }
        return lines
    }

    func write(to writer: inout JSONWriter) {
        writer.member("verdict", "\(verdict)".snakeCased)
        writer.key("sources")
        writer.object { writer in
            for (topic, source) in sources.sorted(by: { $0.key < $1.key }) {
                writer.key(topic)
                writer.object { writer in
                    writer.member("judged", source.judged)
                    writer.member("not_judged", source.notJudged)
                    writer.member("not_settled", source.notSettled)
                }
            }
        }
        writer.key("deliveries")
        writer.object { writer in
            writer.member("delivered", counts.delivered)
            writer.member("dead", counts.dead)
            writer.member("cancelled", counts.cancelled)
            writer.member("waiting", waiting)
            writer.member("fired", fired)
        }
        writer.member("outcomes", counts.outcomes)
        writer.member("failed", counts.failed)
        writer.member("parked", counts.parked)
        writer.member("appended_twice", counts.appendedTwice)
        writer.member("repeated_without_request", counts.repeatedWithoutRequest)
        writer.member("repeated_count", counts.repeatedRequests)
        writer.member("unaccounted_count", unaccountedCount)
        writer.key("unaccounted")
        writer.array { writer in for finding in unaccounted { writer.object { finding.write(to: &$0) } } }
        writer.key("repeated")
        writer.array { writer in for one in repeated { writer.object { one.write(to: &$0) } } }
        writer.key("doubts")
        writer.array { writer in for doubt in doubts { writer.string(doubt) } }
        writer.key("notes")
        writer.array { writer in for note in notes { writer.string(note) } }
    }
}

extension String {
    /// `cannotTell` → `cannot_tell`
    fileprivate var snakeCased: String { map { $0.isUppercase ? "_\($0.lowercased())" : "\($0)" }.joined() }
}

extension PartitionAudit.Counts {
    mutating func add(_ other: Self) {
        outcomes += other.outcomes
        delivered += other.delivered
        dead += other.dead
        cancelled += other.cancelled
        failed += other.failed
        parked += other.parked
        appendedTwice += other.appendedTwice
        repeatedWithoutRequest += other.repeatedWithoutRequest
        repeatedRequests += other.repeatedRequests
    }
}
