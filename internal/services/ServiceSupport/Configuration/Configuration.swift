public import Logs
public import Settings

/// Everything that can be configured, from `config.yaml` and the environment (`MARTLET_` and the key's path in capitals). Each key is
/// declared where it is read, in the sections' initializers.
public struct Configuration: Sendable {
    /// What begins the environment's variables.
    public static let environmentPrefix = "MARTLET_"
    /// The variable that names the file, where `--config` does not.
    public static let fileVariable = "MARTLET_CONFIG"

    public enum Profile: String, CaseIterable, Sendable {
        /// Refuses default secrets and loopback endpoints, and asks every producer for a token.
        case production
        case development
    }

    /// The secrets that a service works with: those whose defaults it must not start with in production.
    public struct Needs: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let postgres = Needs(rawValue: 1)
        public static let authentication = Needs(rawValue: 2)
        public static let sealing = Needs(rawValue: 4)
        public static let internalCalls = Needs(rawValue: 8)
    }

    public let profile: Profile
    public let logLevel: Logger.Level
    public let gateway: GatewaySettings
    public let registry: RegistrySettings
    public let ingestion: IngestionSettings
    public let dispatcher: DispatcherSettings
    public let retryManager: RetryManagerSettings
    public let observability: ObservabilitySettings
    public let events: EventSettings
    public let endpoints: EndpointSettings
    public let retry: RetrySettings
    public let breaker: BreakerSettings
    public let classification: ClassificationSettings
    public let kafka: KafkaSettings
    public let postgres: PostgresSettings
    public let redis: RedisSettings
    public let auth: AuthenticationSettings
    public let sealing: SealingSettings
    public let internalCalls: InternalSettings
    /// Every key with its value and where that comes from.
    public let effective: [EffectiveSetting]

    public var isDevelopment: Bool { profile == .development }

    /// Throws `SettingsError` with everything that is wrong.
    /// - Parameter file: A YAML file; nil: the one that `MARTLET_CONFIG` names, if any.
    public static func load(
        file: String? = nil, environment: [String: String] = SettingsSources.processEnvironment(), needs: Needs = []
    ) throws(SettingsError) -> Configuration {
        let named = environment[fileVariable].flatMap { $0.isEmpty ? nil : $0 }
        return try Configuration(
            SettingsSources(
                file: file ?? named, environment: environment, prefix: environmentPrefix,
                otherVariables: [fileVariable]), needs: needs)
    }

    init(_ sources: SettingsSources, needs: Needs) throws(SettingsError) {
        let reader = SettingsReader(sources)
        profile = reader.value(
            "profile", .choice(), default: .production,
            "production, or development, which alone allows default secrets, loopback endpoints and events without a token."
        )
        logLevel = reader.section("log").value(
            "level", .choice(of: Logger.Level.self), default: .info, "The least severe lines that are written.")
        gateway = GatewaySettings(reader.section("gateway"))
        registry = RegistrySettings(reader.section("registry"))
        ingestion = IngestionSettings(reader.section("ingestion"))
        dispatcher = DispatcherSettings(reader.section("dispatcher"))
        retryManager = RetryManagerSettings(reader.section("retry_manager"))
        observability = ObservabilitySettings(reader.section("observability"))
        events = EventSettings(reader.section("events"))
        endpoints = EndpointSettings(reader.section("endpoints"))
        retry = RetrySettings(reader.section("retry"))
        breaker = BreakerSettings(reader.section("breaker"))
        classification = ClassificationSettings(reader.section("classification"))
        kafka = KafkaSettings(reader.section("kafka"))
        postgres = PostgresSettings(reader.section("postgres"))
        redis = RedisSettings(reader.section("redis"))
        auth = AuthenticationSettings(reader.section("auth"))
        sealing = SealingSettings(reader.section("sealing"))
        internalCalls = InternalSettings(reader.section("internal"))
        effective = reader.effective
        if profile == .production { refuseDefaultSecrets(reader, needs) }
        try reader.finish()
    }

    private func refuseDefaultSecrets(_ reader: SettingsReader, _ needs: Needs) {
        let secrets: [(Needs, String, isDefault: Bool)] = [
            (.postgres, "postgres.password", postgres.password == PostgresSettings.developmentPassword),
            (.authentication, "auth.secret", auth.secret == AuthenticationSettings.developmentSecret),
            (.sealing, "sealing.keys", sealing.keys.values.contains(SealingSettings.developmentKey)),
            (.internalCalls, "internal.token", internalCalls.token == InternalSettings.developmentToken),
        ]
        for (need, path, isDefault) in secrets where isDefault && needs.contains(need) {
            reader.refuse(path, because: "the default secret is for profile development only; set one of your own")
        }
    }
}
