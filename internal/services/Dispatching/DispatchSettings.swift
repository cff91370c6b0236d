internal import Delivering
internal import HTTPSending
internal import ServiceSupport
internal import Settling

/// What the dispatcher is configured with, in the units that it works in.
struct DispatchSettings: Sendable {
    /// Topics whose records are events: Martlet's own and those of others.
    var topicsEvents: [String]
    var topicDeliveries: String
    var topicAttempts: String
    var topicRetries: String
    var topicDeadLetters: String
    var topicSignals: String
    /// Names the log that offsets belong to.
    var logID: String
    var workers: Int
    var bound: CrashBound
    var shortQueue: ShortQueueBounds
    /// Payload bytes that one worker holds before it stops taking records.
    var maxHeldBytes: Int
    /// How long a delivery is tried or waits altogether.
    var maxAgeMs: Int64
    var webhookDefaults: WebhookDefaults
    var classification: ClassificationRules
    var connectTimeoutMs: Int
    var sender: HTTPSenderConfiguration
    /// A loop that slept longer than this has its assignment confirmed before it sends again. Nanoseconds.
    var maxSleep: UInt64

    /// Of one drain of a partition: so that partitions take turns.
    static let batchRecords = 128
    /// Deliveries admitted but not yet started, per worker: enough to keep every slot busy until the next turn.
    static let maxReady = 256
    /// How long an outcome may wait for others of its partition: librdkafka makes one request for each batch of each partition, and
    /// with sixteen partitions most batches of a shorter wait hold one record.
    static let lingerMs = 20
    /// A fetch is answered when so much has come or the time is up, whichever is first: for the same reason, on the way in.
    static let fetchMinBytes = 32 << 10
    static let fetchWaitMs = 10
    static let commitIntervalMs: UInt64 = 250
    static let heartbeatMs: UInt64 = 20
    /// How long requests under way may go on when a partition is taken away, and how long their outcomes are awaited then.
    static let revokeGraceMs: UInt64 = 1_000
    static let revokeAcknowledgementMs: UInt64 = 2_000

    init(_ configuration: Configuration, logID: String) {
        let dispatcher = configuration.dispatcher
        let topics = configuration.kafka.topics
        topicsEvents = [topics.events]
        topicDeliveries = topics.deliveries
        topicAttempts = topics.attempts
        topicRetries = topics.retries
        topicDeadLetters = topics.deadLetters
        topicSignals = topics.signals
        self.logID = logID
        workers = dispatcher.workers
        bound = CrashBound(
            maxOpen: dispatcher.maxInFlight,
            maxAge: UInt64(dispatcher.maxUnacknowledgedAge.milliseconds) * 1_000_000)
        shortQueue = ShortQueueBounds(
            bytes: dispatcher.shortQueueBytes, wait: UInt64(dispatcher.shortQueueWait.milliseconds) * 1_000_000)
        maxHeldBytes = dispatcher.memoryBytes
        maxAgeMs = Int64(configuration.retry.maxAge.milliseconds)
        webhookDefaults = WebhookDefaults(configuration)
        classification = configuration.classification.rules
        connectTimeoutMs = dispatcher.connectTimeout.milliseconds
        sender = HTTPSenderConfiguration()
        sender.addressPolicy = AddressPolicy(
            allowedPorts: configuration.endpoints.allowedPorts, allowsLoopback: configuration.isDevelopment)
        maxSleep = 3_000_000_000
    }
}

extension WebhookDefaults {
    init(_ configuration: Configuration) {
        timeoutMs = configuration.dispatcher.requestTimeout.milliseconds
        maxInFlight = configuration.dispatcher.maxInFlightPerWebhook
        let retry = configuration.retry
        retries = RetryPolicy(
            initialDelayMs: Int64(retry.initialDelay.milliseconds), multiplier: retry.multiplier,
            maxDelayMs: Int64(retry.maxDelay.milliseconds), maxRetries: retry.maxRetries,
            scheduleMs: retry.schedule.map { Int64($0.milliseconds) }, jitter: retry.jitter)
        let breaker = configuration.breaker
        disableAfterMs = Int64(breaker.disableAfter.milliseconds)
        self.breaker = BreakerRules(
            failureRatio: breaker.isEnabled ? breaker.failureRatio : .infinity,
            window: UInt64(breaker.window.milliseconds) * 1_000_000, minimumRequests: breaker.minimumRequests,
            openFor: UInt64(breaker.openFor.milliseconds) * 1_000_000, probes: breaker.probes)
    }
}
