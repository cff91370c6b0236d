public import Records

/// Follows the deliveries of one partition number through Martlet's topics, and finds those that nothing accounts for any more.
///
/// Each topic is taken whole, in this order, up to an end that is asked for after the thing before it was read or asked for:
///
/// ```
/// commits ─► attempts ─► retries ─► deliveries, from the commit on ─► dead-letters
/// ```
/// A delivery only ever moves on in that order: its record in `retries` is there before its outcome is in `attempts`, and a record in `retries` is
/// retired when `deliveries` has it. So in a running system, too, each delivery is found somewhere. One thread at a time.
public struct PartitionAudit: Sendable {
    /// One source topic.
    public struct Source: Sendable {
        /// What lies below is not judged: its outcomes may be gone, or nobody asked.
        public var base: Int64
        /// What lies below has to be accounted for.
        public var committed: Int64

        public init(base: Int64, committed: Int64) {
            self.base = base
            self.committed = committed
        }
    }

    /// Outcomes, each step once.
    public struct Counts: Equatable, Sendable {
        public var outcomes = 0
        public var delivered = 0
        public var dead = 0
        public var cancelled = 0
        public var failed = 0
        public var parked = 0
        /// Outcomes that were appended twice; nothing was done twice.
        public var appendedTwice = 0
        /// Steps that were made twice, though not with a request each time.
        public var repeatedWithoutRequest = 0
        /// Requests made though one had been made for the same step.
        public var repeatedRequests = 0

        public init() {}
    }

    /// A request that was made twice.
    public struct Repeated: Equatable, Sendable {
        public var cause: StepMemory.Repeat.Cause
        /// Of the second time.
        public var outcome: Outcome
        public var firstSourceOffset: Int64
    }

    /// A delivery that is not where it should be.
    public struct Missing: Equatable, Sendable {
        public enum Reason: String, Equatable, Sendable {
            /// It was put off, and is neither in `retries` nor on its way to the endpoint.
            case notInRetries = "not_in_retries"
            /// The same, and the log of `retries` begins above its record.
            case retriesTrimmed = "retries_trimmed"
            /// It was given up, and is not in `dead-letters`.
            case noDeadLetter = "dead_letter_missing"
        }

        public var delivery: DeliveryID
        /// Of its last outcome, in `attempts`.
        public var attemptsOffset: Int64
        public var reason: Reason
    }

    private struct Open {
        var generation: UInt32
        /// The highest generation that was seen in `retries`, and whether that still waits there.
        var seen: UInt32 = 0
        var isWaiting = false
        /// It is in `deliveries`, where its outcome is not due yet.
        var isFired = false
        var attemptsOffset: Int64
        /// In `retries`; −1: not known.
        var recordOffset: Int64
    }

    private struct Letter {
        var attemptsOffset: Int64
        /// In `dead-letters`; −1: not known.
        var recordOffset: Int64
    }

    private let sources: [String: Source]
    private let retriesStart: Int64
    private let deadLettersStart: Int64
    private let maxListed: Int
    private let suspects: Set<DeliveryID>
    /// Of the suspects: those that were closed, and whether otherwise than by being given up.
    private var closed: [DeliveryID: Bool] = [:]
    private var ledgers: [String: SourceLedger]
    private var steps: StepMemory
    private var open: [DeliveryID: Open] = [:]
    private var letters: [DeliveryID: Letter] = [:]
    public private(set) var counts = Counts()
    /// The first ones.
    public private(set) var repeated: [Repeated] = []

    /// - Parameters:
    ///   - retriesStart: where the partition's log of `retries` begins.
    ///   - deadLettersStart: where that of `dead-letters` does.
    ///   - memory: steps that are remembered to find repeats.
    ///   - maxListed: repeats that are listed; more are counted.
    ///   - suspects: deliveries that were missing at a look before: of these it is remembered whether they were closed. One that was fired twice
    ///     has two lives, and it is enough that one of them ends well.
    public init(
        sources: [String: Source], retriesStart: Int64, deadLettersStart: Int64, memory: Int, maxListed: Int,
        suspects: Set<DeliveryID> = []
    ) {
        self.sources = sources
        self.retriesStart = retriesStart
        self.deadLettersStart = deadLettersStart
        self.maxListed = maxListed
        self.suspects = suspects
        ledgers = sources.mapValues { SourceLedger(base: $0.base) }
        steps = StepMemory(capacity: memory)
    }

    // MARK: attempts

    /// Takes one record of `attempts`, in the order of their offsets.
    public mutating func learn(_ outcome: Outcome, at offset: Int64) {
        ledgers[outcome.sourceTopic]?.learn(outcome)
        guard outcome.kind != .covered, let id = outcome.delivery else { return }
        counts.outcomes += 1
        let again = steps.learn(outcome)
        if let again { note(again, outcome) }
        if again == nil || (outcome.kind.isFinal && again?.wasFinal == false) { count(outcome.kind) }
        follow(id, outcome, at: offset, afterFinal: again?.wasFinal == true)
    }

