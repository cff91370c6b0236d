// swift-tools-version: 6.2
// Martlet builds from the Swift toolchain and the distribution's C libraries alone: there are no package dependencies.
// Layers, outermost first: cmd → internal/services → internal/core, with pkg beside them (see ARCHITECTURE.md).
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// A narrow C target: the only place that sees a C library's headers, imported by one Swift module.
func shim(_ name: String, links libraries: [String] = []) -> Target {
    .target(
        name: name, path: "pkg/\(name)", cSettings: [.treatAllWarnings(as: .error)],
        linkerSettings: libraries.map { .linkedLibrary($0) })
}

/// A module that could be a library of its own and knows nothing of webhooks.
func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "pkg/\(name)", swiftSettings: strict)
}

/// Domain types and decisions: no I/O, no clock, no randomness, no C.
func core(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "internal/core/\(name)", swiftSettings: strict)
}

/// A loop that carries decisions out.
func service(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "internal/services/\(name)", swiftSettings: strict)
}

/// A program. Its memory comes from jemalloc instead of the C library's malloc (docs/adr/0014).
func command(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "cmd/\(name)", swiftSettings: strict,
        linkerSettings: [.linkedLibrary("jemalloc")])
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(name)", resources: resources, swiftSettings: strict)
}

let libraries: [Target] = [
    shim("CLinux"),
    shim("CKafka", links: ["rdkafka"]),
    shim("CHTTPServer", links: ["h2o-evloop", "ssl", "crypto"]),
    shim("CCurl", links: ["curl"]),
    shim("CGRPC", links: ["grpc", "gpr"]),
    shim("CPostgres", links: ["pq"]),
    shim("CHiredis", links: ["hiredis", "ssl", "crypto"]),
    // The SQL of migrations/, embedded, so that a binary finds it wherever it lies.
    .target(
        name: "CMigrations", path: "migrations", exclude: ["gateway", "observability", "registry"],
        cSettings: [.treatAllWarnings(as: .error)]),
    shim("COpenSSL", links: ["crypto"]),
    shim("CSodium", links: ["sodium"]),
    shim("CYAML", links: ["yaml"]),
    library("EventLoops", ["CLinux"]),
    library("WireFormat"),
    library("JSONScanning"),
    library("Logs", ["CLinux"]),
    library("Metrics"),
    library("LifeCycle", ["CLinux", "Logs"]),
    library("ChildProcesses", ["CLinux", "EventLoops"]),
    library("Spelling"),
    library("Settings", ["CYAML", "Spelling"]),
    library("Flags", ["Spelling"]),
    library("Cryptography", ["COpenSSL", "CSodium", "EventLoops"]),
    library("StandardWebhooks", ["Cryptography"]),
    library("Tokens", ["Cryptography", "JSONScanning"]),
    library("Kafka", ["CKafka", "CLinux", "EventLoops"]),
    library("HTTPServing", ["CHTTPServer", "EventLoops"]),
    library("HTTPSending", ["CCurl", "EventLoops"]),
    library("GRPC", ["CGRPC", "EventLoops", "WireFormat"]),
    library("Postgres", ["CPostgres", "EventLoops"]),
    library("Redis", ["CHiredis", "EventLoops"]),
]

let cores: [Target] = [
    core("Records", ["WireFormat"]),
    core("Routing", ["Records"]),
    core("Settling", ["Records"]),
    core("Delivering", ["Records"]),
    core("Validation", ["Records"]),
    core("Editing", ["Records"]),
    core("Scheduling", ["Records"]),
    core("Accounting", ["Records", "Settling"]),
]

let simulations: [Target] = [
    .target(
        name: "Simulation", dependencies: ["Records", "Settling", "Delivering", "Scheduling", "Accounting"],
        path: "internal/simulation", swiftSettings: strict)
]

