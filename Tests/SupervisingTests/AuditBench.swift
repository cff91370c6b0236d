import CLinux
import Kafka
import Records
import ServiceSupport
import TestSupport
import WireFormat

@testable import Supervising

/// Martlet's topics, one partition each, that a test writes by hand, and an audit of them.
struct AuditBench {
    let broker: KafkaBroker
    let prefix: String
    let topics: Topics
    let group: String
    let producer: AsyncProducer
    /// When the first record was written: an hour ago, a second between records.
    let beganMs = clinux_realtime_ms() - 3_600_000

    init(_ kind: KafkaBroker.Kind = .inMemory) async throws {
        broker = try await KafkaBroker.shared(kind)
        prefix = KafkaBroker.uniqueName("audit") + "."
        topics = Topics(prefix: prefix)
        group = prefix + "dispatcher"
        for topic in topics.all { try await broker.createTopic(topic) }
        producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
    }

    func close() async { await producer.close() }

    static func id(_ number: UInt64) -> DeliveryID { DeliveryID(random: 1, number) }

    // MARK: Records

    /// `second`: after the beginning.
    @discardableResult
    func write(
        _ topic: String, key: String = "k", _ value: [UInt8]? = [], second: Int64 = 0,
        headers: [(StaticString, String)] = []
    ) async throws -> Int64 {
        var packed = RecordHeaders()
        for (name, value) in headers { packed.append(name, value) }
        let receipt = try await producer.send(
            to: topic, partition: 0, key: Array(key.utf8), value: value, headers: packed,
            timestamp: beganMs + second * 1_000)
        return receipt.offset ?? -1
    }

    func event(_ name: String, second: Int64 = 0) async throws {
        try await write(
            topics.events, second: second,
            headers: [(RecordHeader.id, name), (RecordHeader.type, "a.b"), (RecordHeader.source, "s")])
    }

    func fire(_ delivery: UInt64, generation: UInt32) async throws {
        try await write(
            topics.deliveries,
            headers: [
                (RecordHeader.id, "e"), (RecordHeader.type, "a.b"), (RecordHeader.webhook, "wh_a"),
                (RecordHeader.delivery, "\(Self.id(delivery))"), (RecordHeader.generation, "\(generation)"),
            ])
    }

    /// A record in `retries`, or its tombstone.
    @discardableResult
    func retry(_ delivery: UInt64, generation: UInt32, isTombstone: Bool = false) async throws -> Int64 {
        let key = RetryKey.delivery(Self.id(delivery), generation: generation)
        return try await write(topics.retries, key: "\(key)", isTombstone ? nil : [65])
    }

    func letter(_ delivery: UInt64) async throws -> Int64 {
        try await write(topics.deadLetters, key: "\(Self.id(delivery))")
    }

    func outcome(
        _ delivery: UInt64, _ kind: Records.Outcome.Kind, generation: UInt32 = 0, of offset: Int64,
        topic: String? = nil,
        fanOut: UInt32 = 1, record: Int64 = 0, request: UInt64? = nil, second: Int64 = 0
    ) async throws {
        var outcome = Records.Outcome()
        outcome.kind = kind
        outcome.delivery = Self.id(delivery)
        outcome.webhookID = "wh_a"
        outcome.eventID = "event-\(delivery)"
        outcome.generation = generation
        outcome.sourceTopic = topic ?? topics.events
        outcome.sourceOffset = offset
        outcome.fanOut = fanOut
        outcome.recordOffset = record
        outcome.requestID = request ?? delivery << 16 + UInt64(generation)
        try await write(topics.attempts, outcome.encoded(), second: second)
    }

    func cover(_ span: ClosedRange<Int64>, second: Int64 = 0) async throws {
        var outcome = Records.Outcome()
        outcome.kind = .covered
        outcome.sourceTopic = topics.events
        outcome.spans = [.init(first: span.lowerBound, last: span.upperBound)]
        try await write(topics.attempts, outcome.encoded(), second: second)
    }

    /// What the dispatcher has committed.
    func commit(events: Int64, deliveries: Int64 = 0) async throws {
        let commits = [
            OffsetCommit(TopicPartition(topics.events, 0), offset: events, metadata: "1:0"),
            OffsetCommit(TopicPartition(topics.deliveries, 0), offset: deliveries, metadata: "1:0"),
        ]
        try await broker.commit(commits, group: group)
    }

    // MARK: Auditing

    func audit(sinceSecond: Int64? = nil, clockSkewMs: Int64 = 0) async throws -> AuditReport {
        var reading = LogReaderConfiguration(broker.configuration())
        reading.fetchWaitMilliseconds = 10
        let reader = try await AsyncLogReader.start(reading)
        let settings = AuditSettings(
            topics: topics, group: group, sinceMs: sinceSecond.map { beganMs + $0 * 1_000 }, clockSkewMs: clockSkewMs)
        let audit = Audit(
            settings: settings, admin: try Admin(broker.configuration()),
            offsets: try GroupOffsets(broker.configuration(), groupID: group), reader: reader)
        do {
            let report = try await audit.run()
            await reader.close()
            return report
        } catch {
            await reader.close()
            throw error
        }
    }

    func martlet(_ words: String...) throws -> ChildProcess {
        try ChildProcess(
            try builtProgram("martlet"), ["audit"] + words + ["--state", "/nonexistent"],
            environment: [
                "MARTLET_PROFILE": "development", "MARTLET_KAFKA_BROKERS": broker.bootstrapServers,
                "MARTLET_KAFKA_LOG_ID": "x", "MARTLET_KAFKA_TOPIC_PREFIX": prefix, "MARTLET_DISPATCHER_GROUP": group,
            ])
    }
}
