internal import CKafka
public import EventLoops

/// An idempotent producer with `acks=all`, confined to one event loop: every call is made, and every handler called, on
/// that loop's thread.
///
/// ```
/// produce ─► current instance ─► reports ─► handlers.report
///                │ fatal error (sequence desynchronised, fenced, …)
///                ▼
///            retiring: what was not sent fails at once, what was is awaited for a bounded time ─► gone
/// ```
/// Meanwhile a new instance takes over. A record sent again after a report of `failed(possiblyPersisted: true)` may be in
/// the log twice: the new instance has another producer id.
public final class Producer {
    private let loop: EventLoop
    private let configuration: ProducerConfiguration
    private let handlers: ProducerHandlers
    private var topicNames: [String] = []
    private var current: ProducerInstance?
    private var retiring: [ProducerInstance] = []
    private var health: BrokerHealth?
    private var flushes: [Int: Flush] = [:]
    private var flushesStarted = 0
    private var isClosed = false

    /// How often the instance was replaced after a fatal error.
    public private(set) var rebuilds = 0

    private struct Flush {
        let timer: TimerID
        let completion: (_ outstanding: Int) -> Void
    }

    /// Connecting begins at once; nothing blocks. Throws where a property is wrong, naming it.
    public init(
        _ configuration: ProducerConfiguration, on loop: EventLoop, handlers: ProducerHandlers
    ) throws(KafkaError) {
        self.loop = loop
        self.configuration = configuration
        self.handlers = handlers
        let instance = try makeInstance()
        current = instance
        health = BrokerHealth(instance.handle, on: loop, changed: handlers.healthChanged)
    }

    deinit { health?.stop() }

    /// Whether a broker answered lately. False until the first one did, and from about a second after the last one went.
    public var isHealthy: Bool { health?.isHealthy ?? false }

    /// Records that were queued and have no report yet.
    public var outstanding: Int { retiring.reduce(current?.outstanding ?? 0) { $0 + $1.outstanding } }

    /// Names a topic for `produce`. Asking again for the same one is cheap. Throws for a name that Kafka does not allow.
    public func topic(_ name: String) throws(KafkaError) -> ProducerTopic {
        if let index = topicNames.firstIndex(of: name) { return ProducerTopic(index: index) }
        try current?.add(topic: name)
        topicNames.append(name)
        return ProducerTopic(index: topicNames.count - 1)
    }

    /// Queues a record; everything is copied before the call returns. Never blocks.
    ///
    /// Without a `partition` the key's murmur2 hash chooses (as in Java), or chance where there is no key. `timestamp` is in
    /// milliseconds since 1970, 0 for now. A nil value is a tombstone. Where the answer is `.queued`, `handlers.report` is
    /// called with the token, later.
    public func produce(
        to topic: ProducerTopic, partition: Int32? = nil, key: UnsafeRawBufferPointer?,
        value: UnsafeRawBufferPointer?, headers: borrowing RecordHeaders = .none, timestamp: Int64 = 0, token: UInt64
    ) -> ProduceResult {
        guard let current else {
            return .failed(KafkaError(.closed, isClosed ? "the producer is closed" : "the producer is being replaced"))
        }
        let code = headers.bytes.withUnsafeBufferPointer { packed in
            var record = ckafka_record(
                key: Self.address(key), key_length: key?.count ?? 0, value: Self.address(value),
                value_length: value?.count ?? 0, headers: packed.baseAddress, header_count: headers.count,
                timestamp_ms: timestamp, token: UInt(token), partition: partition ?? -1)
            return current.produce(topic.index, &record)
        }
        switch code {
        case RD_KAFKA_RESP_ERR_NO_ERROR: return .queued
        case RD_KAFKA_RESP_ERR__QUEUE_FULL: return .queueFull
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE: return .tooLarge
        case RD_KAFKA_RESP_ERR__FATAL:
            // The error's event is on its way too: the first of the two counts.
            let error = KafkaError(.fatal, "the producer is being replaced", isFatal: true)
            failed(error, in: current)
            return .failed(error)
        default: return .failed(KafkaError(code))
        }
    }

