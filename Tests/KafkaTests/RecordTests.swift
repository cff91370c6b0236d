import EventLoops
import Synchronization
import TestSupport
import Testing

@testable import Kafka

/// A record that its owner keeps.
private final class Kept {
    let record: Record
    init(_ record: consuming Record) { self.record = record }
}

/// A member whose control and worker loop are one, and that keeps every record.
private final class Keeper {
    var consumer: Consumer?
    var queues: [PartitionQueue] = []
    var kept: [Kept] = []

    func handle(_ event: ConsumerEvent, on loop: EventLoop) {
        do {
            switch event {
            case .assign(let partitions):
                queues = try consumer?.assign(partitions.map { PartitionPosition($0, offset: 0) }) ?? []
                for queue in queues {
                    try queue.start(on: loop) { [unowned self, unowned queue] _ in
                        queue.drain(max: 3) { record in kept.append(Kept(record)) }
                    }
                }
            case .revoke:
                for queue in queues { queue.stop() }
                queues = []
                try consumer?.unassign()
            case .failed: break
            }
        } catch {
            Issue.record(error)
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct RecordTests {
    @Test func aKeptRecordOutlivesTheConsumer() async throws {
        let broker = try await KafkaBroker.shared(.inMemory)
        let topic = try await broker.makeTopic(partitions: 2)
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        var headers = RecordHeaders()
        headers.append("h", "header")
        for index in 0..<10 {
            let value = [UInt8](repeating: UInt8(index), count: 100)
            try await producer.send(
                to: topic, partition: Int32(index % 2), key: [UInt8(index)], value: value, headers: headers)
        }
        await producer.close()
        let client = broker.configuration(properties: ["fetch.wait.max.ms": "10"])
        let keeper = try await OnLoop { loop in
            let keeper = Keeper()
            keeper.consumer = try Consumer(
                ConsumerConfiguration(client, groupID: KafkaBroker.uniqueName("group")), on: loop
            ) { [unowned keeper] event in keeper.handle(event, on: loop) }
            try keeper.consumer?.subscribe([topic])
            return keeper
        }
        #expect(await eventually(within: .seconds(20)) { (try? await keeper.run { $0.kept.count }) == 10 })
        let _: Bool = await keeper.await { keeper, done in keeper.consumer?.close { done(true) } }
        try await keeper.run { keeper in
            keeper.consumer = nil
            for kept in keeper.kept {
                let index = try #require(kept.record.key?.first)
                #expect(kept.record.value?.elementsEqual([UInt8](repeating: index, count: 100)) == true)
                #expect(kept.record.header("h")?.elementsEqual("header".utf8) == true)
                #expect(kept.record.header("none") == nil)
                #expect(kept.record.partition == Int32(index % 2))
                #expect(kept.record.timestamp > 1_600_000_000_000)
            }
            keeper.kept = []
        }
        await keeper.stop()
    }

    @Test func headersAreCopiedFromARecordByName() async throws {
        let broker = try await KafkaBroker.shared(.inMemory)
        let topic = try await broker.makeTopic()
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        var headers = RecordHeaders()
        headers.append("ce_id", "1")
        headers.append("secret", "2")
        headers.append("ce_null", nil as UnsafeRawBufferPointer?)
        try await producer.send(to: topic, key: nil, value: nil, headers: headers)
        await producer.close()
        let reader = try await AsyncLogReader.start(LogReaderConfiguration(broker.configuration()))
        let copied = Mutex(RecordHeaders())
        _ = try await reader.read(TopicPartition(topic, 0), from: 0) { record in
            var collected = RecordHeaders()
            collected.append(from: record) { $0.starts(with: "ce_".utf8) }
            copied.withLock { [collected] in $0 = collected }
        }
        var expected = RecordHeaders()
        expected.append("ce_id", "1")
        expected.append("ce_null", nil as UnsafeRawBufferPointer?)
        #expect(copied.withLock { $0.bytes } == expected.bytes)
        #expect(copied.withLock { $0.count } == 2)
        expected.removeAll()
        #expect(expected.isEmpty && expected.bytes.isEmpty)
        await reader.close()
    }

    @Test func packedHeadersAreVisitedInOrder() {
        var headers = RecordHeaders(reserving: 16)
        headers.append("a", "1")
        headers.append("null", nil as UnsafeRawBufferPointer?)
        headers.append("", "")
        headers.append("a", String(repeating: "x", count: 300))
        var seen: [String] = []
        headers.forEach { name, value in
            seen.append(
                String(decoding: name, as: UTF8.self) + "="
                    + (value.map { String(decoding: $0, as: UTF8.self) } ?? "null"))
        }
        #expect(seen == ["a=1", "null=null", "=", "a=" + String(repeating: "x", count: 300)])
    }

    @Test func logLinesReachTheSink() async throws {
        let lines = Lines()
        let client = KafkaConfiguration(brokers: "127.0.0.1:1", clientID: "test", log: { lines.add($0) })
        let producer = try await AsyncProducer.start(ProducerConfiguration(client))
        #expect(await eventually { lines.all.contains { $0.text.contains("127.0.0.1:1") && $0.level <= 4 } })
        await producer.close()
        let admin = try Admin(
            KafkaConfiguration(brokers: "127.0.0.1:2", clientID: "test", log: { lines.add($0) }),
            timeoutMilliseconds: 500)
        await #expect(throws: KafkaError.self) { try await admin.brokerCount() }
        #expect(lines.all.contains { $0.text.contains("127.0.0.1:2") })
    }

    private final class Lines: Sendable {
        private let lines = Mutex<[KafkaLogLine]>([])
        var all: [KafkaLogLine] { lines.withLock { $0 } }
        func add(_ line: KafkaLogLine) { lines.withLock { $0.append(line) } }
    }

    @Test func securityBecomesProperties() throws {
        var client = KafkaConfiguration(brokers: "127.0.0.1:1", clientID: "test")
        client.tls = .init(certificateAuthority: "/no/such/ca.pem")
        let missing = #expect(throws: KafkaError.self) { try Admin(client) }
        #expect(missing?.reason.contains("ssl.ca.location") == true)
        client.tls = .init()
        client.sasl = .init(mechanism: "SCRAM-SHA-512", username: "u", password: "p")
        _ = try Admin(client)
        client.sasl = .init(mechanism: "NONSENSE", username: "u", password: "p")
        let mechanism = #expect(throws: KafkaError.self) { try Admin(client) }
        #expect(mechanism?.reason.contains("NONSENSE") == true)
    }
}
