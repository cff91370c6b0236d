import Kafka
import Logs
import Settings
import Synchronization
import TestSupport
import Testing

@testable import ServiceSupport

private func configuration(_ settings: [String: String] = [:]) throws -> Configuration {
    var environment: [String: String] = [:]
    for (path, value) in settings { environment["MARTLET_" + path] = value }
    return try Configuration.load(environment: environment)
}

private let quiet = Logger(label: "test", output: LogOutput(service: "test", level: .critical))

/// Topics and keepers of one test on one broker.
private struct Cluster {
    let broker: KafkaBroker
    let prefix = KafkaBroker.uniqueName("keeper") + "."

    func configuration(_ more: [String: String] = [:]) throws -> Configuration {
        var settings = [
            "KAFKA_BROKERS": broker.bootstrapServers, "KAFKA_TOPIC_PREFIX": prefix, "KAFKA_PARTITIONS": "3",
        ]
        if broker.kind == .inMemory { settings["KAFKA_LOG_ID"] = "minted" }
        settings.merge(more) { _, new in new }
        return try ServiceSupportTests.configuration(settings)
    }

    func keeper(_ more: [String: String] = [:]) throws -> TopicKeeper {
        try TopicKeeper(configuration(more), clientID: "test", logger: quiet)
    }

    func problems(_ more: [String: String] = [:]) async throws -> [TopicProblem] {
        do {
            try await keeper(more).ensure()
            return []
        } catch let error as TopicError {
            return error.problems
        }
    }
}

@Suite struct TopicPlanTests {
    private let plans: [TopicPlan]

    init() throws {
        let configuration = try configuration(["KAFKA_TOPIC_PREFIX": "p.", "EVENTS_MAX_SIZE": "2MiB"])
        plans = TopicPlan.all(configuration)
    }

    @Test func everyTopicHasAPlan() {
        #expect(plans.map(\.name) == Topics(prefix: "p.").all)
        #expect(plans.filter { $0.cleanup == .compact }.map(\.name) == ["p.retries", "p.webhooks"])
        #expect(plans.allSatisfy { $0.maxMessageBytes == (2 << 20) + (64 << 10) })
    }

    @Test func aTopicMadeByItsPlanFitsIt() {
        for plan in plans {
            let settings = plan.newTopic(replicas: 3).settings
            #expect(plan.check(partitions: 16, replicas: 3, settings: settings).isEmpty)
        }
        #expect(plans[0].newTopic(replicas: 1).settings["min.insync.replicas"] == nil)
    }

    @Test(arguments: [
        ("cleanup.policy", "compact", "delete"), ("message.timestamp.type", "LogAppendTime", "CreateTime"),
        ("max.message.bytes", "1048588", "2162688"), ("min.insync.replicas", "1", "2"),
    ])
    func whatDoesNotFitIsNamedWithItsFix(setting: String, value: String, needed: String) {
        var settings = plans[0].newTopic(replicas: 3).settings
        settings[setting] = value
        let problems = plans[0].check(partitions: 16, replicas: 3, settings: settings)
        #expect(problems.count == 1)
        #expect(problems.first?.setting == setting && problems.first?.found == value)
        #expect(
            problems.first?.description.contains("topic p.events: \(setting) is \(value), expected \(needed)") == true)
        #expect(problems.first?.fix.hasSuffix("--entity-name p.events --add-config \(setting)=\(needed)") == true)
    }

    @Test func aSingleReplicaNeedsNoInSyncReplicas() {
        var settings = plans[0].newTopic(replicas: 1).settings
        settings["min.insync.replicas"] = "1"
        #expect(plans[0].check(partitions: 16, replicas: 1, settings: settings).isEmpty)
    }

    @Test(arguments: [
        ("1000", "1000", "999", "-1", []), ("1000", "1001", "1000", "-1", ["retention.ms"]),
        ("1000", "-1", "5", "-1", ["retention.ms"]), ("-1", "-1", "5", "-1", []),
        ("1000", "1000", "1000", "1073741824", ["retention.bytes"]),
    ])
    func outcomesOutliveWhatTheyAreAbout(
        attempts: String, events: String, deliveries: String, bytes: String, wrong: [String]
    ) {
        let problems = TopicPlan.checkRetention(
            attempts: "a", sources: ["e", "d"],
            settings: [
                "a": ["retention.ms": attempts, "retention.bytes": bytes], "e": ["retention.ms": events],
                "d": ["retention.ms": deliveries],
            ])
        #expect(problems.map(\.setting) == wrong)
    }
}

