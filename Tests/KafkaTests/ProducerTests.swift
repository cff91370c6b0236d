import EventLoops
import Synchronization
import TestSupport
import Testing

@testable import Kafka

/// A producer on a loop of its own that remembers its reports.
final class ProducerProbe: Sendable {
    struct State {
        var reports: [UInt64: DeliveryReport] = [:]
        var health: [Bool] = []
        var errors: [KafkaError] = []
    }

    let state: Box
    let producer: OnLoop<Producer>

    final class Box: Sendable {
        let mutex = Mutex(State())
    }

    init(_ broker: KafkaBroker, _ adjust: @escaping @Sendable (inout ProducerConfiguration) -> Void = { _ in })
        async throws
    {
        let box = Box()
        state = box
        let client = broker.configuration()
        producer = try await OnLoop { loop in
            var configuration = ProducerConfiguration(client)
            adjust(&configuration)
            return try Producer(
                configuration, on: loop,
                handlers: ProducerHandlers(
                    report: { token, report in box.mutex.withLock { $0.reports[token] = report } },
                    healthChanged: { healthy in box.mutex.withLock { $0.health.append(healthy) } },
                    failed: { error in box.mutex.withLock { $0.errors.append(error) } }))
        }
    }

    func produce(_ topic: String, _ value: [UInt8], partition: Int32? = nil, token: UInt64) async throws
        -> ProduceResult
    {
        try await producer.run { producer in
            let topic = try producer.topic(topic)
            return value.withUnsafeBytes {
                producer.produce(to: topic, partition: partition, key: nil, value: $0, token: token)
            }
        }
    }

    func report(_ token: UInt64, within limit: Duration = .seconds(20)) async throws -> DeliveryReport {
        var found: DeliveryReport?
        _ = await eventually(within: limit) {
            found = state.mutex.withLock { $0.reports[token] }
            return found != nil
        }
        return try #require(found, "no report for \(token)")
    }

    func close() async {
        let _: Bool = await producer.await { producer, done in producer.close(timeoutMilliseconds: 2_000) { done(true) }
        }
        await producer.stop()
    }
}

