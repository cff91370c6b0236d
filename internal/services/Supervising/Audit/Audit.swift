internal import Accounting
internal import Kafka
internal import Records
internal import ServiceSupport
internal import Synchronization
internal import WireFormat

/// What `martlet audit` was asked for.
struct AuditSettings: Sendable {
    var topics: Topics
    /// The dispatcher's consumer group: its commits say what it answers for.
    var group: String
    /// Events before this time are not judged. Milliseconds since 1970.
    var sinceMs: Int64?
    /// How far the clocks of those who write to Kafka may be apart.
    var clockSkewMs: Int64 = 60_000
    /// Steps of a partition that are remembered to find repeats: some 85 bytes each.
    var memory = 2_000_000
    /// Of each kind and partition; more are counted.
    var maxListed = 1_000
}

/// Why an audit comes to no verdict at all.
struct AuditError: Error, CustomStringConvertible {
    let description: String
}

/// Reconciles what Kafka's topics say, one partition number after the other: docs/internals/ledger.md. Joins no group and changes nothing.
struct Audit: Sendable {
    let settings: AuditSettings
    let admin: Admin
    let offsets: GroupOffsets
    let reader: AsyncLogReader

    /// Throws `AuditError`, and `KafkaError` where Kafka does not answer.
    func run() async throws -> AuditReport {
        let topics = settings.topics
        var partitions: [String: Int] = [:]
        for topic in [topics.attempts, topics.retries, topics.deliveries, topics.deadLetters, topics.events] {
            guard let description = try await admin.describe(topic: topic) else {
                throw AuditError(description: "there is no topic \(topic): is this the right cluster and prefix?")
            }
            partitions[topic] = description.partitions
        }
        var report = AuditReport()
        for number in 0..<Int32(partitions[topics.attempts] ?? 0) {
            let sources = [topics.events, topics.deliveries].filter { number < partitions[$0] ?? 0 }
            report.add(try await audit(number, sources))
        }
        return report
    }

    /// What is retired and compacted while it is being looked for is nowhere to be seen for that once, and one that was fired twice can seem to wait though
    /// it was delivered: a second look decides.
    private func audit(_ number: Int32, _ sources: [String]) async throws -> AuditReport {
        let report = try await AuditLook(self, number, sources).report()
        guard !report.unaccounted.isEmpty else { return report }
        let suspected = Set(report.unaccounted.map(\.key))
        let suspects = Set(report.unaccounted.compactMap(\.delivery))
        var second = try await AuditLook(self, number, sources, suspects: suspects).report()
        second.unaccounted.removeAll { !suspected.contains($0.key) }
        return second
    }
}

/// One look at one partition number.
struct AuditLook: Sendable {
    /// What is being learned, on the reader's thread.
    private final class Box: Sendable {
        let audit: Mutex<PartitionAudit>
        let unreadable = Mutex(0)
        init(_ audit: PartitionAudit) { self.audit = Mutex(audit) }
    }

    /// A source as it is when the look begins.
    private struct Source {
        var topic: String
        var bounds: Watermarks
        var judged: PartitionAudit.Source
    }

    private let settings: AuditSettings
    private let admin: Admin
    private let offsets: GroupOffsets
    private let reader: AsyncLogReader
    private let number: Int32
    private let sources: [String]
    /// Missing at the look before.
    private let suspects: Set<DeliveryID>

    init(_ audit: Audit, _ number: Int32, _ sources: [String], suspects: Set<DeliveryID> = []) {
        settings = audit.settings
        admin = audit.admin
        offsets = audit.offsets
        reader = audit.reader
        self.number = number
        self.sources = sources
        self.suspects = suspects
    }

    private func partition(_ topic: String) -> TopicPartition { TopicPartition(topic, number) }

    func report() async throws -> AuditReport {
        var report = AuditReport()
        let topics = settings.topics
        let committed = try await offsets.committed(sources.map(partition))
        // One after the other, in the order that a delivery takes.
        let order = [topics.attempts, topics.retries, topics.deliveries, topics.deadLetters, topics.events]
        let logs = try await admin.watermarks(order.map(partition).filter { isThere($0.topic) })
        func bounds(_ topic: String) -> Watermarks { logs[partition(topic)] ?? Watermarks(low: 0, high: 0) }

        let attempts = bounds(topics.attempts)
        let from = try await beginning(of: attempts)
        var looked: [Source] = []
        for topic in sources {
            let log = bounds(topic)
            let source = try await judged(topic, log, committed[partition(topic)]?.offset, from, &report)
            looked.append(Source(topic: topic, bounds: log, judged: source))
        }
        let box = Box(
            PartitionAudit(
                sources: Dictionary(uniqueKeysWithValues: looked.map { ($0.topic, $0.judged) }),
                retriesStart: bounds(topics.retries).low, deadLettersStart: bounds(topics.deadLetters).low,
                memory: settings.memory, maxListed: settings.maxListed, suspects: suspects))
        try await readAttempts(from.offset..<attempts.high, box)
        try await readRetries(bounds(topics.retries), box)
        for source in looked {
            if source.topic == topics.deliveries { try await readFired(source.judged.committed, source.bounds, box) }
            try await report.unaccounted += uncovered(source, box)
        }
        try await readDeadLetters(bounds(topics.deadLetters), box)
        try await complete(&report, box)
        return report
    }

