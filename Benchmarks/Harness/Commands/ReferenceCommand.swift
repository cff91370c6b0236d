import EventLoops
import Flags
import HTTPServing
import JSONScanning
import Kafka
import References

/// What the libraries that Martlet stands on take by themselves, in this session.
enum Reference: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// libcurl's multi interface posting to the receiver.
    case curl
    /// librdkafka's producer and its consumer.
    case produce, consume
    /// h2o's library with librdkafka behind it, from Swift: a POST answered when Kafka has its body.
    case h2o
}

struct ReferenceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reference", abstract: "What a bare library takes: JSON with its rate and CPU.")

    @Argument(help: "curl, produce, consume or h2o.") var reference: Reference
    @Option(help: "Where curl posts to.") var url = ""
    @Option(help: "Kafka's brokers.") var brokers = ""
    @Option(help: "A topic of the reference's own.") var topic = "bench-reference"
    @Option(help: "Requests or records.") var count = 200_000
    @Option(help: "h2o's port.") var port = 0

    func run() async throws {
        let (url, brokers, topic, count) = (url, brokers, topic, count)
        switch reference {
        case .curl:
            let body = [UInt8](repeating: UInt8(ascii: "x"), count: 500)
            try await tell {
                try References.post(to: url, requests: count, inFlight: 64, body: body, timeLimitSeconds: 60)
            }
        case .produce:
            try await tell {
                try References.produce(brokers: brokers, topic: topic, records: count, bytes: 500, timeLimitSeconds: 60)
            }
        case .consume:
            try await tell {
                try References.consume(brokers: brokers, topic: topic, records: count, timeLimitSeconds: 60)
            }
        case .h2o: try await BareIngestion(brokers: brokers, topic: topic).serve(on: UInt16(clamping: port))
        }
    }

    private func tell(_ body: @escaping @Sendable () throws -> References.Result) async throws {
        let result = try await onThread("reference", body)
        printLine(
            jsonText { writer in
                writer.member("completed", result.completed)
                writer.member("failed", result.failed)
                writer.reference(perSecond: result.rate, cpuMicroseconds: result.cpuMicroseconds)
                writer.member("reason", result.reason)
            })
    }
}