@Suite(.timeLimit(.minutes(2))) struct ProducerTests {
    @Test(arguments: KafkaBroker.available)
    func acknowledgementsCarryPartitionAndOffset(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 3)
        let probe = try await ProducerProbe(broker)
        for token in UInt64(0)..<20 {
            #expect(try await probe.produce(topic, [1, 2, 3], partition: 2, token: token) == .queued)
        }
        for token in UInt64(0)..<20 {
            #expect(try await probe.report(token) == .acknowledged(partition: 2, offset: Int64(token)))
        }
        #expect(try await probe.producer.run { $0.outstanding } == 0)
        #expect(try await probe.producer.run { $0.isHealthy })
        await probe.close()
    }

    @Test(arguments: KafkaBroker.available)
    func keysChoosePartitionsAsInJava(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 16)
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        for key in ["tenant-1\u{0}order-17", "a", "", "0123456789abcdef"] {
            let receipt = try await producer.send(to: topic, key: Array(key.utf8), value: [0])
            #expect(receipt.partition == Int32(murmur2(Array(key.utf8)) & 0x7fff_ffff) % 16)
        }
        await producer.close()
    }

    /// The hash of Kafka's Java client, written from its description.
    private func murmur2(_ data: [UInt8]) -> UInt32 {
        let m: UInt32 = 0x5bd1_e995
        var hash: UInt32 = 0x9747_b28c ^ UInt32(data.count)
        var rest = data[...]
        while rest.count >= 4 {
            var word: UInt32 = 0
            for (index, byte) in rest.prefix(4).enumerated() { word |= UInt32(byte) << (8 * UInt32(index)) }
            rest = rest.dropFirst(4)
            word &*= m
            word ^= word >> 24
            word &*= m
            hash = (hash &* m) ^ word
        }
        if !rest.isEmpty {
            for (index, byte) in rest.enumerated() { hash ^= UInt32(byte) << (8 * UInt32(index)) }
            hash &*= m
        }
        hash ^= hash >> 13
        hash &*= m
        return hash ^ (hash >> 15)
    }

    @Test func aFullQueueIsSaidAtOnce() async throws {
        let broker = try KafkaBroker.ownInMemory()
        try await broker.createTopic("t")
        broker.mock?.setRoundTrip(milliseconds: 300)
        let probe = try await ProducerProbe(broker) { $0.queueMaxMessages = 5 }
        for token in UInt64(0)..<5 { #expect(try await probe.produce("t", [1], token: token) == .queued) }
        #expect(try await probe.produce("t", [1], token: 5) == .queueFull)
        for token in UInt64(0)..<5 { _ = try await probe.report(token) }
        #expect(try await probe.produce("t", [1], token: 6) == .queued)
        await probe.close()
    }

    @Test func aRecordTooLargeIsSaidAtOnce() async throws {
        let broker = try await KafkaBroker.shared(.inMemory)
        let topic = try await broker.makeTopic()
        let probe = try await ProducerProbe(broker) { $0.messageMaxBytes = 2_000 }
        #expect(try await probe.produce(topic, [UInt8](repeating: 0, count: 3_000), token: 1) == .tooLarge)
        await probe.close()
    }

    @Test func aBrokersAbsenceFailsRecordsAndItsReturnHeals() async throws {
        let broker = try KafkaBroker.ownInMemory()
        try await broker.createTopic("t")
        let probe = try await ProducerProbe(broker) { $0.messageTimeoutMilliseconds = 1_500 }
        #expect(try await probe.produce("t", [1], token: 1) == .queued)
        #expect(try await probe.report(1) == .acknowledged(partition: 0, offset: 0))
        broker.mock?.setDown()
        #expect(
            await eventually { (try? await probe.producer.run { $0.isHealthy }) == false },
            "\(probe.state.mutex.withLock { $0.errors })")
        #expect(try await probe.produce("t", [2], token: 2) == .queued)
        guard case .failed(let error, let possiblyPersisted) = try await probe.report(2) else {
            Issue.record("a record reached a broker that was down")
            return
        }
        #expect(error.code == .messageTimedOut)
        #expect(!possiblyPersisted)
        broker.mock?.setUp()
        #expect(await eventually(within: .seconds(20)) { (try? await probe.producer.run { $0.isHealthy }) == true })
        #expect(try await probe.produce("t", [3], token: 3) == .queued)
        guard case .acknowledged = try await probe.report(3) else {
            Issue.record("not acknowledged after the broker's return")
            return
        }
        #expect(probe.state.mutex.withLock { $0.health } == [true, false, true])
        await probe.close()
    }

    @Test func aFatalErrorReplacesTheInstanceAndLosesNoReport() async throws {
        let broker = try KafkaBroker.ownInMemory()
        try await broker.createTopic("t")
        let probe = try await ProducerProbe(broker) { $0.rebuildDrainMilliseconds = 500 }
        #expect(try await probe.produce("t", [1], token: 1) == .queued)
        _ = try await probe.report(1)
        broker.mock?.setRoundTrip(milliseconds: 100)
        for token in UInt64(2)..<50 { #expect(try await probe.produce("t", [1], token: token) == .queued) }
        try await probe.producer.run { $0.injectFatalError() }
        #expect(await eventually { (try? await probe.producer.run { $0.rebuilds }) == 1 })
        #expect(try await probe.produce("t", [2], token: 50) == .queued)
        guard case .acknowledged = try await probe.report(50) else {
            Issue.record("the new instance does not work")
            return
        }
        for token in UInt64(2)..<50 { _ = try await probe.report(token) }
        #expect(try await probe.producer.run { $0.outstanding } == 0)
        #expect(probe.state.mutex.withLock { $0.errors.contains { $0.isFatal } })
        await probe.close()
    }

    @Test func closingReportsWhatCouldNotBeSent() async throws {
        let broker = try KafkaBroker.ownInMemory()
        try await broker.createTopic("t")
        let probe = try await ProducerProbe(broker)
        #expect(try await probe.produce("t", [1], token: 1) == .queued)
        _ = try await probe.report(1)
        broker.mock?.setDown()
        #expect(try await probe.produce("t", [1], token: 2) == .queued)
        let _: Bool = await probe.producer.await { producer, done in
            producer.close(timeoutMilliseconds: 200) { done(true) }
        }
        guard case .failed = probe.state.mutex.withLock({ $0.reports[2] }) else {
            Issue.record("no report after close")
            return
        }
        guard case .failed = try await probe.produce("t", [1], token: 3) else {
            Issue.record("a closed producer took a record")
            return
        }
        await probe.producer.stop()
    }

    @Test func aWrongPropertyIsNamedWithItsValueAndSecretsAreMasked() async throws {
        var client = KafkaConfiguration(brokers: "127.0.0.1:1", clientID: "test")
        client.properties = ["linger.ms": "soon"]
        let wrongValue = await #expect(throws: KafkaError.self) {
            try await AsyncProducer.start(ProducerConfiguration(client))
        }
        #expect(wrongValue?.reason.contains("linger.ms = \"soon\"") == true)
        client.properties = ["no.such.thing": "1"]
        let unknown = await #expect(throws: KafkaError.self) {
            try await AsyncProducer.start(ProducerConfiguration(client))
        }
        #expect(unknown?.reason.contains("no.such.thing") == true)
        client.properties = ["enable.idempotence": "false"]
        let fixed = await #expect(throws: KafkaError.self) {
            try await AsyncProducer.start(ProducerConfiguration(client))
        }
        #expect(fixed?.reason.contains("enable.idempotence") == true)
        client.properties = ["ssl.key.password": "hush"]
        client.sasl = .init(mechanism: "PLAIN", username: "user", password: "hush")
        var dumped = ""
        dump(client, to: &dumped)
        #expect(!"\(client)\(dumped)".contains("hush"))
        #expect("\(client)".contains("ssl.key.password=********"))
    }
}
