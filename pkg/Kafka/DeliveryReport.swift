/// What became of a produced record.
public enum DeliveryReport: Equatable, Sendable {
    /// Every in-sync replica has it. The offset is nil where the broker did not say it.
    case acknowledged(partition: Int32, offset: Int64?)
    /// It was not acknowledged. `possiblyPersisted`: it may be in the log all the same, so sending it again may repeat it.
    case failed(KafkaError, possiblyPersisted: Bool)
}

/// What became of a call to `produce`.
public enum ProduceResult: Equatable, Sendable {
    /// A report with the token will come.
    case queued
    /// Too much is waiting already: try again later. No report will come.
    case queueFull
    /// Larger than `messageMaxBytes`. No report will come.
    case tooLarge
    /// No report will come.
    case failed(KafkaError)
}

/// A topic that a producer writes to: made once by `Producer.topic`, so that producing looks no name up.
public struct ProducerTopic: Hashable, Sendable {
    let index: Int
}

/// What a producer tells its owner, on its loop's thread.
public struct ProducerHandlers {
    /// The report for a token, exactly one for each record that was `.queued`.
    public var report: (_ token: UInt64, DeliveryReport) -> Void
    /// `Producer.isHealthy` has changed.
    public var healthChanged: (Bool) -> Void
    /// An error that is not about one record: for the log. After a fatal one the producer replaces its instance by itself.
    public var failed: (KafkaError) -> Void

    public init(
        report: @escaping (_ token: UInt64, DeliveryReport) -> Void,
        healthChanged: @escaping (Bool) -> Void = { _ in }, failed: @escaping (KafkaError) -> Void = { _ in }
    ) {
        self.report = report
        self.healthChanged = healthChanged
        self.failed = failed
    }
}