    private func isThere(_ topic: String) -> Bool {
        sources.contains(topic) || (topic != settings.topics.events && topic != settings.topics.deliveries)
    }

    // MARK: Where to begin

    /// From where `attempts` is read, and the time from which on it holds every outcome of what was accepted; 0: of everything.
    private struct Beginning {
        var offset: Int64
        var timeMs: Int64
    }

    private func beginning(of attempts: Watermarks) async throws -> Beginning {
        let name = partition(settings.topics.attempts)
        var start = Beginning(offset: attempts.low, timeMs: settings.sinceMs ?? 0)
        if attempts.low > 0 {
            // Retention has begun to take outcomes: what was accepted after the first one that is left has all of its own.
            let first = try await timestamp(name, atOrAfter: attempts.low, below: attempts.high)
            start.timeMs = max(start.timeMs, first.map { $0 + settings.clockSkewMs } ?? .max)
        }
        if let since = settings.sinceMs {
            start.offset = try await offset(name, attempts, of: since - settings.clockSkewMs)
        }
        return start
    }

    private func judged(
        _ topic: String, _ log: Watermarks, _ committed: Int64?, _ from: Beginning, _ report: inout AuditReport
    ) async throws -> PartitionAudit.Source {
        let committed = committed ?? log.low
        guard committed <= log.high else {
            report.doubts.append(
                "\(partition(topic)) ends at \(log.high), below the committed offset \(committed): the topic was made anew"
            )
            return PartitionAudit.Source(base: log.high, committed: log.high)
        }
        if committed < log.low {
            report.unaccounted.append(
                AuditFinding(.lostToRetention, topic, number, .init(first: committed, last: log.low - 1)))
        }
        let base = from.timeMs > 0 ? try await offset(partition(topic), log, of: from.timeMs) : log.low
        let source = PartitionAudit.Source(base: base, committed: max(committed, log.low))
        report.sources[topic] = AuditReport.Source(
            judged: Int(max(0, source.committed - base)),
            notJudged: Int(max(0, min(base, source.committed) - log.low)),
            notSettled: Int(log.high - source.committed))
        return source
    }

