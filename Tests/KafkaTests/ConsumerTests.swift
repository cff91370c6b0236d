import EventLoops
import Synchronization
import TestSupport
import Testing

@testable import Kafka

@Suite(.timeLimit(.minutes(3))) struct ConsumerTests {
    private func produce(_ broker: KafkaBroker, _ topic: String, partition: Int32 = 0, _ values: [String]) async throws
    {
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        for value in values {
            _ = try await producer.send(to: topic, partition: partition, key: nil, value: Array(value.utf8))
        }
        await producer.close()
    }

    @Test(arguments: KafkaBroker.available)
    func recordsArriveWhole(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 2)
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        var headers = RecordHeaders()
        headers.append("ce_id", "42")
        headers.append("empty", [])
        headers.append("null", nil as UnsafeRawBufferPointer?)
        headers.append("dynamic" as String, "ä")
        try await producer.send(
            to: topic, partition: 1, key: Array("key".utf8), value: Array("value".utf8), headers: headers)
        try await producer.send(to: topic, partition: 1, key: [], value: [])
        try await producer.send(to: topic, partition: 1, key: nil, value: nil)
        let probe = try await ConsumerProbe(broker, group: KafkaBroker.uniqueName("group"), topics: [topic])
        #expect(await eventually(within: .seconds(30)) { probe.state.records.count == 3 })
        let records = probe.state.records
        try #require(records.count == 3)
        #expect(records[0].partition == TopicPartition(topic, 1))
        #expect(records[0].key == "key")
        #expect(records[0].value == "value")
        #expect(records[0].headers == ["ce_id": "42", "empty": "", "null": Optional<String>.none, "dynamic": "ä"])
        #expect(records[1].key == "" && records[1].value == "")
        #expect(records[2].key == nil && records[2].value == nil)
        #expect(records.map(\.offset) == [0, 1, 2])
        await probe.close()
        await producer.close()
    }

    @Test(arguments: KafkaBroker.available)
    func commitsKeepTheirMetadataAndPositionsHold(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 2)
        let (first, second) = (TopicPartition(topic, 0), TopicPartition(topic, 1))
        try await produce(broker, topic, (0..<10).map { "v\($0)" })
        let group = KafkaBroker.uniqueName("group")
        let probe = try await ConsumerProbe(broker, group: group, topics: [topic])
        #expect(await eventually(within: .seconds(30)) { probe.state.records.count == 10 })
        #expect(try await probe.committed([first, second]) == [:])
        let note = "bm90ZQ==" + String(repeating: "x", count: 1_000)
        #expect(await probe.commit([OffsetCommit(first, offset: 4, metadata: note)]) == [:])
        #expect(try await probe.committed([first, second]) == [first: OffsetCommit(first, offset: 4, metadata: note)])
        // Whoever looks on from outside sees the same.
        let outside = try GroupOffsets(broker.configuration(), groupID: group)
        #expect(
            try await outside.committed([first, second]) == [first: OffsetCommit(first, offset: 4, metadata: note)])
        #expect(
            try await probe.watermarks([first, second]) == [
                first: Watermarks(low: 0, high: 10), second: Watermarks(low: 0, high: 0),
            ])
        await probe.close()
        #expect(probe.state.revocations == [false])
        let successor = try await ConsumerProbe(broker, group: group, topics: [topic])
        #expect(await eventually(within: .seconds(30)) { successor.state.records.count == 6 })
        #expect(successor.state.records.first?.offset == 4)
        await successor.close()
    }

    @Test(arguments: KafkaBroker.available)
    func twoMembersShareAndTakeOver(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 4)
        let group = KafkaBroker.uniqueName("group")
        let first = try await ConsumerProbe(broker, group: group, topics: [topic])
        #expect(await eventually(within: .seconds(30)) { first.state.assigned?.count == 4 })
        let second = try await ConsumerProbe(broker, group: group, topics: [topic])
        #expect(
            await eventually(within: .seconds(30)) {
                first.state.assigned?.count == 2 && second.state.assigned?.count == 2
            })
        #expect(Set((first.state.assigned ?? []) + (second.state.assigned ?? [])).count == 4)
        for partition in Int32(0)..<4 { try await produce(broker, topic, partition: partition, ["p\(partition)"]) }
        #expect(await eventually { first.state.records.count + second.state.records.count == 4 })
        await second.close()
        #expect(await eventually(within: .seconds(30)) { first.state.assigned?.count == 4 })
        await first.close()
        #expect(first.state.errors == [] && second.state.errors == [])
    }

    @Test(arguments: KafkaBroker.available)
    func aPositionOutsideTheLogIsReportedAndCanBeCorrected(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 2)
        let (first, second) = (TopicPartition(topic, 0), TopicPartition(topic, 1))
        try await produce(broker, topic, (0..<5).map { "a\($0)" })
        try await produce(broker, topic, partition: 1, (0..<50).map { "b\($0)" })
        let probe = try await ConsumerProbe(broker, group: KafkaBroker.uniqueName("group"), topics: [topic], start: 20)
        #expect(await eventually(within: .seconds(30)) { probe.state.outOfRange == [first] })
        #expect(await eventually { probe.values(of: second).count == 30 })
        try await probe.control.run { try $0.consumer?.reposition(first, to: 0) }
        #expect(await eventually { probe.values(of: first).count == 5 })
        try await produce(broker, topic, partition: 1, ["last"])
        #expect(await eventually { probe.values(of: second).last == "last" })
        #expect(probe.values(of: second) == (20..<50).map { "b\($0)" } + ["last"])
        #expect(probe.values(of: first) == (0..<5).map { "a\($0)" })
        await probe.close()
    }

    /// librdkafka aborts the process where assignments follow each other too closely.
    @Test(arguments: KafkaBroker.available)
    func partitionsAreReadAgainAndAgain(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 2)
        let partitions = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
        for name in partitions { try await produce(broker, topic, partition: name.partition, ["a", "b"]) }
        let probe = try await ConsumerProbe(broker, group: KafkaBroker.uniqueName("group"), topics: [topic])
        #expect(await eventually(within: .seconds(30)) { probe.state.records.count == 4 })
        for _ in 0..<20 {
            for name in partitions {
                try await probe.control.run { try $0.consumer?.reposition(name, to: 0) }
                try await Task.sleep(for: .milliseconds(7))
            }
        }
        for name in partitions { try await produce(broker, topic, partition: name.partition, ["c"]) }
        for name in partitions {
            #expect(await eventually { probe.values(of: name).suffix(3) == ["a", "b", "c"] })
            try await probe.control.run { try $0.consumer?.reposition(name, to: 0) }
        }
        await probe.close()
        #expect(probe.state.errors == [])
    }

    @Test(arguments: KafkaBroker.available)
    func pausingLosesAndRepeatsNothing(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic()
        let partition = TopicPartition(topic, 0)
        let probe = try await ConsumerProbe(broker, group: KafkaBroker.uniqueName("group"), topics: [topic])
        #expect(await eventually(within: .seconds(30)) { probe.state.assigned != nil })
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        var sent: [String] = []
        for round in 0..<10 {
            let queue = try #require(try await probe.control.run { $0.queues.first })
            _ = await probe.worker.run { _ in round % 2 == 0 ? queue.pause() : queue.resume() }
            for index in 0..<20 {
                sent.append("\(round)/\(index)")
                try await producer.send(to: topic, partition: 0, key: nil, value: Array("\(round)/\(index)".utf8))
            }
        }
        #expect(await eventually { probe.state.records.count >= sent.count })
        #expect(probe.values(of: partition) == sent)
        await probe.close()
        await producer.close()
    }

    @Test func aMemberCutOffLearnsThatItsPartitionsAreLost() async throws {
        let broker = try KafkaBroker.ownInMemory()
        try await broker.createTopic("t")
        let probe = try await ConsumerProbe(broker, group: "g", topics: ["t"])
        #expect(await eventually(within: .seconds(30)) { probe.state.assigned?.count == 1 })
        broker.mock?.fail(.heartbeat, with: [.unknownMember])
        #expect(await eventually(within: .seconds(30)) { probe.state.revocations == [true] })
        #expect(await eventually(within: .seconds(30)) { probe.state.assignments == 2 })
        await probe.close()
    }

    @Test func aRefusedCommitNamesThePartition() async throws {
        let broker = try KafkaBroker.ownInMemory()
        try await broker.createTopic("t")
        let probe = try await ConsumerProbe(broker, group: "g", topics: ["t"])
        #expect(await eventually(within: .seconds(30)) { probe.state.assigned?.count == 1 })
        broker.mock?.fail(.offsetCommit, with: [.unknownMember])
        let failures = await probe.commit([OffsetCommit(TopicPartition("t", 0), offset: 0)])
        #expect(failures.mapValues(\.code) == [TopicPartition("t", 0): .unknownMember])
        await probe.close()
    }

    @Test(.requiresRealKafka) func aStaticMemberComesBackToItsPartitions() async throws {
        let broker = try await KafkaBroker.shared(.real)
        let topic = try await broker.makeTopic(partitions: 4)
        let group = KafkaBroker.uniqueName("group")
        let stays = try await ConsumerProbe(broker, group: group, topics: [topic], instance: "stays")
        let restarts = try await ConsumerProbe(broker, group: group, topics: [topic], instance: "restarts")
        #expect(
            await eventually(within: .seconds(40)) {
                stays.state.assigned?.count == 2 && restarts.state.assigned?.count == 2
            })
        let before = (stays.state.assignments, restarts.state.assigned)
        await restarts.close()
        let back = try await ConsumerProbe(broker, group: group, topics: [topic], instance: "restarts")
        #expect(await eventually(within: .seconds(20)) { back.state.assigned == before.1 })
        #expect(stays.state.assignments == before.0)
        await back.close()
        await stays.close()
    }
}