    /// An empty buffer may have no address, which would mean null to librdkafka.
    private static func address(_ buffer: UnsafeRawBufferPointer?) -> UnsafeRawPointer? {
        guard let buffer else { return nil }
        return buffer.baseAddress ?? UnsafeRawPointer(bitPattern: 1)
    }

    // MARK: Ending

    /// Calls `completion` when nothing is outstanding any more, or after the timeout, with what then still is.
    public func flush(timeoutMilliseconds: UInt64, completion: @escaping (_ outstanding: Int) -> Void) {
        guard outstanding > 0 else { return completion(0) }
        flushesStarted += 1
        let flush = flushesStarted
        let timer = loop.after(milliseconds: timeoutMilliseconds) { [weak self] in self?.end(flush) }
        flushes[flush] = Flush(timer: timer, completion: completion)
    }

    private func end(_ flush: Int) {
        guard let ended = flushes.removeValue(forKey: flush) else { return }
        loop.cancel(ended.timer)
        ended.completion(outstanding)
    }

    /// Takes no more records, flushes, fails what is left when the time is up, and calls `completion`.
    public func close(timeoutMilliseconds: UInt64, completion: @escaping () -> Void) {
        isClosed = true
        health?.stop()
        if let instance = current { retiring.append(instance) }
        current = nil
        flush(timeoutMilliseconds: timeoutMilliseconds) { [self] left in
            guard left > 0 else { return finish(completion) }
            for instance in retiring { instance.purge(inFlight: true) }
            flush(timeoutMilliseconds: 1_000) { [self] _ in finish(completion) }
        }
    }

    private func finish(_ completion: () -> Void) {
        retiring.removeAll()
        completion()
    }

    // MARK: Instances

    private func makeInstance() throws(KafkaError) -> ProducerInstance {
        try ProducerInstance(
            configuration, topics: topicNames, on: loop,
            onReport: { [unowned self] token, report in
                switch report {
                case .acknowledged: health?.brokerAnswered()
                case .failed(let error, _): if error.code == .messageTimedOut { health?.doubt() }
                }
                handlers.report(token, report)
            },
            onEvent: { [unowned self] instance, event in
                switch event {
                case .reports: reportsArrived(from: instance)
                case .failed(let error): failed(error, in: instance)
                }
            })
    }

    private func reportsArrived(from instance: ProducerInstance) {
        if instance.outstanding == 0, !isClosed { retiring.removeAll { $0 === instance } }
        if !flushes.isEmpty, outstanding == 0 { for flush in flushes.keys.sorted() { end(flush) } }
    }

    private func failed(_ error: KafkaError, in instance: ProducerInstance) {
        guard error.isFatal else {
            if error.code == .allBrokersDown { health?.doubt() }
            return handlers.failed(error)
        }
        guard current === instance else { return }
        handlers.failed(instance.handle.fatalError ?? error)
        replace(instance)
    }

    /// Retires an instance that met a fatal error, and starts its successor.
    private func replace(_ failed: ProducerInstance) {
        current = nil
        rebuilds += 1
        if failed.outstanding > 0 {
            retiring.append(failed)
            failed.purge(inFlight: false)
            loop.after(milliseconds: configuration.rebuildDrainMilliseconds) { [weak failed] in
                failed?.purge(inFlight: true)
            }
        }
        start()
    }

    /// Starts a new instance; where the system has no resources for it, again in a second.
    private func start() {
        guard !isClosed, current == nil else { return }
        do throws(KafkaError) {
            let instance = try makeInstance()
            current = instance
            health?.follow(instance.handle)
        } catch {
            handlers.failed(error)
            loop.after(milliseconds: 1_000) { [weak self] in self?.start() }
        }
    }

    /// For tests: makes librdkafka believe that it met a fatal error.
    func injectFatalError() {
        guard let current else { return }
        rd_kafka_test_fatal_error(current.handle.pointer, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "injected")
    }
}
