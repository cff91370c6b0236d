public import Settings

/// `gateway`
public struct GatewaySettings: Sendable {
    public let listen: HostPort
    public let registry: HostPort
    /// nil: plain text.
    public let registryTLS: TLSFiles?
    public let observability: HostPort
    public let dispatchers: [HostPort]

    init(_ settings: SettingsSection) {
        listen = settings.value("listen", .hostPort, default: .loopback(8_080), "Where the API is served.")
        registry = settings.value("registry", .hostPort, default: .loopback(8_081), "Where the registry's gRPC is.")
        registryTLS = TLSFiles(
            settings.section("registry_tls"),
            authority: "that the registry's certificate must come from; empty: the system's",
            certificate: "the gateway's", isServer: false)
        observability = settings.value(
            "observability", .hostPort, default: .loopback(8_085), "Where history is asked for.")
        dispatchers = settings.value(
            "dispatchers", .list(of: .hostPort), default: [.loopback(8_083)],
            "Every dispatcher: each is asked how a webhook's breaker stands there.")
    }
}

/// `registry`
public struct RegistrySettings: Sendable {
    public let listen: HostPort
    public let listenGRPC: HostPort
    public let maxWebhooksPerTenant: Int
    public let secretOverlap: Duration
    public let reconcileInterval: Duration
    /// nil: plain text.
    public let tls: TLSFiles?

    init(_ settings: SettingsSection) {
        listen = settings.value("listen", .hostPort, default: .loopback(9_081), "Where health and metrics are served.")
        listenGRPC = settings.value(
            "listen_grpc", .hostPort, default: .loopback(8_081), "Where gRPC is served; for the cluster's inside only.")
        maxWebhooksPerTenant = settings.value(
            "max_webhooks_per_tenant", .integer(1...10_000_000), default: 10_000, "Webhooks that one tenant may have.")
        secretOverlap = settings.value(
            "secret_overlap", .duration(.zero ... .days(30)), default: .days(1),
            "How long the old secrets go on signing after a rotation that does not say.")
        reconcileInterval = settings.value(
            "reconcile_interval", .duration(.seconds(1) ... .days(30)), default: .seconds(3_600),
            "How often topic webhooks is compared with the database.")
        tls = TLSFiles(
            settings.section("tls"), authority: "whose certificates clients must show; empty: nobody is asked for one",
            certificate: "the registry's", isServer: true)
    }
}

/// `ingestion`
public struct IngestionSettings: Sendable {
    public let listen: HostPort
    /// Each with its own producer and connection to Redis.
    public let threads: Int
    public let dedupWindow: Duration
    public let dedupMemoryBytes: Int

    init(_ settings: SettingsSection) {
        listen = settings.value("listen", .hostPort, default: .loopback(8_082), "Where events are taken.")
        threads = settings.value(
            "threads", .integer(1...64), default: 1, "Threads that take events; one does tens of thousands a second.")
        dedupWindow = settings.value(
            "dedup_window", .duration(.seconds(60) ... .days(30)), default: .days(1),
            "How long an event's id is remembered, so that a repetition is not published again.")
        dedupMemoryBytes = settings.value(
            "dedup_memory", .bytes(1 << 20...(1 << 40)), default: 256 << 20,
            "How much of Redis that may take, for each process; the window shrinks to fit.")
    }
}

/// `dispatcher`
public struct DispatcherSettings: Sendable {
    public let listen: HostPort
    public let group: String
    /// Static membership; empty: a dynamic member.
    public let instanceID: String
    public let workers: Int
    public let maxInFlight: Int
    public let maxInFlightPerWebhook: Int
    public let maxUnacknowledgedAge: Duration
    public let requestTimeout: Duration
    public let connectTimeout: Duration
    public let shortQueueWait: Duration
    public let shortQueueBytes: Int
    public let memoryBytes: Int
    public let stuckAfter: Duration

