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
        var responder: HTTPResponder
        /// What is answered when Kafka has it.
        var acceptance: [UInt8]
        /// Where the id is marked, if it is.
        var mark: RedisArgument?
        var since: UInt64
    }

    /// How long an event may wait for Kafka's acknowledgement, and its producer for an answer. Below `DuplicateFilter.pendingSeconds`.
    private static let acknowledgementMs = 5_000
    /// Waiting for others makes batches, which is what an event costs least in; it is a small part of what an acknowledgement takes.
    private static let lingerMs = 5
    /// A Redis that is slower is treated as away: its connection is dropped, and events are taken without it until it is back.
    private static let redisPatienceMs: UInt64 = 250
    /// Records that are kept for the next event, and the largest one that is.
    private static let keptRecords = 64
    private static let keptRecordBytes = 16 << 10

    private let path: String
    private let metrics: IngestionMetrics
    private let maximumBytes: Int
    private var access: EventAccess
    private var parser: EventParser
    private var stamp = EventStamp()
    private var spareRecords: [EventRecord] = []
    private let filter: DuplicateFilter
    private var producer: Producer!
    private var topic: ProducerTopic!
    private var pending = SlotTable<Pending>()

    init(
        _ context: ServiceContext, path: String, isOpen: Bool, metrics: IngestionMetrics, health: LoopHealth,
        loop: EventLoop
    ) throws {
        self.path = path
        self.metrics = metrics
        let configuration = context.configuration
        maximumBytes = configuration.events.maxSizeBytes
        access = try EventAccess(configuration, isOpen: isOpen)
        parser = EventParser(maximumBytes: maximumBytes)
        filter = Self.makeFilter(context, health, loop)
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
        [DirectRoute("POST", path) { [self] request, responder in take(request, responder) }]
    }

    // MARK: One event

    private func take(_ request: borrowing DirectRequest, _ responder: HTTPResponder) {
        do throws(HTTPProblem) {
            stamp.readClock()
            let tenant = try access.tenant(authorization: request.header("authorization"), nowMs: stamp.now)
            try checkMediaType(of: request)
            let body = request.body
            let event = try parser.parse(body)
            guard producer.isHealthy else { return end(.kafkaAway, responder) }
            var record = spareRecords.popLast() ?? EventRecord()
            record.build(
                event, body: body, tenant: tenant, traceParent: request.header("traceparent"), stamp: &stamp)
            guard record.value.count <= maximumBytes else {
                throw EventParser.tooLarge(record.value.count, maximumBytes)
            }
            guard let id = event.id else { return produce(record, mark: nil, responder) }
            let mark = id.withBytes(of: body) { id in
                event.source.withBytes(of: body) { filter.key(tenant: tenant, source: $0, id: id) }
            }
            lookUp(record, mark, responder)
        } catch {
            metrics.refused.increment()
            responder.answer(error)
        }
    }

    /// The request's memory is gone when Redis answers; the record is not.
    private func lookUp(_ record: consuming EventRecord, _ mark: RedisArgument, _ responder: HTTPResponder) {
        filter.look(mark) { [self, record] sighting in
            if sighting == .unknown { metrics.unremembered.increment() }
            switch NextStep(after: sighting) {
            case .produce(let marked): produce(record, mark: marked ? mark : nil, responder)
            case .end(.duplicate):
                metrics.count(.duplicate)
                accept(responder, Ending.acceptance(id: record.idJSON, isDuplicate: true))
            case .end(let ending): end(ending, responder)
            }
        }
    }

    private func produce(_ record: consuming EventRecord, mark: RedisArgument?, _ responder: HTTPResponder) {
        let event = Pending(
            responder: responder, acceptance: Ending.acceptance(id: record.idJSON, isDuplicate: false), mark: mark,
            since: EventLoop.monotonicNanoseconds())
        let token = pending.insert(event)
        let result = record.key.withUnsafeBytes { key in
            record.value.withUnsafeBytes { value in
                producer.produce(to: topic, key: key, value: value, headers: record.headers, token: token)
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
        guard verdict.ending == .accepted else { return end(verdict.ending, event.responder) }
        metrics.count(.accepted)
        metrics.produced.increment()
        metrics.window.set(filter.window.seconds)
        metrics.acknowledgement.observe(nanoseconds: EventLoop.monotonicNanoseconds() - event.since)
        accept(event.responder, event.acceptance)
    }

    // MARK: Answers

    private func accept(_ responder: HTTPResponder, _ body: [UInt8]) {
        body.withUnsafeBytes { responder.answer(status: 202, contentType: "application/json", $0) }
    }

    private func end(_ ending: Ending, _ responder: HTTPResponder) {
        metrics.count(ending)
        if let problem = ending.problem { responder.answer(problem) }
    }
}
