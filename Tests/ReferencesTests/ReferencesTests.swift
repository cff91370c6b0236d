import EventLoops
import Kafka
import References
import TestSupport
import Testing

/// Runs what blocks on a thread of its own.
private func onThread<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        NativeThread.start(name: "reference") { continuation.resume(with: Swift.Result { try work() }) }
    }
}

@Suite struct ReferencesTests {
    @Test(arguments: [(500, 16), (5, 64), (1, 1)])
    func everyRequestIsMade(requests: Int, inFlight: Int) async throws {
        let receiver = try await Receiver(paths: ["/hook"])
        let url = receiver.url("/hook")
        let body = [UInt8](repeating: UInt8(ascii: "b"), count: 3_000)
        let result = try await onThread {
            try References.post(
                to: url, requests: requests, inFlight: inFlight, body: body, timeLimitSeconds: 30)
        }
        #expect(result.completed == requests && result.failed == 0 && result.reason == "")
        #expect(result.seconds > 0 && result.cpuSeconds > 0 && result.cpuMicroseconds > 0 && result.rate > 0)
        #expect(receiver.total == requests)
        #expect(receiver.requests.allSatisfy { $0.body == body && $0.header("expect") == nil })
        #expect(receiver.mostRunning <= inFlight)
        await receiver.stop()
    }

    @Test func connectionsAreKept() async throws {
        let server = RawServer { connection, _ in
            while connection.request() != nil { connection.answer() }
        }
        let url = server.url()
        let result = try await onThread {
            try References.post(to: url, requests: 300, inFlight: 4, body: [1], timeLimitSeconds: 30)
        }
        #expect(result.completed == 300)
        #expect(server.connections == 4)
        server.stop()
    }

    @Test func whatIsNoSuccessHasFailed() async throws {
        let receiver = try await Receiver(paths: ["/hook"], status: { _ in 503 })
        let url = receiver.url("/hook")
        let refused = try await onThread {
            try References.post(to: url, requests: 10, inFlight: 2, body: [], timeLimitSeconds: 30)
        }
        #expect(refused.completed == 0 && refused.failed == 10 && refused.reason == "answered with 503")
        await receiver.stop()
        let port = freePort()
        let away = try await onThread {
            try References.post(
                to: "http://127.0.0.1:\(port)/", requests: 10, inFlight: 2, body: [], timeLimitSeconds: 30)
        }
        #expect(away.completed == 0 && away.failed == 10 && away.reason.contains("connect"))
    }

    @Test func anEndpointThatHangsEndsWithTheTime() async throws {
        let server = RawServer { connection, _ in connection.awaitClose() }
        let url = server.url()
        let result = try await onThread {
            try References.post(to: url, requests: 10, inFlight: 2, body: [1], timeLimitSeconds: 0.3)
        }
        #expect(result.completed == 0 && result.failed == 10 && result.reason == "the time was up")
        #expect(result.seconds >= 0.3)
        server.stop()
    }

    @Test(arguments: KafkaBroker.available)
    func everyRecordIsAcknowledgedAndReadBack(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let brokers = broker.bootstrapServers
        let topic = try await broker.makeTopic("references", partitions: 4)
        let produced = try await onThread {
            try References.produce(
                brokers: brokers, topic: topic, records: 2_500, bytes: 500, timeLimitSeconds: 30)
        }
        #expect(produced.completed == 2_500 && produced.failed == 0 && produced.reason == "")
        #expect(produced.seconds > 0 && produced.cpuSeconds > 0)
        let read = try await onThread {
            try References.consume(brokers: brokers, topic: topic, records: 2_500, timeLimitSeconds: 30)
        }
        #expect(read.completed == 2_500 && read.failed == 0 && read.reason == "")
        // No more were written than were acknowledged.
        let more = try await onThread {
            try References.consume(brokers: brokers, topic: topic, records: 2_501, timeLimitSeconds: 1)
        }
        #expect(more.completed == 2_500 && more.failed == 1 && more.reason == "the time was up")
    }

    @Test func brokersThatAreAwayAreSaidSo() async throws {
        let brokers = "127.0.0.1:\(freePort())"
        await #expect(throws: References.Failure.self) {
            try await onThread {
                try References.produce(brokers: brokers, topic: "t", records: 1, bytes: 1, timeLimitSeconds: 0.3)
            }
        }
        await #expect(throws: References.Failure.self) {
            try await onThread {
                try References.consume(brokers: brokers, topic: "t", records: 1, timeLimitSeconds: 0.3)
            }
        }
    }

    @Test func whatIsNotAcknowledgedHasFailed() async throws {
        let broker = try KafkaBroker.ownInMemory()
        let mock = try #require(broker.mock)
        let brokers = broker.bootstrapServers
        let topic = try await broker.makeTopic("references")
        // NOT_ENOUGH_REPLICAS: tried again until the time is up.
        mock.fail(.produce, with: Array(repeating: KafkaError.Code(rawValue: 19), count: 1_000))
        let result = try await onThread {
            try References.produce(
                brokers: brokers, topic: topic, records: 100, bytes: 100, timeLimitSeconds: 0.7)
        }
        #expect(result.completed == 0 && result.failed == 100 && result.reason == "the time was up")
    }
}
