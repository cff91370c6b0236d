import Kafka
import Logs
import Postgres
import Redis
import Settings
import Testing

@testable import ServiceSupport

@Suite struct ConfigurationTests {
    private func load(
        _ yaml: String = "", _ environment: [String: String] = [:], needs: Configuration.Needs = []
    ) throws -> Configuration {
        let sources = try SettingsSources(
            yaml: Array(yaml.utf8), file: "config.yaml", environment: environment, prefix: "MARTLET_")
        return try Configuration(sources, needs: needs)
    }

    private func problems(
        _ yaml: String = "", _ environment: [String: String] = [:], needs: Configuration.Needs = []
    ) -> [String] {
        do {
            _ = try load(yaml, environment, needs: needs)
            return []
        } catch {
            return (error as? SettingsError)?.problems ?? ["\(error)"]
        }
    }

    @Test func theDefaultsAreThoseOfTheDesign() throws {
        let configuration = try load()
        #expect(configuration.profile == .production && !configuration.isDevelopment)
        #expect(configuration.kafka.partitions == 16)
        #expect(configuration.events.maxSizeBytes == 262_144)
        #expect(configuration.dispatcher.maxInFlight == 10_000)
        #expect(configuration.dispatcher.maxInFlightPerWebhook == 128)
        #expect(configuration.dispatcher.maxUnacknowledgedAge == .seconds(2))
        #expect(configuration.dispatcher.shortQueueWait == .seconds(1))
        #expect(configuration.dispatcher.shortQueueBytes == 262_144)
        #expect(configuration.observability.retention == .seconds(72 * 3_600))
        #expect(configuration.gateway.listen.port == 8_080 && configuration.registry.listenGRPC.port == 8_081)
        #expect(configuration.ingestion.listen.port == 8_082 && configuration.dispatcher.listen.port == 8_083)
        #expect(configuration.observability.listen.port == 8_085 && configuration.registry.listen.port == 9_081)
    }

    /// `config.yaml` is made from the declarations: `UPDATE_CONFIG_YAML=1 swift test --filter ServiceSupportTests` writes it.
    @Test func theReferenceFileIsComplete() throws {
        let made = try referenceHeader + SettingsDocument.reference(load().effective)
        let path = checkout + "/config.yaml"
        if SettingsSources.processEnvironment()["UPDATE_CONFIG_YAML"] == "1" { try overwrite(path, made) }
        let text = try readText(path)
        #expect(text == made, "config.yaml does not say what the declarations say")
        let parsed = try load(text)
        for setting in parsed.effective {
            #expect(setting.value == setting.defaultValue)
            #expect(setting.source != .fallback, "\(setting.path) is missing in config.yaml")
            #expect(!setting.meaning.isEmpty)
        }
    }

