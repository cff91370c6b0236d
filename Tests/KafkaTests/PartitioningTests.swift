import Kafka
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct PartitioningTests {
    @Test(arguments: KafkaBroker.available) func itIsTheOneThatAProducerChooses(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 7)
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        for number in 0..<20 {
            let key = Array("wh_\(number)".utf8)
            let chosen = try await producer.send(to: topic, key: key, value: [1]).partition
            #expect(partition(ofKey: key, count: 7) == chosen)
        }
        await producer.close()
    }

    /// Kafka's own test vectors.
    @Test(arguments: [("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)])
    func itIsJavas(key: String, hash: Int32) {
        #expect(partition(ofKey: key.utf8, count: 1_000) == (hash & 0x7fff_ffff) % 1_000)
    }
}