    init(_ settings: SettingsSection) {
        listen = settings.value("listen", .hostPort, default: .loopback(8_083), "Where health and metrics are served.")
        group = settings.value("group", .text(1...255), default: "martlet-dispatcher", "The Kafka consumer group.")
        instanceID = settings.value(
            "instance_id", .text(0...255), default: "",
            "This process' lasting name in the group, so that a restart moves no partitions; empty: none.")
        workers = settings.value(
            "workers", .integer(1...64), default: 2, "Threads that send; partitions are spread over them.")
        maxInFlight = settings.value(
            "max_in_flight", .integer(1...1_000_000), default: 10_000,
            "Requests of this process that run or whose outcome Kafka has not acknowledged: what a crash may repeat.")
        maxInFlightPerWebhook = settings.value(
            "max_in_flight_per_webhook", .integer(1...10_000), default: 128, "Requests that run to one webhook.")
        maxUnacknowledgedAge = settings.value(
            "max_unacknowledged_age", .duration(.milliseconds(100) ... .seconds(60)), default: .seconds(2),
            "No request starts while an outcome waits longer than this for Kafka.")
        requestTimeout = settings.value(
            "request_timeout", .duration(.milliseconds(100) ... .seconds(300)), default: .seconds(10),
            "How long a request may take where its webhook does not say.")
        connectTimeout = settings.value(
            "connect_timeout", .duration(.milliseconds(50) ... .seconds(60)), default: .seconds(3),
            "How long connecting may take of that.")
        shortQueueWait = settings.value(
            "short_queue_wait", .duration(.milliseconds(1) ... .seconds(60)), default: .seconds(1),
            "How long a delivery waits for its webhook before it is parked.")
        shortQueueBytes = settings.value(
            "short_queue_size", .bytes(1_024...(1 << 30)), default: 256 << 10, "How much waits for one webhook at most."
        )
        memoryBytes = settings.value(
            "memory", .bytes(8 << 20...(1 << 40)), default: 128 << 20,
            "How much each worker holds before it stops taking records.")
        stuckAfter = settings.value(
            "stuck_after", .duration(.seconds(1) ... .seconds(3_600)), default: .seconds(30),
            "How long a thread may be silent before /health says that the process has to be started anew.")
    }
}

/// `retry_manager`
public struct RetryManagerSettings: Sendable {
    public let listen: HostPort
    public let group: String
    /// Static membership; empty: a dynamic member.
    public let instanceID: String
    public let memoryBytes: Int
    public let batch: Int
    public let lease: Duration

    init(_ settings: SettingsSection) {
        listen = settings.value("listen", .hostPort, default: .loopback(8_084), "Where health and metrics are served.")
        group = settings.value("group", .text(1...255), default: "martlet-retry-manager", "The Kafka consumer group.")
        instanceID = settings.value(
            "instance_id", .text(0...255), default: "",
            "This process' lasting name in the group, so that a restart moves no partitions; empty: none.")
        memoryBytes = settings.value(
            "memory", .bytes(1 << 20...(1 << 40)), default: 64 << 20,
            "How many bytes of payloads that are due soon are held.")
        batch = settings.value(
            "batch", .integer(1...10_000), default: 256,
            "Deliveries fired and not yet removed from the index: what a crash may fire again.")
        lease = settings.value(
            "lease", .duration(.seconds(5) ... .seconds(3_600)), default: .seconds(30),
            "How long a claimed delivery is left alone by another owner of the index.")
    }
}

/// `observability`
public struct ObservabilitySettings: Sendable {
    public let listen: HostPort
    public let retention: Duration
    public let maxSizeBytes: Int

    init(_ settings: SettingsSection) {
        listen = settings.value("listen", .hostPort, default: .loopback(8_085), "Where history is served.")
        retention = settings.value(
            "retention", .duration(.seconds(3_600) ... .days(3_650)), default: .days(3), "How long history is kept.")
        maxSizeBytes = settings.value(
            "max_size", .bytes(64 << 20...(1 << 50)), default: 20 << 30,
            "How large it may grow; the oldest hours go first.")
    }
}

/// `events`: what is taken from producers.
public struct EventSettings: Sendable {
    public let maxSizeBytes: Int
    public let maxBatch: Int
    public let maxBatchBytes: Int

