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
}
