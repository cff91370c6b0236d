internal import EventLoops
internal import HTTPServing
internal import Kafka
internal import Logs
internal import Metrics
internal import Redis
internal import ServiceSupport

/// One server thread of ingestion, with its own producer and its own connection to Redis: an event is taken, produced and answered on
/// this thread alone. What it does with each is decided in `Decisions`.
///
///     request ─► parse ─► build the record ─► id seen? (Redis) ─► produce ─► … report ─► 202
final class IngestionLoop {
    /// An event on its way to Kafka.
    private struct Pending {
        var asker: Asker
        /// Where the id is marked, if it is.
        var mark: EventMark?
        var since: UInt64
    }

    /// How long an event may wait for Kafka's acknowledgement, and its producer for an answer. Below `DuplicateFilter.pendingSeconds`.
    private static let acknowledgementMs = 5_000
    /// Waiting for others makes batches, which is what an event costs least in; it is a small part of what an acknowledgement takes.
    private static let lingerMs = 5
    /// A Redis that is slower is treated as away: its connection is dropped, and events are taken without it until it is back.
    private static let redisPatienceMs: UInt64 = 250
    /// Records that are kept for the next event, and the largest one that is.
    private static let keptRecords = 1_024
    private static let keptRecordBytes = 4 << 10

    /// Ids that may be looked up at once: those of several batches.
    private static let maximumLookUps = 100_000

    private let path: String
    private let metrics: IngestionMetrics
    private let limits: EventSettings
    private var access: EventAccess
    private var parser: EventParser
    private var stamp = EventStamp()
    private var spareRecords: [EventRecord] = []
    private let filter: DuplicateFilter
    private var producer: Producer!
    private var topic: ProducerTopic!
    private var rota: PartitionRota
    private var pending = SlotTable<Pending>()

    init(
        _ context: ServiceContext, path: String, isOpen: Bool, metrics: IngestionMetrics, health: LoopHealth,
        loop: EventLoop
    ) throws {
        self.path = path
        self.metrics = metrics
        let configuration = context.configuration
        limits = configuration.events
        access = try EventAccess(configuration, isOpen: isOpen)
        parser = EventParser(maximumBytes: limits.maxSizeBytes)
        filter = Self.makeFilter(context, health, loop)
        let partitions = configuration.kafka.partitions
        rota = PartitionRota(partitions: partitions, turnMs: Self.lingerMs, startingAt: .random(in: 0..<partitions))
        let index = health.addLoop()
        let log = context.logger
        let limiter = LogLimiter()
        var settings = configuration.producer(context.name, logger: log)
        settings.messageTimeoutMilliseconds = Self.acknowledgementMs
        settings.lingerMilliseconds = Self.lingerMs
        producer = try Producer(
            settings, on: loop,
            handlers: ProducerHandlers(
                report: { [unowned self] token, report in reported(token, report) },
                healthChanged: { health.kafka(ofLoop: index, isUp: $0) },
                failed: {
                    log.warning("the producer reports an error", metadata: [LogKey.error: "\($0)"], limit: limiter)
                }))
        topic = try producer.topic(configuration.kafka.topics.events)
        metrics.window.set(filter.window.seconds)
    }

    private static func makeFilter(_ context: ServiceContext, _ health: LoopHealth, _ loop: EventLoop)
        -> DuplicateFilter
    {
        let configuration = context.configuration
        var client = configuration.redis.client(context.name)
        client.commandTimeoutMilliseconds = redisPatienceMs
        client.maximumPending = maximumLookUps
        let log = context.logger
        let limiter = LogLimiter()
        let redis = RedisConnection(loop: loop, configuration: client) { event in
            health.redis(event)
            if case .connected = event { return log.info("connected to Redis") }
            log.warning("Redis is away: ids are not remembered", metadata: [LogKey.reason: "\(event)"], limit: limiter)
        }
        redis.connect()
        let settings = configuration.ingestion
        return DuplicateFilter(
            redis, log: configuration.kafka.logID + "/" + configuration.kafka.topics.events,
            window: DuplicateWindow(
                windowSeconds: settings.dedupWindow.milliseconds / 1_000,
                memoryBytes: settings.dedupMemoryBytes / settings.threads, now: EventLoop.monotonicNanoseconds()))
    }

    var routes: [DirectRoute] {
        [
            DirectRoute("POST", path, maximumBodyBytes: limits.maxSizeBytes) { [self] request, responder in
                answering(responder) { () throws(HTTPProblem) in try take(request, responder) }
            },
            DirectRoute("POST", path + "/batch", maximumBodyBytes: limits.maxBatchBytes) { [self] request, responder in
                answering(responder) { () throws(HTTPProblem) in try takeBatch(request, responder) }
            },
        ]
    }