    /// The first offset from which on records are of that time or later. Their times are taken to grow with their offsets.
    private func offset(_ name: TopicPartition, _ log: Watermarks, of timeMs: Int64) async throws -> Int64 {
        guard timeMs < .max else { return log.high }
        var (low, high) = (log.low, log.high)
        while low < high {
            let middle = low + (high - low) / 2
            let found = try await timestamp(name, atOrAfter: middle, below: min(middle + Self.maxHole, high))
            if let found, found >= timeMs { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Longer stretches without a record are taken for older than asked.
    private static let maxHole: Int64 = 16

    private func timestamp(
        _ name: TopicPartition, atOrAfter offset: Int64, below end: Int64
    ) async throws -> Int64? {
        let found = Found<Int64>()
        _ = try await reader.read(name, from: offset, to: min(offset + Self.maxHole, end)) { record in
            let timestamp = record.timestamp
            found.list.withLock { $0.append(timestamp) }
        }
        return found.list.withLock { $0.first }
    }

    private final class Found<Element: Sendable>: Sendable {
        let list = Mutex<[Element]>([])
    }

    // MARK: Reading

    private func readAttempts(_ range: Range<Int64>, _ box: Box) async throws {
        guard !range.isEmpty else { return }
        _ = try await reader.read(
            partition(settings.topics.attempts), from: range.lowerBound, to: range.upperBound
        ) { record in
            let offset = record.offset
            do throws(WireError) {
                let value = record.value ?? UnsafeRawBufferPointer(start: nil, count: 0)
                let outcome = try Records.Outcome(decoding: value)
                guard outcome.kind != .unspecified else { return box.unreadable.withLock { $0 += 1 } }
                box.audit.withLock { $0.learn(outcome, at: offset) }
            } catch {
                box.unreadable.withLock { $0 += 1 }
            }
        }
    }

    private func readRetries(_ log: Watermarks, _ box: Box) async throws {
        guard let from = box.audit.withLock({ $0.retriesFrom }), from < log.high else { return }
        _ = try await reader.read(partition(settings.topics.retries), from: max(from, log.low), to: log.high) {
            record in
            guard let key = record.key.flatMap({ RetryKey($0) }) else { return }
            let isTombstone = record.value == nil
            box.audit.withLock { $0.learn(retry: key, isTombstone: isTombstone) }
        }
    }

    private func readFired(_ committed: Int64, _ log: Watermarks, _ box: Box) async throws {
        guard committed < log.high else { return }
        _ = try await reader.read(
            partition(settings.topics.deliveries), from: committed, to: log.high
        ) { record in
            guard let id = record.header(RecordHeader.delivery).flatMap({ DeliveryID(text: $0) }) else { return }
            let text = record.header(RecordHeader.generation).map { String(decoding: $0, as: UTF8.self) }
            box.audit.withLock { $0.learn(fired: id, generation: text.flatMap { UInt32($0) } ?? 0) }
        }
    }

    private func readDeadLetters(_ log: Watermarks, _ box: Box) async throws {
        guard let from = box.audit.withLock({ $0.deadLettersFrom }), from < log.high else { return }
        _ = try await reader.read(
            partition(settings.topics.deadLetters), from: max(from, log.low), to: log.high
        ) { record in
            guard let id = record.key.flatMap({ DeliveryID(text: $0) }) else { return }
            box.audit.withLock { $0.learn(letter: id) }
        }
    }

    // MARK: What is missing

    /// The records of a source that the dispatcher has committed past, and that nothing accounts for.
    private func uncovered(_ source: Source, _ box: Box) async throws -> [AuditFinding] {
        var findings: [AuditFinding] = []
        for gap in box.audit.withLock({ $0.gaps(of: source.topic) }) where findings.count < settings.maxListed {
            let found = Found<CopiedRecord>()
            let end = min(gap.span.last + 1, gap.span.first + Int64(settings.maxListed))
            _ = try await reader.read(partition(source.topic), from: gap.span.first, to: end) { record in
                let copy = CopiedRecord(record)
                found.list.withLock { $0.append(copy) }
            }
            // An offset without a record was nobody's event.
            for record in found.list.withLock({ $0 }) {
                var finding = AuditFinding(record, gap)
                if source.topic == settings.topics.deliveries, let id = record.text(RecordHeader.delivery) {
                    finding.delivery = DeliveryID(id)
                    if let id = finding.delivery { box.audit.withLock { $0.learn(told: id) } }
                }
                findings.append(finding)
            }
        }
        return findings
    }

    private func complete(_ report: inout AuditReport, _ box: Box) async throws {
        let missing = box.audit.withLock { $0.missing }
        for one in missing.prefix(settings.maxListed) { report.unaccounted.append(try await named(one)) }
        if missing.count > settings.maxListed {
            report.notes.append(
                "partition \(number): \(missing.count) deliveries are missing, of which the first \(settings.maxListed) are listed"
            )
        }
        let (counts, standing, repeated) = box.audit.withLock { ($0.counts, $0.standing, $0.repeated) }
        report.counts = counts
        report.waiting = standing.waiting
        report.fired = standing.fired
        report.repeated = repeated
        let unreadable = box.unreadable.withLock { $0 }
        if unreadable > 0 {
            report.doubts.append("\(unreadable) records of \(partition(settings.topics.attempts)) are no outcomes")
        }
    }

    private func named(_ missing: PartitionAudit.Missing) async throws -> AuditFinding {
        let name = partition(settings.topics.attempts)
        let reason: AuditFinding.Reason =
            switch missing.reason {
            case .notInRetries: .notInRetries
            case .retriesTrimmed: .retriesTrimmed
            case .noDeadLetter: .noDeadLetter
            }
        let place = Records.Outcome.Span(first: missing.attemptsOffset, last: missing.attemptsOffset)
        var finding = AuditFinding(reason, name.topic, number, place)
        finding.delivery = missing.delivery
        if let value = try await reader.record(name, at: missing.attemptsOffset)?.value,
            let outcome = try? value.withUnsafeBytes({ try Records.Outcome(decoding: $0) })
        {
            finding.webhook = outcome.webhookID
            finding.event = outcome.eventID
            finding.eventType = outcome.eventType
            finding.tenant = outcome.tenant
        }
        return finding
    }
}

extension AuditFinding {
    /// A record in a gap.
    fileprivate init(_ record: CopiedRecord, _ gap: SourceLedger.Gap) {
        self.init(
            gap.settled > 0 ? .partOfFanOut : .noOutcome, record.topicPartition.topic, record.topicPartition.partition,
            .init(first: record.offset, last: record.offset))
        webhook = record.text(RecordHeader.webhook)
        event = record.text(RecordHeader.id)
        eventType = record.text(RecordHeader.type)
        tenant = record.tenant
        if gap.settled > 0 { settled = (gap.settled, gap.fanOut) }
    }
}
