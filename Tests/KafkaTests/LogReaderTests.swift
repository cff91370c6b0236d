import CTransactions
import EventLoops
import Kafka
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct LogReaderTests {
    private func configuration(_ broker: KafkaBroker) -> LogReaderConfiguration {
        var configuration = LogReaderConfiguration(broker.configuration())
        configuration.fetchWaitMilliseconds = 10
        return configuration
    }

    /// Writes values that are their own offsets.
    private func fill(_ broker: KafkaBroker, _ topic: String, _ range: Range<Int>, partition: Int32 = 0) async throws {
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        try await withThrowingTaskGroup { group in
            for index in range {
                group.addTask {
                    try await producer.send(to: topic, partition: partition, key: [1], value: Array("\(index)".utf8))
                }
            }
            try await group.waitForAll()
        }
        await producer.close()
    }

    /// Offsets read, in order.
    private final class Offsets: Sendable {
        private let seen = Mutex<[Int64]>([])
        func add(_ record: borrowing Record) {
            let offset = record.offset
            seen.withLock { $0.append(offset) }
        }
        var all: [Int64] { seen.withLock { $0 } }
    }

    /// librdkafka warns of deprecated and of useless properties when a client starts.
    @Test(arguments: KafkaBroker.available)
    func readingLogsNoWarnings(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic()
        try await fill(broker, topic, 0..<3)
        let lines = Mutex<[KafkaLogLine]>([])
        let configuration = LogReaderConfiguration(broker.configuration { line in lines.withLock { $0.append(line) } })
        let reader = try await AsyncLogReader.start(configuration)
        #expect(try await reader.read(TopicPartition(topic, 0), from: 0) { _ in }.records == 3)
        await reader.close()
        #expect(lines.withLock { $0.filter { $0.facility == "CONFWARN" }.map(\.text) } == [])
    }

    @Test(arguments: KafkaBroker.available)
    func aRangeIsReadExactlyAndClampedToTheLog(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 2)
        let partition = TopicPartition(topic, 0)
        try await fill(broker, topic, 0..<1_000)
        let reader = try await AsyncLogReader.start(configuration(broker))
        let bounds = Watermarks(low: 0, high: 1_000)
        for (wanted, expected) in [(100..<200, 100..<200), (-5..<3, 0..<3), (990..<5_000, 990..<1_000)] {
            let offsets = Offsets()
            let range = try await reader.read(
                partition, from: Int64(wanted.lowerBound), to: Int64(wanted.upperBound), record: offsets.add)
            #expect(offsets.all == expected.map { Int64($0) })
            #expect(
                range
                    == LogRange(
                        from: Int64(expected.lowerBound), to: Int64(expected.upperBound), records: expected.count,
                        bounds: bounds))
        }
        let rest = Offsets()
        _ = try await reader.read(partition, from: 0, record: rest.add)
        #expect(rest.all == (0..<1_000).map { Int64($0) })
        #expect(try await reader.read(partition, from: 2_000, record: { _ in }).records == 0)
        #expect(try await reader.read(TopicPartition(topic, 1), from: 0, record: { _ in }).records == 0)
        await reader.close()
    }

    @Test(arguments: KafkaBroker.available)
    func aSingleRecordIsReadByItsOffset(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic()
        try await fill(broker, topic, 0..<50)
        let reader = try await AsyncLogReader.start(configuration(broker))
        let partition = TopicPartition(topic, 0)
        // At once, and of one partition: they take turns.
        let found = try await withThrowingTaskGroup(of: CopiedRecord?.self) { group in
            for offset in [Int64(49), 7, 7, 50, 0] {
                group.addTask { try await reader.record(partition, at: offset) }
            }
            return try await group.reduce(into: []) { $0.append($1?.offset) }
        }
        #expect(Set(found) == [49, 7, nil, 0])
        #expect(found.count == 5)
        let record = try #require(try await reader.record(partition, at: 7))
        #expect(record.key == [1] && record.topicPartition == partition && record.timestamp > 0)
        await reader.close()
    }

    @Test func anUnknownTopicFailsAndClosingFailsTheRest() async throws {
        let broker = try KafkaBroker.ownInMemory()
        try await broker.createTopic("t")
        let reader = try await AsyncLogReader.start(configuration(broker))
        await #expect(throws: KafkaError.self) {
            try await reader.read(
                TopicPartition("t", 7), from: 0, timeoutMilliseconds: 500, record: { _ in })
        }
        broker.mock?.setDown()
        let pending = Task { try await reader.read(TopicPartition("t", 0), from: 0, record: { _ in }) }
        await reader.close()
        await #expect(throws: KafkaError.self) { try await pending.value }
    }

    @Test func anOffsetThatVanishesMeanwhileIsSteppedOver() async throws {
        let broker = try KafkaBroker.ownInMemory()
        try await broker.createTopic("t")
        try await fill(broker, "t", 0..<20)
        broker.mock?.fail(.fetch, with: [KafkaError.Code(rawValue: 1)])
        let reader = try await AsyncLogReader.start(configuration(broker))
        let offsets = Offsets()
        let range = try await reader.read(TopicPartition("t", 0), from: 3, record: offsets.add)
        #expect(range.records == 17)
        #expect(offsets.all == (3..<20).map { Int64($0) })
        await reader.close()
    }

    @Test(.requiresRealKafka) func gapsOfTransactionsAreSteppedOver() async throws {
        let broker = try await KafkaBroker.shared(.real)
        let topic = try await broker.makeTopic()
        let partition = TopicPartition(topic, 0)
        try await fill(broker, topic, 0..<5)
        try await transaction(broker, topic, count: 3, commit: false)
        try await transaction(broker, topic, count: 2, commit: true)
        // 0–4 plain, 5–7 aborted, 8 marker, 9–10 committed, 11 marker.
        let reader = try await AsyncLogReader.start(configuration(broker))
        let all = Offsets()
        let range = try await reader.read(partition, from: 0, record: all.add)
        #expect(all.all == [0, 1, 2, 3, 4, 9, 10])
        #expect(range.to == 12 && range.records == 7)
        for (wanted, expected) in [(3..<8, [3, 4]), (5..<9, []), (6..<10, [9]), (11..<12, [])]
            as [(Range<Int64>, [Int64])]
        {
            let offsets = Offsets()
            let range = try await reader.read(
                partition, from: wanted.lowerBound, to: wanted.upperBound, timeoutMilliseconds: 10_000,
                record: offsets.add)
            #expect(offsets.all == expected)
            #expect(range.from == wanted.lowerBound && range.to == wanted.upperBound)
        }
        await reader.close()
    }

    private func transaction(_ broker: KafkaBroker, _ topic: String, count: Int32, commit: Bool) async throws {
        let (code, text) = await withCheckedContinuation { continuation in
            NativeThread.start(name: "transaction") {
                var text = [CChar](repeating: 0, count: 512)
                let code = ctransactions_write(
                    broker.bootstrapServers, topic, 0, count, commit ? 1 : 0, &text, Int32(text.count))
                continuation.resume(returning: (code, text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }))
            }
        }
        try #require(code == 0, "\(String(decoding: text, as: UTF8.self))")
    }
}
