internal import EventLoops
internal import Synchronization

/// A producer for code that sends a record now and then and awaits its report, from any thread. It owns an event loop's thread.
public final class AsyncProducer: Sendable {
    /// Where an acknowledged record went. The offset is nil where the broker did not say it.
    public struct Receipt: Equatable, Sendable {
        public let partition: Int32
        public let offset: Int64?
    }

    private let thread: EventLoopThread
    private let sender: Confined<Sender>

    private init(thread: EventLoopThread, sender: Confined<Sender>) {
        self.thread = thread
        self.sender = sender
    }

    /// Starts the thread and connects. Throws `KafkaError` where a property is wrong.
    public static func start(
        _ configuration: ProducerConfiguration, failed: @escaping @Sendable (KafkaError) -> Void = { _ in }
    ) async throws -> AsyncProducer {
        let thread = try EventLoopThread()
        thread.start(name: "kafka-producer")
        let made = await thread.run { loop in
            Result { () throws(KafkaError) in Confined(try Sender(configuration, on: loop, failed: failed)) }
        }
        switch made {
        case .success(let sender): return AsyncProducer(thread: thread, sender: sender)
        case .failure(let error):
            await thread.stop()
            throw error
        }
    }

    /// Whether a broker answered lately.
    public var isHealthy: Bool {
        get async { await thread.run { [sender] _ in sender.value.isHealthy } }
    }

    /// Sends a record and returns when every in-sync replica has it. Not cancellable: the message timeout bounds it.
    @discardableResult
    public func send(
        to topic: String, partition: Int32? = nil, key: [UInt8]?, value: [UInt8]?,
        headers: RecordHeaders = .none, timestamp: Int64 = 0
    ) async throws(KafkaError) -> Receipt {
        let report = await withCheckedContinuation { continuation in
            thread.loop.execute { [sender] in
                sender.value.send(
                    Outgoing(
                        topic: topic, partition: partition, key: key, value: value, headers: headers,
                        timestamp: timestamp), continuation)
            }
        }
        switch report {
        case .acknowledged(let partition, let offset): return Receipt(partition: partition, offset: offset)
        case .failed(let error, _): throw error
        }
    }

    /// Sends what is queued, fails the rest when the time is up, and ends the thread. Nothing may be sent any more.
    public func close(timeoutMilliseconds: UInt64 = 5_000) async {
        await withCheckedContinuation { continuation in
            thread.loop.execute { [sender] in
                sender.value.close(timeoutMilliseconds) { continuation.resume() }
            }
        }
        await thread.stop()
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

    func close(_ timeoutMilliseconds: UInt64, completion: @escaping () -> Void) {
        producer.close(timeoutMilliseconds: timeoutMilliseconds) { [self] in
            let left = waiters.byToken
            waiters.byToken = [:]
            for waiter in left.values {
                waiter.resume(
                    returning: .failed(KafkaError(.closed, "the producer was closed"), possiblyPersisted: true))
            }
            completion()
        }
    }
}
