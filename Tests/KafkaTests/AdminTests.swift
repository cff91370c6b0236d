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
