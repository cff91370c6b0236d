public import Kafka
internal import ServiceSupport

/// How history is read, stored and kept.
public struct HistorySettings: Sendable {
    public var kafka: KafkaConfiguration
    public var attemptsTopic: String
    /// Where deliveries come from that were there before: those that users ask for among them.
    public var deliveriesTopic: String
    public var groupID: String
    /// Of the log that offsets belong to.
    public var logID: String
    public var retentionMs: Int64
    public var maxSizeBytes: Int64
    /// As long as topic `dead-letters` keeps its records.
    public var deadLetterRetentionMs: Int64
    /// How long a delivery may take altogether: what was announced and never came is forgotten then.
    public var maxDeliveryAgeMs: Int64
    /// nil: the dispatcher's commits are not watched.
    public var ledger: LedgerSettings?

    /// How long a broker may hold a fetch until `fetchMinBytes` are there: answering each record by itself is what costs.
    public var fetchWaitMs = 20
    public var fetchMinBytes = 256 << 10
    /// Request ids remembered for each partition; as many as one dispatcher may have unacknowledged.
    public var dedupWindow = 10_000
    /// How long a first outcome waits for company: a transaction costs as much as a hundred rows. Longer after a batch of
    /// `busyEntries` or more, when there is much to save.
    public var lingerMs = 10
    public var busyLingerMs = 100
    public var busyEntries = 20
    /// Outcomes taken from Kafka and not stored yet: beyond either bound Kafka waits.
    public var maxBufferedEntries = 20_000
    public var maxBufferedBytes = 32 << 20
    /// An hour is sealed when nothing was stored in it for so long.
    public var sealAfterMs: Int64 = 600_000
    /// Between two rounds of upkeep.
    public var upkeepMs: UInt64 = 10_000
    /// So long past its due time a delivery that is too old is overdue.
    public var overdueGraceMs: Int64 = 600_000
    /// The first and the longest delay before a failed transaction is tried again.
    public var retryDelayMs: UInt64 = 200
    public var maxRetryDelayMs: UInt64 = 5_000

    public init(
        kafka: KafkaConfiguration, attemptsTopic: String, deliveriesTopic: String, groupID: String, logID: String,
        retentionMs: Int64, maxSizeBytes: Int64, deadLetterRetentionMs: Int64, maxDeliveryAgeMs: Int64
    ) {
        self.kafka = kafka
        self.attemptsTopic = attemptsTopic
        self.deliveriesTopic = deliveriesTopic
        self.groupID = groupID
        self.logID = logID
        self.retentionMs = retentionMs
        self.maxSizeBytes = maxSizeBytes
        self.deadLetterRetentionMs = deadLetterRetentionMs
        self.maxDeliveryAgeMs = maxDeliveryAgeMs
    }
}
