import Kafka
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct MockClusterTests {
    /// Answers to two partitions travel as two small packets: neither side may hold the second one back for the first's acknowledgement
    /// (40 ms on Linux).
    @Test(arguments: KafkaBroker.available)
    func recordsOfTwoPartitionsAreAcknowledgedAtOnce(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 2)
        var configuration = ProducerConfiguration(broker.configuration())
        configuration.lingerMilliseconds = 0
        let producer = try await AsyncProducer.start(configuration)
        func send(_ partition: Int32) async throws -> Duration {
            let start = ContinuousClock.now
            try await producer.send(to: topic, partition: partition, key: nil, value: [1])
            return ContinuousClock.now - start
        }
        var alone: [Duration] = []
        var together: [Duration] = []
        for _ in 0..<30 {
            alone.append(try await send(0))
            async let first = send(0)
            async let second = send(1)
            together += try await [first, second]
        }
        await producer.close()
        let (one, two) = (alone.sorted()[15], together.sorted()[30])
        print("acknowledgements, \(kind), medians: of one partition \(one), of two at once \(two)")
        // A hundred times as long where something is held back, about as long where not: on a busy machine, too.
        #expect(two < one * 20)
    }

    /// A client that neither reads nor writes a topic, such as one that recovers from it, learns of its new leader.
    @Test func boundsAreFoundAtANewLeader() async throws {
        let broker = try KafkaBroker.ownInMemory(brokers: 3)
        let topic = try await broker.makeTopic(partitions: 3)
        let partitions = (0..<3).map { TopicPartition(topic, Int32($0)) }
        let admin = try Admin(broker.configuration(), timeoutMilliseconds: 5_000)
        for leader in [1, 2, 3, 1] {
            for partition in partitions { broker.mock?.setLeader(of: partition, broker: leader) }
            let bounds = try await admin.watermarks(partitions)
            #expect(bounds.count == 3, "leader \(leader)")
        }
    }
}
