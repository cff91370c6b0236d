public import Kafka
public import Logs
public import Settings

/// `kafka`
public struct KafkaSettings: Sendable {
    /// Kafka's names for login mechanisms, and none.
    public enum Mechanism: String, CaseIterable, Sendable {
        case none
        case plain = "PLAIN"
        case scramSHA256 = "SCRAM-SHA-256"
        case scramSHA512 = "SCRAM-SHA-512"
    }

    public let brokers: [HostPort]
    public let topicPrefix: String
    public let partitions: Int
    /// 0: three, or as many as there are brokers.
    public let replicationFactor: Int
    /// Of the in-memory broker's log; empty on a real cluster, whose own id serves.
    public let logID: String
    public let retention: RetentionSettings
    private let mechanism: Mechanism
    private let username: String
    private let password: String
    private let tls: KafkaConfiguration.TLS?
    private let properties: [String: String]

    /// How long the topics keep their records. `retries` and `webhooks` are compacted instead.
    public struct RetentionSettings: Sendable {
        public let events: Duration
        public let deliveries: Duration
        public let attempts: Duration
        public let deadLetters: Duration
        public let signals: Duration

        init(_ settings: SettingsSection) {
            func read(_ name: String, _ fallback: Duration, _ meaning: String) -> Duration {
                settings.value(name, .duration(.seconds(60) ... .seconds(3_650 * 86_400)), default: fallback, meaning)
            }
            events = read("events", .days(7), "Events.")
            deliveries = read("deliveries", .days(7), "Deliveries that are to be made (again).")
            attempts = read("attempts", .days(7), "Outcomes; at least as long as events and deliveries.")
            deadLetters = read("dead_letters", .days(30), "What was given up.")
            signals = read("signals", .days(7), "What the dispatcher tells the registry of webhooks.")
            if attempts < max(events, deliveries) {
                settings.refuse("attempts", because: "must be at least as long as events and deliveries")
            }
        }
    }

    init(_ settings: SettingsSection) {
        brokers = settings.value(
            "brokers", .list(of: .hostPort, count: 1...64), default: [HostPort(host: "127.0.0.1", port: 19_092)],
            "Some of the cluster's brokers.")
        topicPrefix = settings.value(
            "topic_prefix", .topicPrefix, default: "",
            "What begins the names of Martlet's topics, such as martlet. with its dot.")
        partitions = settings.value(
            "partitions", .integer(1...10_000), default: 16, "Partitions of each topic; fixed once they exist.")
        replicationFactor = settings.value(
            "replication_factor", .integer(0...9), default: 0,
            "Replicas of new topics; 0: three, or as many as there are brokers.")
        logID = settings.value(
            "log_id", .text(0...128), default: "",
            "The id of an in-memory broker's log, minted by its host at each start; empty for a real cluster.")
        retention = RetentionSettings(settings.section("retention"))
        let sasl = settings.section("sasl")
        mechanism = sasl.value("mechanism", .choice(), default: .none, "How to log in.")
        username = sasl.value("username", .text(0...256), default: "", "The login's name.")
        password = sasl.value("password", .text(0...1_024), default: "", isSecret: true, "The login's password.")
        tls = Self.tls(settings.section("tls"))
        properties = settings.value(
            "properties", .map(of: .text(0...4_096), name: "librdkafka property"), default: [:], isSecret: true,
            "More of librdkafka's properties, passed through.")
        if mechanism != .none, username.isEmpty { sasl.refuse("username", because: "logging in needs a name") }
    }

    private static func tls(_ settings: SettingsSection) -> KafkaConfiguration.TLS? {
        let isEnabled = settings.value("enabled", .boolean, default: false, "Whether brokers are reached by TLS.")
        func path(_ name: String, _ meaning: String) -> String? {
            let path = settings.value(name, .text(0...4_096), default: "", meaning)
            return path.isEmpty ? nil : path
        }
        let authority = path("ca", "A PEM file of trusted authorities; empty: the system's.")
        let certificate = path("certificate", "A PEM file with the client's certificate.")
        let key = path("key", "A PEM file with the client's key.")
        let keyPassword = settings.value(
            "key_password", .text(0...1_024), default: "", isSecret: true, "The password of that key.")
        guard isEnabled else { return nil }
        return KafkaConfiguration.TLS(
            certificateAuthority: authority, certificate: certificate, key: key,
            keyPassword: keyPassword.isEmpty ? nil : keyPassword)
    }

    /// Whether the broker is librdkafka's in-memory one: without Admin API, compaction, retention and static members.
    public var isInMemory: Bool { !logID.isEmpty }

    /// The names of the topics.
    public var topics: Topics { Topics(prefix: topicPrefix) }

    /// How long a broker may hold an empty fetch; the in-memory one always holds it that long.
    public var fetchWaitMilliseconds: Int { isInMemory ? 10 : 100 }

    /// What every client of the cluster is made with; its log goes to `logger`.
    public func client(_ clientID: String, logger: Logger) -> KafkaConfiguration {
        let sasl = KafkaConfiguration.SASL(mechanism: mechanism.rawValue, username: username, password: password)
        return KafkaConfiguration(
            brokers: brokers.map(\.description).joined(separator: ","), clientID: clientID,
            sasl: mechanism == .none ? nil : sasl, tls: tls, properties: properties
        ) { line in
            logger.log(
                level: Self.level(line.level), "librdkafka",
                metadata: ["facility": "\(line.facility)", LogKey.reason: "\(line.text)"])
        }
    }

    /// syslog's levels. What librdkafka calls an error is mostly a connection that it makes again.
    private static func level(_ severity: Int) -> Logger.Level {
        switch severity {
        case ...2: .error
        case 3, 4: .warning
        case 5, 6: .info
        default: .debug
        }
    }
}

extension Configuration {
    /// The largest record of Martlet's topics, headers included, in client and broker.
    public var maxRecordBytes: Int {
        max(TopicPlan.usualMaxMessageBytes, events.maxSizeBytes + TopicPlan.headerAllowanceBytes)
    }

    public func producer(_ clientID: String, logger: Logger) -> ProducerConfiguration {
        var producer = ProducerConfiguration(kafka.client(clientID, logger: logger))
        producer.messageMaxBytes = maxRecordBytes
        return producer
    }

    public func consumer(
        _ clientID: String, group: String, instanceID: String? = nil, logger: Logger
    ) -> ConsumerConfiguration {
        var consumer = ConsumerConfiguration(
            kafka.client(clientID, logger: logger), groupID: group,
            groupInstanceID: kafka.isInMemory ? nil : instanceID)
        consumer.fetchWaitMilliseconds = kafka.fetchWaitMilliseconds
        return consumer
    }

    public func logReader(_ clientID: String, logger: Logger) -> LogReaderConfiguration {
        var reader = LogReaderConfiguration(kafka.client(clientID, logger: logger))
        reader.fetchWaitMilliseconds = kafka.fetchWaitMilliseconds
        return reader
    }
}

extension SettingKind where Value == String {
    /// Letters, digits, `.`, `_` and `-`, as Kafka allows in a topic's name.
    fileprivate static var topicPrefix: SettingKind {
        SettingKind(
            "at most 100 letters, digits, dots, dashes and underscores",
            text: { text in
                let allowed = text.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
                return allowed && text.utf8.count <= 100 ? text : nil
            }, render: { "\"\($0)\"" })
    }
}

extension Duration {
    static func days(_ count: Int) -> Duration { .seconds(count * 86_400) }

    /// Whole milliseconds, for C libraries and topics' settings.
    public var milliseconds: Int { Int(self / .milliseconds(1)) }
}