    // MARK: Requests

    private func answering(_ responder: HTTPResponder, _ work: () throws(HTTPProblem) -> Void) {
        do throws(HTTPProblem) {
            try work()
        } catch {
            metrics.refused.increment()
            responder.answer(error)
        }
    }

    private func take(_ request: borrowing DirectRequest, _ responder: HTTPResponder) throws(HTTPProblem) {
        let tenant = try admit(request)
        let event = try build(request.body, tenant, traceParent: request.header("traceparent"))
        send(event, for: .one(responder, id: Array(event.record.idJSON)))
    }

    /// Every event is checked before the first is sent on.
    private func takeBatch(_ request: borrowing DirectRequest, _ responder: HTTPResponder) throws(HTTPProblem) {
        let tenant = try admit(request)
        let body = request.body
        let traceParent = request.header("traceparent")
        var events: [CheckedEvent] = []
        for place in try parser.parseBatch(body, limits) {
            do throws(HTTPProblem) {
                events.append(
                    try build(UnsafeRawBufferPointer(rebasing: body[place]), tenant, traceParent: traceParent))
            } catch {
                throw error.ofElement(events.count)
            }
        }
        let batch = EventBatch(events, responder)
        for (index, event) in events.enumerated() where !batch.isRepetition(index) {
            send(event, for: .batch(batch, index))
        }
    }

    /// Returns the tenant whose events these are.
    private func admit(_ request: borrowing DirectRequest) throws(HTTPProblem) -> String {
        stamp.readClock()
        let tenant = try access.tenant(authorization: request.header("authorization"), nowMs: stamp.now)
        try checkMediaType(of: request)
        return tenant
    }

    // MARK: One event

    private func build(
        _ body: UnsafeRawBufferPointer, _ tenant: String, traceParent: UnsafeRawBufferPointer?
    ) throws(HTTPProblem) -> CheckedEvent {
        let event = try parser.parse(body)
        var record = spareRecords.popLast() ?? EventRecord()
        record.build(event, body: body, tenant: tenant, traceParent: traceParent, stamp: &stamp)
        try parser.checkSize(record.value.count)
        let mark = event.id?.withBytes(of: body) { id in
            event.source.withBytes(of: body) { filter.mark(tenant: tenant, source: $0, id: id) }
        }
        return CheckedEvent(record: record, mark: mark)
    }

    /// The request's memory is gone when Redis answers; the record is not.
    private func send(_ event: consuming CheckedEvent, for asker: Asker) {
        guard producer.isHealthy else { return end(.kafkaAway, asker) }
        guard let mark = event.mark else { return produce(event.record, mark: nil, for: asker) }
        let record = event.record
        filter.look(mark) { [self] sighting in
            if sighting == .unknown { metrics.unremembered.increment() }
            switch NextStep(after: sighting) {
            case .produce(let marked): produce(record, mark: marked ? mark : nil, for: asker)
            case .end(let ending): end(ending, asker)
            }
        }
    }

    private func produce(_ record: consuming EventRecord, mark: EventMark?, for asker: Asker) {
        let now = EventLoop.monotonicNanoseconds()
        let partition = record.isOrdered ? nil : rota.next(now: now)
        let token = pending.insert(Pending(asker: asker, mark: mark, since: now))
        let result = record.key.withUnsafeBytes { key in
            record.value.withUnsafeBytes { value in
                producer.produce(
                    to: topic, partition: partition, key: key, value: value, headers: record.headers, token: token)
            }
        }
        if let verdict = Verdict(result) { settle(token, verdict) }
        if spareRecords.count < Self.keptRecords, record.heldBytes <= Self.keptRecordBytes {
            spareRecords.append(record)
        }
    }

    private func reported(_ token: UInt64, _ report: DeliveryReport) { settle(token, Verdict(report)) }

    private func settle(_ token: UInt64, _ verdict: Verdict) {
        guard let event = pending.remove(token) else { return }
        if let mark = event.mark { filter.change(verdict.mark, of: mark) }
        if verdict.ending == .accepted {
            metrics.produced.increment()
            metrics.window.set(filter.window.seconds)
            metrics.acknowledgement.observe(nanoseconds: EventLoop.monotonicNanoseconds() - event.since)
        }
        end(verdict.ending, event.asker)
    }

    // MARK: Answers

    private func end(_ ending: Ending, _ asker: Asker) {
        metrics.count(ending)
        switch asker {
        case .one(let responder, let id): ending.answer(responder, id: id)
        case .batch(let batch, let index):
            batch.end(index, ending)
            for repetition in batch.repetitions(of: index) { end(ending.ofRepetition, .batch(batch, repetition)) }
        }
    }
}
