internal import CLinux
internal import Cryptography
internal import EventLoops
internal import HTTPServing
internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import Redis
internal import ServiceSupport

/// One server thread of ingestion, with its own producer and its own connection to Redis: an event is taken, produced and answered on
/// this thread alone.
///
///     request ─► parse ─► id seen? (Redis) ─► produce ─► … report ─► 202
final class IngestionLoop {
    /// An event on its way to Kafka.
    private struct Pending {
        var responder: HTTPResponder
        var id: String
        var key: RedisArgument?
        var since: UInt64
    }

    /// How long an event may wait for Kafka's acknowledgement; the producer of the event waits as long.
    private static let acknowledgementMs = 5_000

    private let path: String
    private let metrics: IngestionMetrics
    private let logID: String
    private let access: EventAccess
    private var parser: EventParser
    private var record = EventRecord()
    private let random = BufferedRandom()
    private let redis: RedisConnection
    private let filter: DuplicateFilter
    private var producer: Producer!
    private var topic: ProducerTopic!
    private var pending: [UInt64: Pending] = [:]
    private var nextToken: UInt64 = 0

    init(
        _ context: ServiceContext, path: String, metrics: IngestionMetrics, access: EventAccess, health: ReadinessFlag,
        loop: EventLoop
    ) throws {
        self.path = path
        self.metrics = metrics
        logID = context.configuration.kafka.logID
        self.access = access
        let configuration = context.configuration
        parser = EventParser(maximumBytes: configuration.events.maxSizeBytes)
        let log = context.logger
        let limiter = LogLimiter()
        redis = RedisConnection(loop: loop, configuration: configuration.redis.client(context.name)) { event in
            if case .connected = event { return }
            log.warning("Redis is away: ids are not remembered", metadata: [LogKey.reason: "\(event)"], limit: limiter)
        }
        filter = DuplicateFilter(
            redis,
            window: DuplicateWindow(
                windowSeconds: configuration.ingestion.dedupWindow.milliseconds / 1_000,
                memoryBytes: configuration.ingestion.dedupMemoryBytes, now: EventLoop.monotonicNanoseconds()))
        var settings = configuration.producer(context.name, logger: log)
        settings.messageTimeoutMilliseconds = Self.acknowledgementMs
        producer = try Producer(
            settings, on: loop,
            handlers: ProducerHandlers(
                report: { [unowned self] token, report in reported(token, report) },
                healthChanged: { health.set($0 ? .ready : .unavailable("no broker answers")) },
                failed: {
                    log.warning("the producer reports an error", metadata: [LogKey.error: "\($0)"], limit: limiter)
                }))
        topic = try producer.topic(configuration.kafka.topics.events)
        redis.connect()
        metrics.window.set(filter.window.seconds)
    }

    var routes: [DirectRoute] {
        [DirectRoute("POST", path) { [self] request, responder in take(request, responder) }]
    }

    // MARK: One event

    private func take(_ request: borrowing DirectRequest, _ responder: HTTPResponder) {
        do throws(HTTPProblem) {
            let tenant = try access.tenant(authorization: request.header("authorization"), nowMs: clinux_realtime_ms())
            guard Answers.isJSON(request.header("content-type")) else { throw Answers.wrongContentType }
            let event = try parser.parse(request.body)
            guard producer.isHealthy else { throw Answers.kafkaAway }
            record.build(
                event, body: request.body, tenant: tenant, traceParent: request.header("traceparent"),
                nowMs: clinux_realtime_ms(),
                random: random)
            guard event.id != nil else { return produce(record, key: nil, responder) }
            lookUp(
                record, DuplicateFilter.key(log: logID, tenant: tenant, source: event.source, id: record.id), responder)
        } catch {
            refuse(responder, error)
        }
    }

    private func refuse(_ responder: HTTPResponder, _ problem: HTTPProblem) {
        (problem.status == 503 ? metrics.unavailable : metrics.refused).increment()
        responder.answer(problem)
    }

    /// The request's memory is gone when Redis answers: the record is kept.
    private func lookUp(_ record: EventRecord, _ key: RedisArgument, _ responder: HTTPResponder) {
        filter.look(key) { [self] sighting in
            switch sighting {
            case .new: produce(record, key: key, responder)
            case .accepted:
                metrics.duplicates.increment()
                responder.answer(Answers.accepted(id: record.id, duplicate: true))
            case .pending: refuse(responder, Answers.pending)
            case .unknown:
                metrics.unremembered.increment()
                produce(record, key: nil, responder)
            }
        }
    }

    private func produce(_ record: EventRecord, key: RedisArgument?, _ responder: HTTPResponder) {
        nextToken += 1
        let token = nextToken
        let result = record.key.withUnsafeBytes { recordKey in
            record.value.withUnsafeBytes { value in
                producer.produce(to: topic, key: recordKey, value: value, headers: record.headers, token: token)
            }
        }
        guard result == .queued else {
            if let key { filter.rejected(key) }
            return refuse(responder, Answers.problem(result))
        }
        pending[token] = Pending(
            responder: responder, id: record.id, key: key, since: EventLoop.monotonicNanoseconds())
    }

    private func reported(_ token: UInt64, _ report: DeliveryReport) {
        guard let event = pending.removeValue(forKey: token) else { return }
        switch report {
        case .acknowledged:
            if let key = event.key {
                filter.accepted(key)
                metrics.window.set(filter.window.seconds)
            }
            metrics.accepted.increment()
            metrics.produced.increment()
            metrics.acknowledgement.observe(nanoseconds: EventLoop.monotonicNanoseconds() - event.since)
            event.responder.answer(Answers.accepted(id: event.id, duplicate: false))
        case .failed(let error, let possiblyPersisted):
            // What may be in the log keeps its mark until that expires: the id is neither published twice now, nor swallowed.
            if let key = event.key, !possiblyPersisted { filter.rejected(key) }
            let isTooLarge = error.code == .messageTooLarge
            refuse(
                event.responder,
                possiblyPersisted ? Answers.unacknowledged : isTooLarge ? Answers.tooLarge : Answers.kafkaAway)
        }
    }
}
