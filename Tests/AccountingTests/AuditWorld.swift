import Records
import TestSupport

@testable import Accounting

/// One partition number of a whole system, in miniature: a dispatcher that crashes, a retry-manager that fires twice now and then, and compaction. Each step
/// writes at most one record, so that an audit can look between any two.
struct AuditWorld {
    /// A rule that is broken once, on purpose.
    enum Loss: CaseIterable {
        /// An outcome says that the delivery waits in `retries`, and it does not.
        case retryNotWritten
        /// A record in `retries` is retired that was never fired.
        case retiredUnfired
        /// An outcome says that the delivery lies in `dead-letters`, and it does not.
        case letterNotWritten
        /// The commit moves past a record that has no outcome.
        case committedTooFar
    }

    private struct Taken {
        var topic: String
        var offset: Int64
        var webhook: Int
        var fanOut: Int
        var delivery: DeliveryID
        var generation: UInt32
        /// What was written to `retries` or `dead-letters`, and waits for its outcome.
        var written: Outcome?
    }

    private struct Retry {
        var key: RetryKey
        var isTombstone: Bool
    }

    private struct Fired {
        var delivery: DeliveryID
        var generation: UInt32
    }

    private var random: SplitMix64
    /// The fan-out of each event.
    private var events: [Int] = []
    private var deliveries: [Fired] = []
    private var attempts: [Outcome] = []
    private var retries: [(offset: Int64, record: Retry)] = []
    private var retriesEnd: Int64 = 0
    private var letters: [DeliveryID] = []
    private var committed: [String: Int64] = ["events": 0, "deliveries": 0]
    private var position: [String: Int64] = ["events": 0, "deliveries": 0]
    private var running: [Taken] = []
    /// By topic and offset, the webhooks that have an outcome, and 99 for a span.
    private var settled: [String: [Int64: Set<Int>]] = ["events": [:], "deliveries": [:]]
    /// Fired, and not retired yet.
    private var unretired: [RetryKey] = []
    /// In an order that follows from the seed.
    private var waiting: [RetryKey] = []
    /// To be brought about at the next chance.
    var loss: Loss?
    private(set) var lost = 0
    private(set) var crashes = 0
    /// That the last look found.
    private(set) var repeats = 0

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    // MARK: Steps

    mutating func step() {
        switch random.below(100) {
        case ..<12: events.append(random.chance(5) ? 0 : 1 + random.below(3))
        case ..<32: take()
        case ..<72: finish()
        case ..<84: fire()
        case ..<92: retire()
        case ..<97: commit()
        case ..<99: compact()
        default: crash()
        }
    }

    /// Ends what is under way; no new events.
    mutating func settle() {
        while !isAtRest {
            for _ in 0..<100 {
                take()
                finish()
                finish()
                fire()
                retire()
            }
            commit()
        }
    }

    private mutating func take() {
        let topic = random.chance(2) ? "events" : "deliveries"
        let offset = position[topic] ?? 0
        guard offset < (topic == "events" ? events.count : deliveries.count) else { return }
        position[topic] = offset + 1
        let known = settled[topic]?[offset] ?? []
        if topic == "deliveries" {
            guard known.isEmpty else { return }
            let fired = deliveries[Int(offset)]
            running.append(
                Taken(
                    topic: topic, offset: offset, webhook: 0, fanOut: 1, delivery: fired.delivery,
                    generation: fired.generation))
            return
        }
        let fanOut = events[Int(offset)]
        guard fanOut > 0 else {
            guard known.isEmpty else { return }
            var outcome = Outcome()
            outcome.kind = .covered
            outcome.sourceTopic = topic
            outcome.spans = [.init(first: offset, last: offset)]
            attempts.append(outcome)
            settled[topic, default: [:]][offset] = [99]
            return
        }
        for webhook in 0..<fanOut where !known.contains(webhook) {
            running.append(
                Taken(
                    topic: topic, offset: offset, webhook: webhook, fanOut: fanOut,
                    delivery: DeliveryID(random: 7, UInt64(offset) << 8 + UInt64(webhook)), generation: 0))
        }
    }

    /// A request ends and what is owed is written; or, that being so, its outcome is.
    private mutating func finish() {
        guard !running.isEmpty else { return }
        let index = random.below(running.count)
        var taken = running[index]
        if let outcome = taken.written {
            running.remove(at: index)
            attempts.append(outcome)
            settled[taken.topic, default: [:]][taken.offset, default: []].insert(taken.webhook)
            return
        }
        var outcome = Outcome()
        let kinds: [Outcome.Kind] =
            taken.generation < 6 ? [.delivered, .failed, .failed, .parked, .dead] : [.delivered]
        outcome.kind = kinds[random.below(kinds.count)]
        outcome.delivery = taken.delivery
        outcome.webhookID = "wh_\(taken.webhook)"
        outcome.sourceTopic = taken.topic
        outcome.sourceOffset = taken.offset
        outcome.fanOut = UInt32(taken.fanOut)
        outcome.requestID = random.next()
        outcome.generation = taken.generation
        switch outcome.kind {
        case .failed, .parked:
            outcome.generation += 1
            let key = RetryKey.delivery(taken.delivery, generation: outcome.generation)
            outcome.recordOffset = random.chance(4) ? -1 : retriesEnd
            if !lose(.retryNotWritten) {
                append(Retry(key: key, isTombstone: false))
                if !waiting.contains(key) { waiting.append(key) }
            }
        case .dead:
            outcome.recordOffset = random.chance(4) ? -1 : Int64(letters.count)
            if !lose(.letterNotWritten) { letters.append(taken.delivery) }
        default: break
        }
        taken.written = outcome
        running[index] = taken
    }

    private mutating func append(_ record: Retry) {
        retries.append((retriesEnd, record))
        retriesEnd += 1
    }