    private mutating func count(_ kind: Outcome.Kind) {
        switch kind {
        case .delivered: counts.delivered += 1
        case .dead: counts.dead += 1
        case .cancelled: counts.cancelled += 1
        case .failed: counts.failed += 1
        case .parked: counts.parked += 1
        case .covered, .unspecified: break
        }
    }

    private mutating func note(_ again: StepMemory.Repeat, _ outcome: Outcome) {
        guard again.isSentTwice else {
            if again.cause == .sameOutcome {
                counts.appendedTwice += 1
            } else {
                counts.repeatedWithoutRequest += 1
            }
            return
        }
        counts.repeatedRequests += 1
        if repeated.count < maxListed {
            repeated.append(
                Repeated(cause: again.cause, outcome: outcome, firstSourceOffset: again.firstSourceOffset))
        }
    }

    private mutating func follow(_ id: DeliveryID, _ outcome: Outcome, at offset: Int64, afterFinal: Bool) {
        if outcome.kind == .dead {
            letters[id] = Letter(attemptsOffset: offset, recordOffset: outcome.recordOffset)
        }
        if outcome.kind.isFinal {
            open[id] = nil
            if suspects.contains(id) { closed[id] = closed[id] == true || outcome.kind != .dead }
            return
        }
        // What has been taken again waits no more, whichever of the two outcomes came first.
        if let present = open[id], present.generation <= outcome.generationBefore { open[id] = nil }
        guard outcome.kind == .failed || outcome.kind == .parked else { return }
        // Whoever comes late with an outcome puts nothing off that has been closed, or has gone on, without him.
        guard !afterFinal, !steps.holds(id, generation: outcome.generation) else { return }
        if let present = open[id], present.generation > outcome.generation { return }
        open[id] = Open(
            generation: outcome.generation, attemptsOffset: offset, recordOffset: outcome.recordOffset)
    }

    /// What nothing in `attempts` accounts for, below the source's commit.
    public mutating func gaps(of topic: String) -> [SourceLedger.Gap] {
        guard let source = sources[topic] else { return [] }
        return ledgers[topic]?.gaps(below: source.committed, limit: maxListed) ?? []
    }

    // MARK: What follows attempts

    /// From where `retries` has to be read; nil where nothing is looked for there.
    public var retriesFrom: Int64? { open.isEmpty ? nil : open.values.reduce(.max) { min($0, $1.recordOffset) } }

    /// Takes one record of `retries`, in the order of their offsets.
    public mutating func learn(retry key: RetryKey, isTombstone: Bool) {
        guard case .delivery(let id, let generation) = key, let delivery = open[id] else { return }
        // A record that was written, and whose outcome came after the end up to which `attempts` was read, is as good as one of this generation.
        guard generation >= delivery.generation, generation >= delivery.seen else { return }
        open[id]?.seen = generation
        open[id]?.isWaiting = !isTombstone
    }

    /// Takes one record of `deliveries` that lies at or above the commit.
    public mutating func learn(fired id: DeliveryID, generation: UInt32) {
        guard let delivery = open[id], generation >= delivery.generation else { return }
        open[id]?.isFired = true
    }

    /// A record of `deliveries` that nothing accounts for is told already: its delivery is not to be told again.
    public mutating func learn(told id: DeliveryID) { open[id] = nil }

    /// From where `dead-letters` has to be read; nil where nothing is looked for there.
    public var deadLettersFrom: Int64? {
        letters.isEmpty ? nil : letters.values.reduce(.max) { min($0, $1.recordOffset) }
    }

    /// Takes one record of `dead-letters`.
    public mutating func learn(letter id: DeliveryID) { letters[id] = nil }

    // MARK: What came of it

    /// Deliveries that wait in `retries`, and those on their way from there to the endpoint.
    public var standing: (waiting: Int, fired: Int) {
        var standing = (waiting: 0, fired: 0)
        for delivery in open.values {
            if delivery.isFired { standing.fired += 1 } else if delivery.isWaiting { standing.waiting += 1 }
        }
        return standing
    }

    /// Deliveries that nothing accounts for, in the order of their last outcomes.
    public var missing: [Missing] {
        var missing: [Missing] = []
        for (id, delivery) in open where !delivery.isWaiting && !delivery.isFired && closed[id] == nil {
            let isTrimmed = delivery.recordOffset < retriesStart && retriesStart > 0
            missing.append(
                Missing(
                    delivery: id, attemptsOffset: delivery.attemptsOffset,
                    reason: isTrimmed ? .retriesTrimmed : .notInRetries))
        }
        // Retention takes dead letters, in time.
        for (id, letter) in letters where letter.recordOffset >= deadLettersStart || deadLettersStart == 0 {
            guard closed[id] != true else { continue }
            missing.append(Missing(delivery: id, attemptsOffset: letter.attemptsOffset, reason: .noDeadLetter))
        }
        return missing.sorted { $0.attemptsOffset < $1.attemptsOffset }
    }
}
