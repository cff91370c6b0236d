/// One line of librdkafka's log.
public struct KafkaLogLine: Sendable {
    /// syslog's levels: 0 emergency … 7 debug.
    public let level: Int
    /// librdkafka's tag for the kind of message, such as `FAIL` or `CONFWARN`.
    public let facility: String
    public let text: String
}

/// How to reach a cluster: what every client of it shares.
public struct KafkaConfiguration: Sendable {
    public struct SASL: Sendable {
        /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        public var mechanism: String
        public var username: String
        public var password: String
        public init(mechanism: String, username: String, password: String) {
            self.mechanism = mechanism
            self.username = username
            self.password = password
        }
    }

    /// Paths of PEM files. Without a CA the system's certificates are trusted.
    public struct TLS: Sendable {
        public var certificateAuthority: String?
        public var certificate: String?
        public var key: String?
        public var keyPassword: String?
        public init(
            certificateAuthority: String? = nil, certificate: String? = nil, key: String? = nil,
            keyPassword: String? = nil
        ) {
            self.certificateAuthority = certificateAuthority
            self.certificate = certificate
            self.key = key
            self.keyPassword = keyPassword
        }
    }

    /// `host:port`, separated by commas.
    public var brokers: String
    /// What brokers show in their logs and quotas.
    public var clientID: String
    public var sasl: SASL?
    public var tls: TLS?
    /// More of librdkafka's properties, applied after this library's own. Those that its promises rest on
    /// (`enable.idempotence`, `enable.auto.commit`, …) are refused.
    public var properties: [String: String]
    /// Receives the client's log lines, on the loop that the client belongs to (an `Admin`'s: with each call, on its thread).
    /// nil drops them.
    public var log: (@Sendable (KafkaLogLine) -> Void)?

    public init(
        brokers: String, clientID: String, sasl: SASL? = nil, tls: TLS? = nil, properties: [String: String] = [:],
        log: (@Sendable (KafkaLogLine) -> Void)? = nil
    ) {
        self.brokers = brokers
        self.clientID = clientID
        self.sasl = sasl
        self.tls = tls
        self.properties = properties
        self.log = log
    }
}

extension KafkaConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Everything but the secrets.
    public var description: String {
        let shown = properties.sorted { $0.key < $1.key }
            .map { "\($0.key)=\(Self.isSecret($0.key) ? Self.mask : $0.value)" }
        let login = sasl.map { " sasl=\($0.mechanism)/\($0.username)/\(Self.mask)" } ?? ""
        return "brokers=\(brokers) client.id=\(clientID)\(login)\(tls == nil ? "" : " tls")"
            + shown.map { " \($0)" }.joined()
    }
    public var debugDescription: String { description }
    /// Reflection (`dump`) shows the same, so that no secret leaks that way either.
    public var customMirror: Mirror { Mirror(self, children: ["configuration": description]) }

    static let mask = "********"

    /// Whether a property's value must not be shown.
    static func isSecret(_ property: String) -> Bool {
        ["password", "secret", "key.pem", "sasl.oauthbearer.config", "token"].contains { property.contains($0) }
    }
}

/// How a producer queues and gives up. Idempotence, `acks=all` and Java's partitioning are not negotiable.
public struct ProducerConfiguration: Sendable {
    public var client: KafkaConfiguration
    /// How long a record may wait for its acknowledgement before it is reported as failed.
    public var messageTimeoutMilliseconds = 10_000
    /// How long a record may wait for company; more makes larger batches.
    public var lingerMilliseconds = 2
    /// Beyond either bound `produce` answers `.queueFull`.
    public var queueMaxMessages = 100_000
    public var queueMaxKilobytes = 256 * 1_024
    /// The largest record, key and headers included.
    public var messageMaxBytes = 1_048_576
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    public var compression = "none"
    /// How long requests in flight are awaited when the instance is replaced after a fatal error.
    public var rebuildDrainMilliseconds: UInt64 = 5_000

    public init(_ client: KafkaConfiguration) { self.client = client }
}

/// How a member of a consumer group behaves. Offsets are committed by the application only, a position outside the
/// log is its decision, and the range assignor stops every member at each rebalance.
public struct ConsumerConfiguration: Sendable {
    public var client: KafkaConfiguration
    public var groupID: String
    /// Static membership: a member that comes back within the session keeps its partitions.
    public var groupInstanceID: String?
    public var sessionTimeoutMilliseconds = 6_000
    /// A control loop that did not turn for so long loses its partitions.
    public var maxPollIntervalMilliseconds = 300_000
    /// How long a broker may hold a fetch that has fewer bytes than `fetchMinBytes`. The in-memory broker always waits that long for an
    /// empty one: give it 10.
    public var fetchWaitMilliseconds = 100
    /// What makes a fetch worth answering before that time; more makes fewer and larger fetches of many partitions that get a little each.
    public var fetchMinBytes = 1
    /// Prefetched bytes, for each partition.
    public var queuedMaxKilobytes = 4_096
    public var isolationLevel = IsolationLevel.readCommitted

    public enum IsolationLevel: String, Sendable {
        case readCommitted = "read_committed"
        case readUncommitted = "read_uncommitted"
    }

    public init(_ client: KafkaConfiguration, groupID: String, groupInstanceID: String? = nil) {
        self.client = client
        self.groupID = groupID
        self.groupInstanceID = groupInstanceID
    }
}