let services: [Target] = [
    service(
        "ServiceSupport",
        [
            "Records", "Routing", "Delivering", "WireFormat", "Settings", "Flags", "Logs", "Metrics", "LifeCycle",
            "HTTPServing",
            "Kafka", "JSONScanning", "Cryptography", "Postgres", "Redis", "EventLoops", "CMigrations", "Tokens",
        ]),
    service(
        "Ingestion",
        [
            "ServiceSupport", "Records", "Validation", "JSONScanning", "HTTPServing", "Kafka", "Redis", "EventLoops",
            "Logs", "Metrics", "LifeCycle", "Cryptography", "Tokens", "CLinux",
        ]),
    service(
        "Dispatching",
        [
            "ServiceSupport", "Records", "Routing", "Settling", "Delivering", "HTTPSending", "HTTPServing", "Kafka",
            "StandardWebhooks", "EventLoops", "Logs", "Metrics", "LifeCycle", "Cryptography", "WireFormat", "CLinux",
            "JSONScanning",
        ]),
    service(
        "Retrying",
        [
            "ServiceSupport", "Records", "Scheduling", "Kafka", "Redis", "EventLoops", "Logs", "Metrics", "LifeCycle",
            "CLinux",
        ]),
    service(
        "Registry",
        [
            "ServiceSupport", "Records", "Validation", "Editing", "GRPC", "Postgres", "Kafka", "HTTPServing",
            "Cryptography", "StandardWebhooks", "WireFormat", "Logs", "Metrics", "LifeCycle", "EventLoops",
            "JSONScanning",
        ]),
    service(
        "Gateway",
        [
            "ServiceSupport", "Records", "Validation", "GRPC", "Postgres", "HTTPServing", "HTTPSending", "Tokens",
            "Cryptography", "WireFormat", "JSONScanning", "Logs", "Metrics", "LifeCycle", "Ingestion", "Settings",
            "Kafka", "CLinux",
        ]),
    service(
        "Observing",
        [
            "ServiceSupport", "Records", "Accounting", "Settling", "Delivering", "Postgres", "Kafka", "HTTPServing",
            "JSONScanning",
            "EventLoops", "Logs", "Metrics", "LifeCycle", "Cryptography", "WireFormat", "CLinux",
        ]),
    service(
        "Supervising",
        [
            "ServiceSupport", "Records", "Accounting", "Settling", "Kafka", "HTTPServing", "HTTPSending",
            "JSONScanning", "StandardWebhooks",
            "Postgres", "Redis", "EventLoops", "Logs", "LifeCycle", "Settings", "Cryptography", "CLinux", "Flags",
            "Gateway", "WireFormat", "ChildProcesses",
        ]),
]

let commands: [Target] = [
    command("api-gateway", ["Gateway", "ServiceSupport", "LifeCycle"]),
    command("webhook-registry", ["Registry", "ServiceSupport"]),
    command("event-ingestion", ["Ingestion", "ServiceSupport"]),
    command("webhook-dispatcher", ["Dispatching", "ServiceSupport"]),
    command("retry-manager", ["Retrying", "ServiceSupport", "LifeCycle"]),
    command("observability", ["Observing", "ServiceSupport", "LifeCycle"]),
    command("martlet", ["Supervising", "LifeCycle", "Flags"]),
    command("simulate", ["Simulation", "Flags", "LifeCycle"]),
]

let benchmarks: [Target] = [
    // `martlet bench` runs it.
    .executableTarget(
        name: "martlet-bench",
        dependencies: [
            "References", "ServiceSupport", "Records", "Kafka", "Redis", "Postgres", "Logs", "Metrics", "Settings",
            "CLinux", "EventLoops", "HTTPServing", "HTTPSending", "JSONScanning", "ChildProcesses", "Flags",
            "LifeCycle",
        ],
        path: "Benchmarks/Harness", swiftSettings: strict),
    // Stands in for malloc: for bench-micro alone.
    .target(
        name: "CMeasuring", path: "Benchmarks/Micro/CMeasuring", cSettings: [.treatAllWarnings(as: .error)]),
    .executableTarget(
        name: "bench-micro",
        dependencies: [
            "CMeasuring", "Ingestion", "Dispatching", "Observing", "Scheduling", "HTTPSending", "ServiceSupport",
            "Records", "Routing", "Settling",
            "Delivering",
            "StandardWebhooks", "Kafka", "EventLoops", "JSONScanning", "WireFormat", "Metrics", "Flags", "LifeCycle",
        ],
        path: "Benchmarks/Micro/Bench", swiftSettings: strict),
    // What the bare libraries cost, to compare with.
    .target(
        name: "CReferences", path: "Benchmarks/References/CReferences", cSettings: [.treatAllWarnings(as: .error)],
        linkerSettings: [.linkedLibrary("curl"), .linkedLibrary("rdkafka")]),
    .target(
        name: "References", dependencies: ["CReferences"], path: "Benchmarks/References/References",
        swiftSettings: strict),
]

