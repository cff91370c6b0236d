import EventLoops
import Glibc
import HTTPServing
import JSONScanning
import Kafka

/// The least that an ingestion on h2o and librdkafka can do, from Swift: a body becomes a record, and its request is answered when
/// Kafka has it. No parsing, no envelope, no headers, no ids, no metrics.
final class BareIngestion: Sendable {
    private let brokers: String
    private let topicName: String

    init(brokers: String, topic: String) {
        self.brokers = brokers
        topicName = topic
    }

    /// Serves until the process is ended. Prints the port.
    func serve(on port: UInt16) async throws {
        var configuration = HTTPServerConfiguration(port: port)
        configuration.maximumBodyBytes = 1 << 20
        let server = HTTPServer(configuration) { [brokers, topicName] loop in
            let state = try Loop(brokers, topicName, loop)
            return [DirectRoute("POST", "/events") { state.take($0, $1) }]
        }
        let bound = try await server.start()
        printLine(jsonText { $0.member("port", bound) })
        while true { try await Task.sleep(for: .seconds(3_600)) }
    }

    /// Confined to its loop's thread.
    private final class Loop {
        private static let answer = Array(#"{"status":"accepted"}"#.utf8)
        private var producer: Producer!
        private var topic: ProducerTopic!
        private var waiting: [HTTPResponder?] = []
        private var free: [Int] = []

        init(_ brokers: String, _ name: String, _ loop: EventLoop) throws {
            var configuration = ProducerConfiguration(KafkaConfiguration(brokers: brokers, clientID: "bare"))
            configuration.lingerMilliseconds = 5
            producer = try Producer(
                configuration, on: loop,
                handlers: ProducerHandlers(report: { [unowned self] token, report in reported(Int(token), report) }))
            topic = try producer.topic(name)
        }

        func take(_ request: borrowing DirectRequest, _ responder: HTTPResponder) {
            let slot = free.popLast() ?? waiting.count
            if slot == waiting.count { waiting.append(responder) } else { waiting[slot] = responder }
            let result = producer.produce(to: topic, key: nil, value: request.body, token: UInt64(slot))
            if result != .queued { reported(slot, nil) }
        }

        private func reported(_ slot: Int, _ report: DeliveryReport?) {
            let responder = waiting[slot]
            waiting[slot] = nil
            free.append(slot)
            let isAcknowledged = if case .acknowledged? = report { true } else { false }
            Self.answer.withUnsafeBytes {
                responder?.answer(status: isAcknowledged ? 202 : 503, contentType: "application/json", $0)
            }
        }
    }
}