    private mutating func fire() {
        guard !waiting.isEmpty else { return }
        let index = random.below(waiting.count)
        let key = waiting[index]
        guard case .delivery(let id, let generation) = key else { return }
        if lose(.retiredUnfired) {
            waiting.remove(at: index)
            append(Retry(key: key, isTombstone: true))
            return
        }
        deliveries.append(Fired(delivery: id, generation: generation))
        // It crashed before it had retired it, and fires it again.
        if random.chance(10) { return }
        waiting.remove(at: index)
        unretired.append(key)
    }

    private mutating func retire() {
        guard !unretired.isEmpty else { return }
        append(Retry(key: unretired.remove(at: random.below(unretired.count)), isTombstone: true))
    }

    private mutating func commit() {
        for topic in ["events", "deliveries"] {
            var next = committed[topic] ?? 0
            while next < position[topic] ?? 0 {
                let count = settled[topic]?[next]?.count ?? 0
                let fanOut = topic == "events" ? max(1, events[Int(next)]) : 1
                // Of one webhook, so that it is one loss, and not one that is lost otherwise already.
                if count < fanOut {
                    guard fanOut == 1, loss == .committedTooFar, lose(.committedTooFar) else { break }
                    running.removeAll { $0.topic == topic && $0.offset == next }
                    settled[topic, default: [:]][next] = [0]
                }
                next += 1
            }
            committed[topic] = next
        }
    }

    /// Takes away what was retired, and the tombstones.
    private mutating func compact() {
        var last: [RetryKey: Bool] = [:]
        for (_, record) in retries { last[record.key] = record.isTombstone }
        retries.removeAll { last[$0.record.key] == true }
    }

    private mutating func crash() {
        crashes += 1
        running = []
        position = committed
    }

    private mutating func lose(_ wanted: Loss) -> Bool {
        guard loss == wanted else { return false }
        loss = nil
        lost += 1
        return true
    }

    // MARK: The audit

    /// Two looks, as `martlet audit` makes them; `between` happens between any two of its questions. Returns how many were suspected at the
    /// first one, and what is missing at both.
    mutating func audit(between: (inout AuditWorld) -> Void = { _ in }) -> (suspected: Int, missing: Set<String>) {
        let first = look([], between)
        guard !first.isEmpty else { return (0, []) }
        let suspects = Set(first.compactMap { DeliveryID($0) })
        return (first.count, first.intersection(look(suspects, between)))
    }

    private mutating func look(_ suspects: Set<DeliveryID>, _ between: (inout AuditWorld) -> Void) -> Set<String> {
        let commits = committed
        between(&self)
        let attemptsEnd = attempts.count
        between(&self)
        let end = retriesEnd
        between(&self)
        let deliveriesEnd = deliveries.count
        between(&self)
        let lettersEnd = letters.count
        between(&self)
        var audit = PartitionAudit(
            sources: commits.mapValues { .init(base: 0, committed: $0) }, retriesStart: 0, deadLettersStart: 0,
            memory: 100_000, maxListed: 1_000, suspects: suspects)
        for (offset, outcome) in attempts[..<attemptsEnd].enumerated() { audit.learn(outcome, at: Int64(offset)) }
        between(&self)
        if let from = audit.retriesFrom {
            for (offset, record) in retries where offset >= from && offset < end {
                audit.learn(retry: record.key, isTombstone: record.isTombstone)
            }
        }
        between(&self)
        for fired in deliveries[Int(commits["deliveries"] ?? 0)..<deliveriesEnd] {
            audit.learn(fired: fired.delivery, generation: fired.generation)
        }
        var found: Set<String> = []
        for topic in ["events", "deliveries"] {
            for gap in audit.gaps(of: topic) {
                for offset in gap.span.first...gap.span.last {
                    found.insert("\(topic) \(offset)")
                    if topic == "deliveries" { audit.learn(told: deliveries[Int(offset)].delivery) }
                }
            }
        }
        if let from = audit.deadLettersFrom {
            for (offset, letter) in letters[..<lettersEnd].enumerated() where offset >= from {
                audit.learn(letter: letter)
            }
        }
        repeats = audit.counts.repeatedRequests
        return found.union(audit.missing.map { "\($0.delivery)" })
    }

    // MARK: The truth

    /// What is lost, of a system at rest: each delivery by all of its outcomes at once, each offset by itself.
    var truth: Set<String> {
        var webhooks: [String: Set<String>] = [:]
        var kinds: [DeliveryID: Set<Outcome.Kind>] = [:]
        for outcome in attempts where outcome.kind != .covered {
            webhooks["\(outcome.sourceTopic) \(outcome.sourceOffset)", default: []].insert(outcome.webhookID)
            if let id = outcome.delivery { kinds[id, default: []].insert(outcome.kind) }
        }
        var lost: Set<String> = []
        var told: Set<DeliveryID> = []
        for topic in ["events", "deliveries"] {
            for offset in 0..<(committed[topic] ?? 0) {
                let fanOut = topic == "events" ? events[Int(offset)] : 1
                guard fanOut > webhooks["\(topic) \(offset)"]?.count ?? 0 else { continue }
                lost.insert("\(topic) \(offset)")
                if topic == "deliveries" { told.insert(deliveries[Int(offset)].delivery) }
            }
        }
        for (id, kinds) in kinds where !kinds.contains(.delivered) {
            if kinds.contains(.dead) ? !letters.contains(id) : !told.contains(id) { lost.insert("\(id)") }
        }
        return lost
    }

    var isAtRest: Bool {
        running.isEmpty && waiting.isEmpty && unretired.isEmpty && committed["events"] == Int64(events.count)
            && committed["deliveries"] == Int64(deliveries.count)
    }
}