let suites: [Target] = [
    .target(
        name: "TestSupport", dependencies: ["ChildProcesses", "EventLoops", "CLinux", "Kafka", "HTTPServing"],
        path: "Tests/TestSupport",
        swiftSettings: strict),
    tests(
        "BenchmarkingTests",
        [
            "martlet-bench", "ChildProcesses", "EventLoops", "HTTPSending", "HTTPServing", "JSONScanning", "Metrics",
            "TestSupport",
        ]),
    tests("HouseRulesTests", ["TestSupport"]),
    tests("EventLoopsTests", ["EventLoops", "TestSupport"]),
    tests("WireFormatTests", ["WireFormat", "TestSupport"]),
    tests("JSONScanningTests", ["JSONScanning", "TestSupport"]),
    tests("LogsTests", ["Logs", "TestSupport"]),
    tests("MetricsTests", ["Metrics", "TestSupport"]),
    tests("LifeCycleTests", ["LifeCycle", "Logs", "TestSupport"]),
    tests("SettingsTests", ["Settings", "Spelling", "TestSupport"]),
    tests("FlagsTests", ["Flags", "TestSupport"]),
    tests("CryptographyTests", ["Cryptography", "TestSupport"]),
    tests("StandardWebhooksTests", ["StandardWebhooks", "TestSupport"]),
    tests("TokensTests", ["Tokens", "Cryptography", "TestSupport"]),
    .target(
        name: "CTransactions", path: "Tests/CTransactions", cSettings: [.treatAllWarnings(as: .error)],
        linkerSettings: [.linkedLibrary("rdkafka")]),
    tests("KafkaTests", ["Kafka", "EventLoops", "CTransactions", "TestSupport"]),
    tests("ReferencesTests", ["References", "EventLoops", "Kafka", "TestSupport"]),
    // Runs bench-micro, on which it does not depend: the malloc of CMeasuring would be that of all tests.
    tests("MicroBenchmarkTests", ["JSONScanning", "TestSupport"]),
    tests("HTTPServingTests", ["HTTPServing", "EventLoops", "TestSupport"]),
    tests("HTTPSendingTests", ["HTTPSending", "EventLoops", "TestSupport"]),
    tests("GRPCTests", ["GRPC", "WireFormat", "TestSupport"]),
    tests("PostgresTests", ["Postgres", "EventLoops", "TestSupport"]),
    tests("RedisTests", ["Redis", "EventLoops", "TestSupport"]),
    tests("RecordsTests", ["Records", "WireFormat", "Cryptography", "JSONScanning", "TestSupport"]),
    tests("RoutingTests", ["Routing", "Records", "TestSupport"]),
    tests("SettlingTests", ["Settling", "Records", "TestSupport"]),
    tests("DeliveringTests", ["Delivering", "Records", "TestSupport"]),
    tests("ValidationTests", ["Validation", "Records", "TestSupport"]),
    tests("SchedulingTests", ["Scheduling", "Records", "TestSupport"]),
    tests("SimulationTests", ["Simulation", "TestSupport"]),
    tests("AccountingTests", ["Accounting", "Records", "Settling", "TestSupport"]),
    tests("EditingTests", ["Editing", "Records", "TestSupport"]),
    tests(
        "ServiceSupportTests",
        [
            "ServiceSupport", "Records", "Routing", "WireFormat", "Settings", "Kafka", "Postgres", "Redis", "Metrics",
            "Logs", "LifeCycle", "Flags", "HTTPServing", "HTTPSending", "JSONScanning", "EventLoops", "TestSupport",
        ]),
    tests(
        "IngestionTests",
        [
            "Ingestion", "ServiceSupport", "Kafka", "Records", "Redis", "Tokens", "HTTPServing", "HTTPSending",
            "JSONScanning", "Logs", "LifeCycle", "CLinux", "TestSupport", "event-ingestion",
        ]),
    tests(
        "DispatchingTests",
        [
            "Dispatching", "ServiceSupport", "Kafka", "Records", "HTTPServing", "HTTPSending", "StandardWebhooks",
            "Delivering", "EventLoops", "Logs", "Metrics", "WireFormat", "CLinux", "webhook-dispatcher", "TestSupport",
        ]),
    tests(
        "RetryingTests",
        [
            "Retrying", "Scheduling", "ServiceSupport", "Kafka", "Records", "Redis", "HTTPSending", "EventLoops",
            "Logs",
            "CLinux", "retry-manager", "TestSupport",
        ]),
    // Apart from RetryingTests, so that nothing else takes the machine while a backlog drains; the harness is theirs, by a link.
    tests(
        "BacklogTests",
        [
            "ServiceSupport", "Kafka", "Records", "HTTPSending", "Logs", "WireFormat", "CLinux", "retry-manager",
            "webhook-dispatcher", "TestSupport",
        ]),
    tests(
        "RegistryTests",
        [
            "Registry", "ServiceSupport", "Kafka", "Postgres", "GRPC", "Records", "Logs", "Metrics", "LifeCycle",
            "StandardWebhooks", "WireFormat", "Editing", "Settings", "TestSupport", "webhook-registry",
        ]),
    tests(
        "GatewayTests",
        [
            "Gateway", "Registry", "Observing", "ServiceSupport", "Kafka", "Postgres", "Tokens", "Records", "GRPC",
            "Cryptography",
            "HTTPServing", "HTTPSending", "JSONScanning", "WireFormat", "Logs", "LifeCycle", "CLinux", "TestSupport",
            "api-gateway",
        ]),
    tests(
        "ObservingTests",
        [
            "Observing", "Delivering", "ServiceSupport", "Kafka", "Postgres", "Records", "WireFormat", "HTTPServing",
            "JSONScanning", "LifeCycle", "Logs", "Metrics", "EventLoops", "CLinux", "Settling", "TestSupport",
            "observability",
        ]),
    tests(
        "SupervisingTests",
        [
            "Supervising", "ChildProcesses", "ServiceSupport", "HTTPServing", "HTTPSending", "JSONScanning",
            "StandardWebhooks", "EventLoops", "Flags", "Kafka", "Records", "Accounting", "CLinux", "WireFormat",
            "martlet", "TestSupport",
        ]),
    tests(
        "GuideTests",
        [
            "StandardWebhooks", "Cryptography", "JSONScanning", "api-gateway", "webhook-registry", "event-ingestion",
            "webhook-dispatcher", "retry-manager", "observability", "martlet", "TestSupport",
        ]),
    tests(
        "ChaosTests",
        [
            "ServiceSupport", "HTTPServing", "HTTPSending", "Kafka", "JSONScanning", "Logs", "EventLoops",
            "api-gateway", "webhook-registry", "event-ingestion", "retry-manager", "webhook-dispatcher",
            "observability", "martlet", "TestSupport",
        ]),
    tests(
        "BlackBoxTests",
        [
            "ServiceSupport", "Tokens", "HTTPSending", "StandardWebhooks", "Kafka", "JSONScanning", "Logs",
            "api-gateway", "webhook-registry", "event-ingestion", "retry-manager", "webhook-dispatcher",
            "observability", "martlet",
            "TestSupport",
        ]),
]

let package = Package(
    name: "martlet",
    products: [.library(name: "StandardWebhooks", targets: ["StandardWebhooks"])],
    targets: libraries + cores + simulations + services + commands + benchmarks + suites
)
