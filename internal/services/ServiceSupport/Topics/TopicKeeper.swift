public import Kafka
public import Logs

/// Topics that are not as they must be. Nothing is changed: a person decides.
public struct TopicError: Error, CustomStringConvertible {
    public let problems: [TopicProblem]
    public var description: String { problems.map(\.description).joined(separator: "; ") }
}

/// Creates the topics that are missing and checks those that are there.
///
/// An in-memory broker has no Admin API: its host creates the topics, and only their existence and partitions are checked.
public struct TopicKeeper: Sendable {
    private let kafka: KafkaSettings
    private let plans: [TopicPlan]
    private let admin: Admin
    private let logger: Logger

    /// Throws where a property of librdkafka is wrong.
    /// - Parameter timeoutMilliseconds: How long the cluster may take for one answer.
    public init(
        _ configuration: Configuration, clientID: String, logger: Logger, timeoutMilliseconds: Int32 = 15_000
    ) throws(KafkaError) {
        kafka = configuration.kafka
        plans = TopicPlan.all(configuration)
        self.logger = logger
        admin = try Admin(
            configuration.kafka.client(clientID, logger: logger), timeoutMilliseconds: timeoutMilliseconds)
    }

    /// Returns when all topics are as they must be. While the cluster cannot be reached it is asked again, every second, until
    /// the task is cancelled. Throws `TopicError` where topics are wrong, `KafkaError` where the cluster refuses.
    public func ensure() async throws {
        // A question to a cluster that is away blocks for as long as it may take: a cancelled caller does not wait for it.
        let (results, inbox) = AsyncStream<Result<Void, any Error>>.makeStream(bufferingPolicy: .bufferingOldest(1))
        let asking = Task {
            do { inbox.yield(.success(try await ensureRepeatedly())) } catch { inbox.yield(.failure(error)) }
        }
        defer { asking.cancel() }
        for await result in results { return try result.get() }
        throw CancellationError()
    }

    private func ensureRepeatedly() async throws {
        let limiter = LogLimiter(every: .seconds(5))
        while true {
            do {
                return try await ensureOnce()
            } catch let error as KafkaError where Self.isTransient(error) {
                logger.warning(
                    "Kafka is not ready yet", metadata: [LogKey.error: "\(error)"], limit: limiter)
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// What passes by itself: nobody there, nobody in charge, or (in memory) topics that the host is about to create.
    private static func isTransient(_ error: KafkaError) -> Bool {
        switch error.code {
        case .timedOut, .allBrokersDown, .messageTimedOut, .unknownTopic: true
        default: passing.contains(error.code.name)
        }
    }

    private static let passing: Set<String> = [
        "_TRANSPORT", "_RESOLVE", "NOT_CONTROLLER", "REQUEST_TIMED_OUT", "LEADER_NOT_AVAILABLE",
    ]

    private func ensureOnce() async throws {
        var found = try await describe(plans)
        let missing = plans.filter { found[$0.name] == nil }
        if !missing.isEmpty {
            guard !kafka.isInMemory else {
                let names = missing.map(\.name).joined(separator: ", ")
                throw KafkaError(.unknownTopic, "the in-memory broker's host has not created \(names)")
            }
            try await create(missing)
            found.merge(try await awaitCreation(missing)) { _, new in new }
        }
        let problems = try await check(plans, found)
        guard problems.isEmpty else { throw TopicError(problems: problems) }
    }

    private func describe(_ plans: [TopicPlan]) async throws(KafkaError) -> [String: TopicDescription] {
        var found: [String: TopicDescription] = [:]
        for plan in plans { found[plan.name] = try await admin.describe(topic: plan.name) }
        return found
    }

    private func create(_ plans: [TopicPlan]) async throws(KafkaError) {
        let replicas = kafka.replicationFactor > 0 ? kafka.replicationFactor : min(3, try await admin.brokerCount())
        let failures = try await admin.createTopics(plans.map { $0.newTopic(replicas: replicas) })
        // Another service was faster.
        if let (_, error) = failures.first(where: { $0.value.code != .topicExists }) { throw error }
        for plan in plans where failures[plan.name] == nil {
            logger.notice("created topic", metadata: [LogKey.topic: "\(plan.name)"])
        }
    }

    /// A created topic is known to every broker a moment later only.
    private func awaitCreation(_ plans: [TopicPlan]) async throws -> [String: TopicDescription] {
        for _ in 0..<100 {
            let found = try await describe(plans)
            if plans.allSatisfy({ found[$0.name]?.partitions ?? 0 > 0 }) { return found }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw KafkaError(.timedOut, "the created topics did not appear")
    }

    private func check(
        _ plans: [TopicPlan], _ found: [String: TopicDescription]
    ) async throws(KafkaError) -> [TopicProblem] {
        var problems: [TopicProblem] = []
        var settings: [String: [String: String]] = [:]
        for plan in plans {
            guard let description = found[plan.name] else { continue }
            if kafka.isInMemory {
                problems += plan.check(partitions: description.partitions)
            } else {
                let actual = try await admin.settings(ofTopic: plan.name)
                settings[plan.name] = actual
                problems += plan.check(
                    partitions: description.partitions, replicas: description.replicationFactor, settings: actual)
            }
        }
        guard !kafka.isInMemory else { return problems }
        let topics = kafka.topics
        return problems
            + TopicPlan.checkRetention(
                attempts: topics.attempts, sources: [topics.events, topics.deliveries], settings: settings)
    }

    /// The id of the log that offsets belong to: the cluster's, or the one minted by an in-memory broker's host.
    public func logID() async throws(KafkaError) -> String {
        kafka.isInMemory ? kafka.logID : try await admin.clusterID()
    }
}