    @Test func defaultSecretsAreForDevelopmentOnly() {
        let all: Configuration.Needs = [.postgres, .authentication, .sealing, .internalCalls]
        let found = problems(needs: all)
        for key in ["postgres.password", "auth.secret", "sealing.keys", "internal.token"] {
            #expect(found.contains { $0.hasPrefix("\(key) = ******: the default secret") }, "\(key) in \(found)")
        }
        #expect(found.count == 4)
        #expect(problems("profile: development", needs: all).isEmpty)
        #expect(problems(needs: [.sealing]).count == 1)
        let own = String(repeating: "x", count: 32)
        let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
        #expect(
            problems(
                "sealing: {keys: {k1: \(key)}, active_key: k1}",
                [
                    "MARTLET_POSTGRES_PASSWORD": "p", "MARTLET_AUTH_SECRET": own, "MARTLET_INTERNAL_TOKEN": own,
                ], needs: all
            ).isEmpty)
    }

    @Test(arguments: [
        ("kafka: {retention: {attempts: 1h}}", "kafka.retention.attempts = 1h: must be at least as long"),
        ("kafka: {sasl: {mechanism: PLAIN}}", "kafka.sasl.username = \"\": logging in needs a name"),
        ("kafka: {topic_prefix: \"a b\"}", "kafka.topic_prefix: expected at most 100 letters"),
        ("sealing: {active_key: other}", "sealing.active_key = \"other\": must be the id of one"),
        ("sealing: {keys: {k: c2hvcnQ=}}", "sealing.keys: expected a map from key id to 32 bytes in base64"),
        ("retry: {initial_delay: 2h}", "retry.max_delay = 1h: must not be below"),
        (
            "retry: {schedule: [\(Array(repeating: "1s", count: 51).joined(separator: ", "))]}",
            "retry.schedule = [1s, 1s, 1s"
        ),
        ("auth: {secret: short}", "auth.secret: expected text of 32 characters or more, found ******"),
        ("kafka: {partition: 3}", "kafka.partition: no such key (config.yaml:1); did you mean kafka.partitions?"),
    ])
    func whatDoesNotFitIsRefused(yaml: String, beginning: String) {
        #expect(problems(yaml).contains { $0.hasPrefix(beginning) }, "\(problems(yaml))")
    }

    @Test func connectionsCarryTheirSettings() throws {
        let configuration = try load(
            """
            kafka:
              brokers: ["a:1", "b:2"]
              topic_prefix: x.
              sasl: {mechanism: SCRAM-SHA-512, username: u, password: p}
              tls: {enabled: true, ca: /ca.pem}
              properties: {linger.ms: "3"}
            postgres: {host: db, password: secret, tls: {mode: verify-full, ca: /pg.pem}}
            redis: {host: cache, user: u, password: p, tls: {enabled: true, ca: /redis.pem}}
            """)
        let kafka = configuration.kafka.client("service", logger: Logger(label: "test"))
        #expect(kafka.brokers == "a:1,b:2" && kafka.clientID == "service")
        #expect(kafka.sasl?.mechanism == "SCRAM-SHA-512" && kafka.sasl?.password == "p")
        #expect(kafka.tls?.certificateAuthority == "/ca.pem" && kafka.tls?.key == nil)
        #expect(kafka.properties == ["linger.ms": "3"])
        #expect(configuration.kafka.topics.deadLetters == "x.dead-letters")
        let pool = configuration.postgres.pool("service")
        #expect(pool.host == "db" && pool.sslMode == "verify-full" && pool.rootCertificate == "/pg.pem")
        let redis = configuration.redis.client("service")
        #expect(redis.host == "cache" && redis.user == "u" && redis.tls?.authorityFile == "/redis.pem")
    }

    @Test func theInMemoryBrokerIsNotWaitedFor() throws {
        let kafka = try load("kafka: {log_id: abc}").kafka
        #expect(kafka.isInMemory)
        #expect(kafka.fetchWaitMilliseconds == 10)
        #expect(try load().kafka.fetchWaitMilliseconds == 100)
    }

    @Test func printedValuesHideSecrets() throws {
        let printed = SettingsDocument.effective(
            try load("kafka: {partitions: 3}", ["MARTLET_REDIS_PASSWORD": "geheim"]).effective)
        #expect(printed.contains("  partitions: 3  # config.yaml:1\n"))
        #expect(printed.contains("  password: ******  # environment MARTLET_REDIS_PASSWORD\n"))
        #expect(!printed.contains("geheim") && !printed.contains("development-only"))
    }

    @Test func theFileMayBeNamedByTheEnvironment() {
        let error = #expect(throws: SettingsError.self) {
            _ = try Configuration.load(environment: ["MARTLET_CONFIG": "/nowhere.yaml"])
        }
        #expect(error?.description == "/nowhere.yaml: No such file or directory")
    }
}

private let referenceHeader = """
    # Every key with its default. Unknown keys and wrong values stop a start and are named.
    # Each key can be overridden by the environment variable named beside it; a secret also by a file, named by that
    # variable with _FILE at its end. Durations: 250ms, 6s, 15m, 72h, 30d. Sizes: 512, 64KiB, 5MiB, 2GiB.


    """
