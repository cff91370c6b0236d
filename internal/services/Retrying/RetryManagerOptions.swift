internal import Records
internal import Scheduling
internal import ServiceSupport

/// What the retry-manager is configured with, in the units that it works in.
struct RetryManagerOptions: Sendable {
    var topicRetries: String
    var topicDeliveries: String
    /// Begins the names of this Martlet's keys in Redis.
    var keyPrefix: String
    var logID: String
    var limits: IndexOwner.Limits
    /// Deliveries in flight, of all partitions together: what a crash may fire again.
    var batch: Int
    var memoryBytes: Int

    /// Records taken from a partition at once.
    static let batchRecords = 256
    /// Payloads of what is due within this time are read ahead.
    static let horizonMs: Int64 = 5_000
    /// Of one partition, read ahead at once at most.
    static let maxAhead = 2_048
    /// Of one lane, read ahead at once at most.
    static let maxAheadInLane = 64
    /// Between two readings ahead of a partition.
    static let aheadIntervalMs: UInt64 = 1_000
    /// Two records further apart are read by two readings: a sequential read takes microseconds a record, a new one milliseconds.
    static let sweepGap: Int64 = 2_000
    /// How long deliveries in flight may still come to their end when a partition is given back.
    static let drainMs: UInt64 = 1_500
    /// Before a write is tried again that Kafka did not take.
    static let retryDelayMs: UInt64 = 100

    init(_ configuration: Configuration, logID: String) {
        let topics = configuration.kafka.topics
        topicRetries = topics.retries
        topicDeliveries = topics.deliveries
        keyPrefix = "martlet:\(configuration.kafka.topicPrefix)"
        self.logID = logID
        let maxAgeMs = Int64(configuration.retry.maxAge.milliseconds)
        limits = IndexOwner.Limits(
            leaseMs: Int64(configuration.retryManager.lease.milliseconds), holdMs: maxAgeMs)
        limits.maxAgeMs = maxAgeMs
        limits.roundMs = Int64(configuration.dispatcher.requestTimeout.milliseconds)
        batch = configuration.retryManager.batch
        memoryBytes = configuration.retryManager.memoryBytes
    }
}
