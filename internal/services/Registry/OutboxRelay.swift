internal import Kafka
internal import LifeCycle
internal import Logs
internal import Metrics
internal import Postgres
internal import Records
internal import ServiceSupport
internal import Synchronization

/// Publishes the outbox to topic `webhooks`, and what it says about webhooks to `events`, in order, and compares the two now and then. Of several processes one leads, by an advisory
/// lock of its session; the others ask for the lead every second.
///
/// ```
/// asking ──lock──► draining ◄──► waiting (a notification, at most 1 s)
///    ▲                │  └─────► reconciling: at first, then every interval
///    └──session lost──┘
/// ```
/// A record is removed when Kafka has acknowledged it. A crash in between publishes it again; so may a leader that has lost its session
/// without having noticed yet. Consumers ignore what is older than what they have, and the next comparison puts right what the
/// topic ended with.
final class OutboxRelay: Service {
    let name = "OutboxRelay"

    private static let batch = 200
    private static let idle = Duration.seconds(1)
    private static let pauseAfterFailure = Duration.milliseconds(200)
    private static let reconciliationRetry = Duration.seconds(30)
    /// Also what a stop may have to wait for.
    private static let acknowledgementTimeoutMs = 4_000

    private let store: WebhookStore
    private let published: PublishedRecords
    private let topics: TopicKeeper
    private let topic: String
    private let topicEvents: String
    private let kafka: KafkaSettings
    private let interval: Duration
    private let metrics: RegistryMetrics
    private let logger: Logger
    private let limiter = LogLimiter(every: .seconds(5))
    private let wakeup = Wakeup()
    private let producer = Mutex<AsyncProducer?>(nil)

    init(
        _ context: ServiceContext, store: WebhookStore, published: PublishedRecords, metrics: RegistryMetrics
    ) throws {
        self.store = store
        self.published = published
        self.metrics = metrics
        logger = context.logger
        kafka = context.configuration.kafka
        topic = kafka.topics.webhooks
        topicEvents = kafka.topics.events
        interval = context.configuration.registry.reconcileInterval
        topics = try TopicKeeper(context.configuration, clientID: context.name, logger: context.logger)
    }

    /// A record was put into the outbox, by whatever process.
    func wake() { wakeup.signal() }

    /// Whether Kafka answers.
    var isHealthy: Bool {
        get async { await producer.withLock { $0 }?.isHealthy ?? false }
    }

    func run() async throws {
        var configuration = ProducerConfiguration(kafka.client("webhook-registry", logger: logger))
        configuration.messageTimeoutMilliseconds = Self.acknowledgementTimeoutMs
        let started = try await AsyncProducer.start(configuration) { [logger, limiter] error in
            logger.warning("Kafka producer", metadata: [LogKey.error: "\(error)"], limit: limiter)
        }
        producer.withLock { $0 = started }
        do {
            try await cancelWhenGracefulShutdown { [self] in
                try await topics.ensure()
                while !Task.isCancelled {
                    await lead(started)
                    await wakeup.wait(upTo: Self.idle)
                }
            }
        } catch is CancellationError {
            // Stopped while the topics were still awaited.
        }
        producer.withLock { $0 = nil }
        await started.close(timeoutMilliseconds: 1_000)
    }

    /// Leads for as long as the session lasts; returns at once where another process does.
    private func lead(_ producer: AsyncProducer) async {
        defer { metrics.isLeader.set(0) }
        do {
            try await store.pool.withConnection { session in
                guard try await Outbox.lead(session) else { return }
                metrics.isLeader.set(1)
                logger.notice("this process publishes the outbox")
                try await publishAndCompare(producer, session)
            }
        } catch {
            guard !Task.isCancelled else { return }
            logger.warning("the lead of the outbox is lost", metadata: [LogKey.error: "\(error)"], limit: limiter)
        }
    }

    private func publishAndCompare(_ producer: AsyncProducer, _ session: PostgresConnection) async throws {
        var nextComparison = ContinuousClock.now
        while !Task.isCancelled {
            // In a task of its own: a stop shall not come between an acknowledgement and its note.
            let isBehind = try await Task { try await self.drain(producer, session) }.value
            if isBehind { continue }
            if ContinuousClock.now >= nextComparison {
                nextComparison = await reconcile(producer) ? .now + interval : .now + Self.reconciliationRetry
                continue
            }
            await wakeup.wait(upTo: Self.idle)
        }
    }

    // MARK: Publishing

    /// Publishes the oldest records; returns whether there are more. Throws where the session is lost.
    private func drain(_ producer: AsyncProducer, _ session: PostgresConnection) async throws -> Bool {
        let (records, total) = try await Outbox.oldest(Self.batch, session)
        metrics.outboxRecords.set(total)
        var rest = records[...]
        while !rest.isEmpty {
            let wave = Self.wave(rest)
            let (acknowledged, error) = await publish(wave, producer)
            // Whoever waits in this process need not wait for the database to tell.
            published.published(acknowledged)
            if !acknowledged.isEmpty { try await Outbox.remove(acknowledged, session) }
            metrics.published.increment(by: acknowledged.count)
            if let error {
                metrics.publishFailures.increment()
                logger.warning(
                    "records wait in the outbox because Kafka does not take them",
                    metadata: [LogKey.error: "\(error)", LogKey.count: "\(total)"], limit: limiter)
                try await Task.sleep(for: Self.pauseAfterFailure)
                return false
            }
            rest = rest.dropFirst(wave.count)
        }
        metrics.outboxRecords.set(total - records.count)
        return total > records.count
    }

    /// The first records up to one whose webhook has another before it: these may be on their way together.
    static func wave(_ records: ArraySlice<OutboxRecord>) -> ArraySlice<OutboxRecord> {
        var seen: Set<String> = []
        return records.prefix { seen.insert($0.webhookID).inserted }
    }

    private func publish(
        _ wave: ArraySlice<OutboxRecord>, _ producer: AsyncProducer
    ) async -> (acknowledged: [Int64], error: KafkaError?) {
        await withTaskGroup(of: (Int64, KafkaError?).self) { [topic, topicEvents] group in
            for record in wave {
                group.addTask {
                    do throws(KafkaError) {
                        if record.headers.isEmpty {
                            try await producer.send(to: topic, key: Array(record.webhookID.utf8), value: record.value)
                        } else {
                            try await producer.send(
                                to: topicEvents, key: record.eventKey, value: record.value,
                                headers: record.recordHeaders)
                        }
                        return (record.number, nil)
                    } catch {
                        return (record.number, error)
                    }
                }
            }
            return await group.reduce(into: (acknowledged: [], error: nil)) { result, sent in
                if let error = sent.1 { result.error = error } else { result.acknowledged.append(sent.0) }
            }
        }
    }

    // MARK: Comparing

    /// Compares topic and table and puts the topic right; returns whether that worked.
    private func reconcile(_ producer: AsyncProducer) async -> Bool {
        let reconciler = Reconciler(store: store, kafka: kafka, topic: topic, metrics: metrics, logger: logger)
        do {
            try await reconciler.run(producer)
            metrics.reconciliations.labelled("done").increment()
            return true
        } catch {
            guard !Task.isCancelled else { return false }
            metrics.reconciliations.labelled("failed").increment()
            logger.warning("topic webhooks could not be compared with the table", metadata: [LogKey.error: "\(error)"])
            return false
        }
    }
}