@Suite struct TopicKeeperTests {
    @Test(.requiresRealKafka) func missingTopicsAreCreatedAndFitAfterwards() async throws {
        let cluster = Cluster(broker: try await KafkaBroker.shared(.real))
        #expect(try await cluster.problems().isEmpty)
        let admin = try Admin(cluster.broker.configuration())
        let topics = Topics(prefix: cluster.prefix)
        for name in topics.all { #expect(try await admin.describe(topic: name)?.partitions == 3) }
        #expect(try await admin.settings(ofTopic: topics.webhooks)["cleanup.policy"] == "compact")
        #expect(try await admin.settings(ofTopic: topics.deadLetters)["retention.ms"] == "2592000000")
        #expect(try await cluster.problems().isEmpty)
        #expect(try await cluster.keeper().logID() == admin.clusterID())
    }

    @Test(.requiresRealKafka) func wrongTopicsAreNamedNotChanged() async throws {
        let cluster = Cluster(broker: try await KafkaBroker.shared(.real))
        let topics = Topics(prefix: cluster.prefix)
        try await cluster.broker.createTopic(
            topics.attempts, partitions: 2, settings: ["retention.ms": "1000", "cleanup.policy": "compact"])
        let problems = try await cluster.problems()
        #expect(
            problems.map { "\($0.topic.dropFirst(cluster.prefix.count)) \($0.setting)" } == [
                "attempts partitions", "attempts cleanup.policy", "attempts retention.ms", "attempts retention.ms",
            ])
        let admin = try Admin(cluster.broker.configuration())
        #expect(try await admin.settings(ofTopic: topics.attempts)["retention.ms"] == "1000")
    }

    @Test(.requiresRealKafka) func servicesThatStartTogetherDoNotDisturbEachOther() async throws {
        let cluster = Cluster(broker: try await KafkaBroker.shared(.real))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { try await cluster.keeper().ensure() } }
            try await group.waitForAll()
        }
    }

    @Test func theInMemoryBrokersTopicsAreChecked() async throws {
        let cluster = Cluster(broker: try KafkaBroker.ownInMemory())
        for name in Topics(prefix: cluster.prefix).all { try await cluster.broker.createTopic(name, partitions: 3) }
        #expect(try await cluster.problems().isEmpty)
        let problems = try await cluster.problems(["KAFKA_PARTITIONS": "4"])
        #expect(problems.count == 7)
        #expect(problems.first?.description.contains("fix: set kafka.partitions to 3") == true)
        #expect(try await cluster.keeper().logID() == "minted")
    }

    @Test func aClusterThatIsAwayIsWaitedFor() async throws {
        let broker = try KafkaBroker.ownInMemory()
        let cluster = Cluster(broker: broker)
        for name in Topics(prefix: cluster.prefix).all { try await broker.createTopic(name, partitions: 3) }
        broker.mock?.setDown()
        let complaints = Atomic(0)
        let output = LogOutput(service: "test") { _ in complaints.wrappingAdd(1, ordering: .relaxed) }
        let keeper = try TopicKeeper(
            cluster.configuration(), clientID: "test", logger: Logger(label: "test", output: output),
            timeoutMilliseconds: 300)
        let ensuring = Task { try await keeper.ensure() }
        #expect(await eventually { complaints.load(ordering: .relaxed) > 0 })
        let cancelled = Task { try await keeper.ensure() }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        broker.mock?.setUp()
        try await ensuring.value
    }
}
