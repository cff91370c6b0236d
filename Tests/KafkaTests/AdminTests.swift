import Kafka
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct AdminTests {
    @Test(arguments: KafkaBroker.available)
    func topicsAndBoundsAreDescribed(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 5)
        let admin = try Admin(broker.configuration())
        #expect(
            try await admin.describe(topic: topic)
                == TopicDescription(name: topic, partitions: 5, replicationFactor: 1))
        #expect(try await admin.brokerCount() == 1)
        #expect(try await !admin.clusterID().isEmpty)
        let partition = TopicPartition(topic, 4)
        #expect(try await admin.watermarks([partition]) == [partition: Watermarks(low: 0, high: 0)])
    }

    @Test(.requiresRealKafka) func topicsAreCreatedWithSettingsAndDeleted() async throws {
        let broker = try await KafkaBroker.shared(.real)
        let admin = try Admin(broker.configuration())
        let name = KafkaBroker.uniqueName("admin")
        #expect(try await admin.describe(topic: name) == nil)
        let wanted = NewTopic(name, partitions: 3, settings: ["cleanup.policy": "compact", "retention.ms": "12345"])
        #expect(try await admin.createTopics([wanted]) == [:])
        #expect(try await admin.createTopics([wanted]).mapValues(\.code) == [name: .topicExists])
        let settings = try await admin.settings(ofTopic: name)
        #expect(settings["cleanup.policy"] == "compact" && settings["retention.ms"] == "12345")
        #expect(settings["message.timestamp.type"] == "CreateTime")
        let wrong = NewTopic(name + "x", partitions: 1, settings: ["cleanup.policy": "nonsense"])
        #expect(try await admin.createTopics([wrong])[name + "x"]?.reason.contains("cleanup.policy") == true)
        #expect(try await admin.deleteTopics([name]) == [:])
        #expect(try await eventually { try await admin.describe(topic: name) == nil })
        await #expect(throws: KafkaError.self) { try await admin.settings(ofTopic: name) }
    }

    @Test(.requiresRealKafka) func recordsAreDeletedFromALogsStart() async throws {
        let broker = try await KafkaBroker.shared(.real)
        let admin = try Admin(broker.configuration())
        let topic = try await broker.makeTopic(partitions: 2)
        let (first, second) = (TopicPartition(topic, 0), TopicPartition(topic, 1))
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        for number in 0..<10 {
            try await producer.send(to: topic, partition: 0, key: nil, value: [UInt8(number)])
        }
        await producer.close()
        let positions = [PartitionPosition(first, offset: 7), PartitionPosition(second, offset: 1)]
        let failures = try await admin.deleteRecords(below: positions)
        // The second log has no offset 1.
        #expect(Array(failures.keys) == [second])
        #expect(
            try await admin.watermarks([first, second])
                == [first: Watermarks(low: 7, high: 10), second: Watermarks(low: 0, high: 0)])
    }

    @Test func theInMemoryBrokerSaysThatItHasNoAdminAPI() async throws {
        let broker = try await KafkaBroker.shared(.inMemory)
        let admin = try Admin(broker.configuration(), timeoutMilliseconds: 1_000)
        let error = await #expect(throws: KafkaError.self) {
            try await admin.createTopics([NewTopic("t", partitions: 1)])
        }
        #expect(error?.reason.contains("in-memory broker") == true)
    }

    @Test func anAbsentClusterIsAnErrorNotAWait() async throws {
        let admin = try Admin(KafkaConfiguration(brokers: "127.0.0.1:1", clientID: "test"), timeoutMilliseconds: 300)
        await #expect(throws: KafkaError.self) { try await admin.brokerCount() }
        await #expect(throws: KafkaError.self) { try await admin.describe(topic: "t") }
        await #expect(throws: KafkaError.self) { try await admin.clusterID() }
    }
}