    init(_ settings: SettingsSection) {
        maxSizeBytes = settings.value(
            "max_size", .bytes(1_024...(8 << 20)), default: 256 << 10, "The largest event, as it is sent to a webhook.")
        maxBatch = settings.value(
            "max_batch", .integer(1...10_000), default: 1_000, "The most events that one request may bring.")
        maxBatchBytes = settings.value(
            "max_batch_bytes", .bytes(1_024...(64 << 20)), default: 5 << 20,
            "The largest request with a batch of events.")
    }
}

/// `endpoints`: where webhooks may be.
public struct EndpointSettings: Sendable {
    /// Besides 80 and 443.
    public let allowedPorts: Set<UInt16>

    init(_ settings: SettingsSection) {
        let ports = settings.value(
            "allowed_ports", .list(of: .integer(1...65_535)), default: [],
            "Ports that a webhook's URL may have besides 80 and 443; loopback, in profile development, any.")
        allowedPorts = Set(ports.map { UInt16($0) })
    }
}

/// `retry`: when a delivery is tried again.
public struct RetrySettings: Sendable {
    public let initialDelay: Duration
    public let multiplier: Double
    public let maxDelay: Duration
    public let maxRetries: Int
    /// Explicit delays; empty: exponential ones.
    public let schedule: [Duration]
    /// A fraction of the delay, 0 … 1.
    public let jitter: Double
    public let maxAge: Duration

    init(_ settings: SettingsSection) {
        initialDelay = settings.value(
            "initial_delay", .duration(.milliseconds(100) ... .days(1)), default: .seconds(5), "The first delay.")
        multiplier = settings.value(
            "backoff_multiplier", .number(1...100), default: 2, "What each further one is multiplied by.")
        maxDelay = settings.value(
            "max_delay", .duration(.milliseconds(100) ... .days(7)), default: .seconds(3_600), "The longest one.")
        maxRetries = settings.value(
            "max_retries", .integer(0...100), default: 12, "Retries before a delivery is given up.")
        schedule = settings.value(
            "schedule", .list(of: .duration(.milliseconds(100) ... .days(7))), default: [],
            "The delays themselves, such as [10s, 30s, 1m, 5m, 15m]; empty: exponential ones by the keys above.")
        jitter = settings.value(
            "jitter", .number(0...1), default: 0.2,
            "Each delay is multiplied by a number from 1 - jitter to 1 + jitter, drawn anew each time.")
        maxAge = settings.value(
            "max_age", .duration(.seconds(1) ... .days(365)), default: .days(3),
            "How long a delivery is tried or waits altogether, before it is given up.")
        if schedule.count > 50 { settings.refuse("schedule", because: "must not have more than 50 delays") }
        if maxDelay < initialDelay { settings.refuse("max_delay", because: "must not be below retry.initial_delay") }
    }
}

/// `breaker`: keeps requests from endpoints that fail anyway.
public struct BreakerSettings: Sendable {
    public let isEnabled: Bool
    public let failureRatio: Double
    public let window: Duration
    public let minimumRequests: Int
    public let openFor: Duration
    public let probes: Int
    public let disableAfter: Duration

    init(_ settings: SettingsSection) {
        isEnabled = settings.value(
            "enabled", .boolean, default: true,
            "Whether nothing is sent for a while to an endpoint at which most requests fail.")
        failureRatio = settings.value(
            "failure_ratio", .number(0.01...1), default: 0.7,
            "The part of the requests that must fail for that, in each dispatcher process.")
        window = settings.value(
            "window", .duration(.seconds(1) ... .days(1)), default: .seconds(300), "How long a request counts.")
        minimumRequests = settings.value(
            "minimum_requests", .integer(1...1_000_000), default: 10, "How many must have been made in that time.")
        openFor = settings.value(
            "open_for", .duration(.milliseconds(100) ... .days(1)), default: .seconds(30),
            "How long nothing is sent, before a few requests probe the endpoint.")
        probes = settings.value(
            "probes", .integer(1...1_000), default: 3,
            "How many do, all of which must succeed for it to get everything again.")
        disableAfter = settings.value(
            "disable_after", .duration(.zero ... .days(365)), default: .days(5),
            "How long every request to a webhook must have failed for it to be switched off; 0s: never.")
    }
}

extension HostPort {
    static func loopback(_ port: UInt16) -> HostPort { HostPort(host: "127.0.0.1", port: port) }
}
