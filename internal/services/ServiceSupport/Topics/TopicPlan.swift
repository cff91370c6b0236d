internal import Kafka

/// What one topic must be like: for creating it, and for checking one that is there.
struct TopicPlan: Equatable {
    enum Cleanup: String { case delete, compact }

    /// Kafka's own default: a limit on batches, so a lower one would refuse producers that send many small records.
    static let usualMaxMessageBytes = 1_048_588
    /// What headers may add to an event's size on its way.
    static let headerAllowanceBytes = 64 << 10

    let name: String
    let partitions: Int
    let cleanup: Cleanup
    /// nil: forever, or compacted.
    let retention: Duration?
    let maxMessageBytes: Int

    /// The plans for all topics.
    static func all(_ configuration: Configuration) -> [TopicPlan] {
        let kafka = configuration.kafka
        let topics = kafka.topics
        func plan(_ name: String, _ cleanup: Cleanup, _ retention: Duration?) -> TopicPlan {
            TopicPlan(
                name: name, partitions: kafka.partitions, cleanup: cleanup, retention: retention,
                maxMessageBytes: configuration.maxRecordBytes)
        }
        return [
            plan(topics.events, .delete, kafka.retention.events),
            plan(topics.deliveries, .delete, kafka.retention.deliveries),
            plan(topics.attempts, .delete, kafka.retention.attempts),
            plan(topics.retries, .compact, nil),
            plan(topics.deadLetters, .delete, kafka.retention.deadLetters),
            plan(topics.webhooks, .compact, nil),
            plan(topics.signals, .delete, kafka.retention.signals),
        ]
    }

    func newTopic(replicas: Int) -> NewTopic {
        var settings = [
            "cleanup.policy": cleanup.rawValue, "message.timestamp.type": "CreateTime",
            "max.message.bytes": "\(maxMessageBytes)",
        ]
        if let retention { settings["retention.ms"] = "\(retention.milliseconds)" }
        if replicas >= 3 { settings["min.insync.replicas"] = "2" }
        return NewTopic(name, partitions: partitions, replicationFactor: replicas, settings: settings)
    }

    /// What is wrong with the number of partitions.
    func check(partitions found: Int) -> [TopicProblem] {
        guard found != partitions else { return [] }
        return [
            TopicProblem(
                topic: name, setting: "partitions", found: "\(found)", expected: "\(partitions)",
                fix: "set kafka.partitions to \(found), or use another kafka.topic_prefix")
        ]
    }

    /// What is wrong with the topic, as far as this topic alone shows it.
    func check(partitions found: Int, replicas: Int, settings: [String: String]) -> [TopicProblem] {
        var problems = check(partitions: found)
        func require(_ setting: String, _ expected: String, value: String, _ holds: (String) -> Bool) {
            let actual = settings[setting] ?? ""
            if !holds(actual) { problems.append(.setting(name, setting, found: actual, expected, value: value)) }
        }
        require("cleanup.policy", cleanup.rawValue, value: cleanup.rawValue) { $0 == cleanup.rawValue }
        require("message.timestamp.type", "CreateTime", value: "CreateTime") { $0 == "CreateTime" }
        require("max.message.bytes", "\(maxMessageBytes) or more", value: "\(maxMessageBytes)") {
            Int($0).map { $0 >= maxMessageBytes } ?? false
        }
        if replicas >= 3 {
            require("min.insync.replicas", "2 or more", value: "2") { Int($0).map { $0 >= 2 } ?? false }
        }
        return problems
    }

    /// Outcomes must outlive the records that they are about: else a record is sent again whose outcome has expired.
    static func checkRetention(
        attempts: String, sources: [String], settings: [String: [String: String]]
    ) -> [TopicProblem] {
        let kept = lifetime(settings[attempts])
        var problems: [TopicProblem] = []
        for source in sources where lifetime(settings[source]) > kept {
            let needed = settings[source]?["retention.ms"] ?? "-1"
            problems.append(
                .setting(
                    attempts, "retention.ms", found: settings[attempts]?["retention.ms"] ?? "",
                    "at least that of \(source), \(needed)", value: needed))
        }
        if let size = settings[attempts]?["retention.bytes"], size != "-1" {
            problems.append(.setting(attempts, "retention.bytes", found: size, "-1 (by time alone)", value: "-1"))
        }
        return problems
    }

    /// In milliseconds; −1 in Kafka means for ever.
    private static func lifetime(_ settings: [String: String]?) -> Int {
        guard let value = settings?["retention.ms"].flatMap({ Int($0) }), value >= 0 else { return .max }
        return value
    }
}

/// One thing that is wrong with a topic.
public struct TopicProblem: Equatable, Sendable, CustomStringConvertible {
    public let topic: String
    public let setting: String
    public let found: String
    public let expected: String
    public let fix: String

    static func setting(
        _ topic: String, _ setting: String, found: String, _ expected: String, value: String
    ) -> TopicProblem {
        TopicProblem(
            topic: topic, setting: setting, found: found, expected: expected,
            fix: "kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name \(topic) "
                + "--add-config \(setting)=\(value)")
    }

    public var description: String {
        "topic \(topic): \(setting) is \(found.isEmpty ? "unknown" : found), expected \(expected); fix: \(fix)"
    }
}
