internal import EventLoops
internal import Synchronization

/// A producer for code that sends a record now and then and awaits its report, from any thread. It owns an event loop's thread.
public final class AsyncProducer: Sendable {
    /// Where an acknowledged record went. The offset is nil where the broker did not say it.
    public struct Receipt: Equatable, Sendable {
        public let partition: Int32
        public let offset: Int64?
    }

    private let sender: OwnLoop<Sender>

    private init(_ sender: OwnLoop<Sender>) { self.sender = sender }

    /// Starts the thread and connects. Throws where a property is wrong, naming it.
    public static func start(
        _ configuration: ProducerConfiguration, failed: @escaping @Sendable (KafkaError) -> Void = { _ in }
    ) async throws(KafkaError) -> AsyncProducer {
        AsyncProducer(
            try await OwnLoop.start(name: "kafka-producer") { loop throws(KafkaError) in
                try Sender(configuration, on: loop, failed: failed)
            })
    }

    /// Whether a broker answered lately.
    public var isHealthy: Bool {
        get async {
            await withCheckedContinuation { continuation in
                if !sender.submit({ continuation.resume(returning: $0.isHealthy) }) {
                    continuation.resume(returning: false)
                }
            }
        }
    }

    /// Sends a record and returns when every in-sync replica has it. Not cancellable: the message timeout bounds it.
    @discardableResult
    public func send(
        to topic: String, partition: Int32? = nil, key: [UInt8]?, value: [UInt8]?,
        headers: RecordHeaders = .none, timestamp: Int64 = 0
    ) async throws(KafkaError) -> Receipt {
        let record = Outgoing(
            topic: topic, partition: partition, key: key, value: value, headers: headers, timestamp: timestamp)
        let report = await withCheckedContinuation { (continuation: CheckedContinuation<DeliveryReport, Never>) in
            if !sender.submit({ $0.send(record, continuation) }) { Sender.refuse(continuation) }
        }
        switch report {
        case .acknowledged(let partition, let offset): return Receipt(partition: partition, offset: offset)
        case .failed(let error, _): throw error
        }
    }

    /// Sends what is queued, fails the rest when the time is up, and ends the thread.
    public func close(timeoutMilliseconds: UInt64 = 5_000) async {
        await sender.close { sender, done in sender.close(timeoutMilliseconds, completion: done) }
    }
}

private struct Outgoing: Sendable {
    let topic: String
    let partition: Int32?
    let key: [UInt8]?
    let value: [UInt8]?
    let headers: RecordHeaders
    let timestamp: Int64
}

/// The part that lives on the loop: a producer and who waits for which report.
private final class Sender {
    private typealias Waiter = CheckedContinuation<DeliveryReport, Never>

    private final class Waiters {
        var byToken: [UInt64: Waiter] = [:]
        var lastToken: UInt64 = 0
    }

    private let waiters: Waiters
    private let producer: Producer

    init(
        _ configuration: ProducerConfiguration, on loop: EventLoop, failed: @escaping @Sendable (KafkaError) -> Void
    ) throws(KafkaError) {
        let waiters = Waiters()
        self.waiters = waiters
        producer = try Producer(
            configuration, on: loop,
            handlers: ProducerHandlers(
                report: { token, report in waiters.byToken.removeValue(forKey: token)?.resume(returning: report) },
                failed: failed))
    }

    var isHealthy: Bool { producer.isHealthy }

    func send(_ record: Outgoing, _ waiter: CheckedContinuation<DeliveryReport, Never>) {
        waiters.lastToken += 1
        switch produce(record, token: waiters.lastToken) {
        case .queued: waiters.byToken[waiters.lastToken] = waiter
        case .queueFull: fail(waiter, KafkaError(.queueFull, "too many records wait for their acknowledgement"))
        case .tooLarge: fail(waiter, KafkaError(.messageTooLarge, "the record is larger than message.max.bytes"))
        case .failed(let error): fail(waiter, error)
        }
    }

    private func produce(_ record: Outgoing, token: UInt64) -> ProduceResult {
        do throws(KafkaError) {
            let topic = try producer.topic(record.topic)
            return withBytes(record.key) { key in
                withBytes(record.value) { value in
                    producer.produce(
                        to: topic, partition: record.partition, key: key, value: value, headers: record.headers,
                        timestamp: record.timestamp, token: token)
                }
            }
        } catch {
            return .failed(error)
        }
    }

    private func withBytes<Result>(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer?) -> Result) -> Result {
        guard let bytes else { return body(nil) }
        return bytes.withUnsafeBytes { body($0) }
    }

    private func fail(_ waiter: CheckedContinuation<DeliveryReport, Never>, _ error: KafkaError) {
        waiter.resume(returning: .failed(error, possiblyPersisted: false))
    }

    private static let closed = KafkaError(.closed, "the producer was closed")

    static func refuse(_ waiter: CheckedContinuation<DeliveryReport, Never>) {
        waiter.resume(returning: .failed(closed, possiblyPersisted: false))
    }

    func close(_ timeoutMilliseconds: UInt64, completion: @escaping () -> Void) {
        producer.close(timeoutMilliseconds: timeoutMilliseconds) { [self] in
            let left = waiters.byToken
            waiters.byToken = [:]
            for waiter in left.values {
                waiter.resume(returning: .failed(Self.closed, possiblyPersisted: true))
            }
            completion()
        }
    }
}
