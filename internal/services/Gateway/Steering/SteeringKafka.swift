internal import HTTPServing
internal import Kafka
internal import LifeCycle
internal import Logs
internal import ServiceSupport
internal import Synchronization

/// The gateway's own way to Kafka: what users ask for is written, and payloads are read back. Any thread.
final class SteeringKafka: Service {
    let name = "SteeringKafka"

    private struct Clients {
        var producer: AsyncProducer
        var reader: AsyncLogReader
    }

    /// How long a record may wait for its acknowledgement. Below the minute that a claim on a dead letter lasts.
    private static let acknowledgementMs = 5_000
    private static let readMs: UInt64 = 5_000

    private let context: ServiceContext
    private let clients = Mutex<Clients?>(nil)

    init(_ context: ServiceContext) { self.context = context }

    /// Throws `KafkaError` where a property is wrong.
    func run() async throws {
        let limiter = LogLimiter(every: .seconds(5))
        let report: @Sendable (KafkaError) -> Void = { [log = context.logger] error in
            log.warning("Kafka reports an error", metadata: [LogKey.error: "\(error)"], limit: limiter)
        }
        var settings = context.configuration.producer(context.name, logger: context.logger)
        settings.messageTimeoutMilliseconds = Self.acknowledgementMs
        let producer = try await AsyncProducer.start(settings, failed: report)
        let reader: AsyncLogReader
        do {
            reader = try await AsyncLogReader.start(
                context.configuration.logReader(context.name, logger: context.logger), failed: report)
        } catch {
            await producer.close(timeoutMilliseconds: 0)
            throw error
        }
        clients.withLock { $0 = Clients(producer: producer, reader: reader) }
        await gracefulShutdown()
        clients.withLock { $0 = nil }
        await reader.close()
        await producer.close()
    }

    /// Returns when Kafka has acknowledged it. Throws `HTTPProblem`.
    func send(
        to topic: String, partition: Int32, key: String, value: [UInt8], headers: RecordHeaders
    ) async throws(HTTPProblem) {
        guard let producer = clients.withLock({ $0?.producer }), await producer.isHealthy else { throw Self.away }
        do throws(KafkaError) {
            _ = try await producer.send(
                to: topic, partition: partition, key: Array(key.utf8), value: value, headers: headers)
        } catch {
            switch error.code {
            case .messageTooLarge:
                throw HTTPProblem(status: 413, code: "too_large", detail: "The payload is larger than its topic takes.")
            case .queueFull, .closed: throw Self.away
            default: throw Self.unacknowledged
            }
        }
    }

    /// The record at that place; nil where it is gone. Throws `HTTPProblem`.
    func record(_ place: RecordPlace) async throws(HTTPProblem) -> CopiedRecord? {
        guard let reader = clients.withLock({ $0?.reader }) else { throw Self.away }
        guard place.offset >= 0 else { return nil }
        do throws(KafkaError) {
            return try await reader.record(
                TopicPartition(place.topic, place.partition), at: place.offset, timeoutMilliseconds: Self.readMs)
        } catch {
            // A topic that another producer's events came from may be gone with everything in it.
            if error.code == .unknownTopic { return nil }
            throw Self.away
        }
    }

    private static let away = HTTPProblem.unavailable(
        "Kafka cannot be reached, so nothing was done; try again.", retryAfter: 2)

    /// Kafka may have the record all the same.
    static let unacknowledged = HTTPProblem(
        status: 503, code: "unacknowledged",
        detail:
            "Kafka did not acknowledge this in time and may have it all the same: look at the delivery, and try again.",
        retryAfter: 2)
}

/// Where a record lies.
struct RecordPlace: Equatable, Sendable {
    var topic: String
    var partition: Int32
    var offset: Int64
}
