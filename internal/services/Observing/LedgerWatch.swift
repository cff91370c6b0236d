internal import Accounting
internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import ServiceSupport
internal import Settling

/// What the ledger has to be told of the system.
public struct LedgerSettings: Sendable {
    public var eventsTopic: String
    /// The consumer group whose commits are checked.
    public var dispatcherGroup: String
    /// Between two looks at the commits.
    public var lookMs: UInt64 = 10_000

    public init(eventsTopic: String, dispatcherGroup: String) {
        self.eventsTopic = eventsTopic
        self.dispatcherGroup = dispatcherGroup
    }
}

/// Holds the dispatcher to its commits while its outcomes pass by (docs/internals/ledger.md). Confined to the intake's loop.
final class LedgerWatch {
    /// What was asked for, in this order.
    struct Facts: Sendable {
        var committed: [TopicPartition: OffsetCommit]
        var bounds: [TopicPartition: Watermarks]
    }

    let offsets: GroupOffsets
    let lookMs: UInt64
    private let attemptsTopic: String
    private let sourceTopics: [String]
    private let metrics: LedgerMetrics
    private let log: Logger
    private var watches: [TopicPartition: SourceWatch] = [:]

    /// Throws where a property of librdkafka is wrong.
    init(
        _ ledger: LedgerSettings, _ settings: HistorySettings, _ metrics: LedgerMetrics, _ log: Logger
    ) throws(KafkaError) {
        offsets = try GroupOffsets(settings.kafka, groupID: ledger.dispatcherGroup, timeoutMilliseconds: 5_000)
        lookMs = ledger.lookMs
        attemptsTopic = settings.attemptsTopic
        sourceTopics = [ledger.eventsTopic, settings.deliveriesTopic]
        self.metrics = metrics
        self.log = log
        for topic in sourceTopics { metrics.uncovered.labelled(topic).increment(by: 0) }
    }

    /// The source partitions whose outcomes lie in these partitions of `attempts`.
    func sources(of attempts: [TopicPartition]) -> [TopicPartition] {
        attempts.flatMap { name in sourceTopics.map { TopicPartition($0, name.partition) } }
    }

    // MARK: Beginning and ending

    /// - Parameter saved: what a predecessor left as metadata of its commits.
    func begin(_ facts: Facts, saved: [TopicPartition: OffsetCommit]) {
        end()
        for (name, log) in facts.bounds where name.topic != attemptsTopic {
            guard let attempts = facts.bounds[TopicPartition(attemptsTopic, name.partition)] else { continue }
            let notes = saved[TopicPartition(attemptsTopic, name.partition)].map { LedgerNote($0.metadata) }
            watches[name] = SourceWatch(
                saved: notes?.points[name.topic], committed: facts.committed[name].map { ($0.offset, $0.metadata) },
                source: .init(start: log.low, end: log.high), attempts: .init(start: attempts.low, end: attempts.high))
        }
    }

    func end() {
        watches = [:]
        metrics.covered.removeAll()
        metrics.committed.removeAll()
    }

    /// From where a partition of `attempts` has to be read; nil where nothing is watched.
    func note(of partition: Int32) -> Int64? {
        watches.lazy.filter { $0.key.partition == partition }.map(\.value.position.note).min()
    }

    /// What a successor needs, as metadata of a commit.
    func metadata(of partition: Int32) -> String {
        var note = LedgerNote()
        for (name, watch) in watches where name.partition == partition { note.points[name.topic] = watch.position }
        return note.text
    }

    // MARK: Watching

    /// Takes an outcome that lies in this partition of `attempts`.
    func learn(_ outcome: Outcome, _ partition: Int32) {
        watches[TopicPartition(outcome.sourceTopic, partition)]?.learn(outcome)
    }

    /// `attempts` was taken up to here (exclusive).
    func taken(_ partition: Int32, _ offset: Int64) {
        for topic in sourceTopics {
            let name = TopicPartition(topic, partition)
            guard let lost = watches[name]?.judge(taken: offset) else { continue }
            for gap in lost { report(gap, name) }
        }
    }

    /// A new look at the commits.
    func look(_ facts: Facts) {
        metrics.looks.increment()
        for (name, commit) in facts.committed {
            guard let source = facts.bounds[name],
                let attempts = facts.bounds[TopicPartition(attemptsTopic, name.partition)], watches[name] != nil
            else { continue }
            let point = CommitPoint(offset: commit.offset, note: CommitPoint.note(in: commit.metadata) ?? attempts.low)
            if watches[name]?.expect(point, attemptsEnd: attempts.high, sourceEnd: source.high) == true {
                log.warning("a source's log is another one: its ledger begins anew", metadata: place(name))
            }
            metrics.committed.labelled(name.topic, "\(name.partition)").set(Int(commit.offset))
        }
        for (name, watch) in watches {
            metrics.covered.labelled(name.topic, "\(name.partition)").set(Int(watch.ledger.covered))
        }
    }

    private func report(_ gap: SourceLedger.Gap, _ name: TopicPartition) {
        metrics.uncovered.labelled(name.topic).increment(by: gap.count)
        log.error(
            "the dispatcher committed past offsets that nothing accounts for: see martlet audit",
            metadata: place(name).merging([
                "first": "\(gap.span.first)", "last": "\(gap.span.last)", "settled": "\(gap.settled)",
                "fan_out": "\(gap.fanOut)",
            ]) { $1 })
    }

    private func place(_ name: TopicPartition) -> Logger.Metadata { [LogKey.partition: "\(name)"] }
}

/// Where a successor's watches go on, as metadata of the commits of `attempts`: a version, then topic, offset and note of each source. What is none
/// of that holds nothing.
struct LedgerNote: Equatable {
    var points: [String: CommitPoint] = [:]

    init() {}

    init(_ text: String) {
        var words = text.split(separator: " ")[...]
        guard words.popFirst() == "1" else { return }
        var points: [String: CommitPoint] = [:]
        while let topic = words.popFirst() {
            guard let offset = words.popFirst().flatMap({ Int64($0) }),
                let note = words.popFirst().flatMap({ Int64($0) }),
                offset >= 0, note >= 0
            else { return }
            points[String(topic)] = CommitPoint(offset: offset, note: note)
        }
        self.points = points
    }

    var text: String {
        (["1"] + points.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.offset) \($0.value.note)" })
            .joined(separator: " ")
    }
}
