public import Postgres
public import Redis
internal import Settings

/// `postgres`
public struct PostgresSettings: Sendable {
    public enum TLSMode: String, CaseIterable, Sendable {
        case disable, prefer, require
        case verifyAuthority = "verify-ca"
        case verifyFull = "verify-full"
    }

    /// What a local start uses; refused in production.
    static let developmentPassword = "martlet-development"

    public let host: String
    public let port: UInt16
    public let user: String
    public let password: String
    public let database: String
    private let tlsMode: TLSMode
    private let authority: String
    private let maximumConnections: Int

    init(_ settings: SettingsSection) {
        host = settings.value("host", .text(1...255), default: "127.0.0.1", "The server's name or address.")
        port = UInt16(settings.value("port", .integer(1...65_535), default: 15_432, "Its port."))
        user = settings.value("user", .text(1...63), default: "martlet", "The role to log in as.")
        password = settings.value(
            "password", .text(0...1_024), default: Self.developmentPassword, isSecret: true, "Its password.")
        database = settings.value("database", .text(1...63), default: "martlet", "The database; a schema per service.")
        let tls = settings.section("tls")
        tlsMode = tls.value(
            "mode", .choice(), default: .prefer,
            "As libpq's sslmode; verify-full is the one that proves whose server it is.")
        authority = tls.value(
            "ca", .text(0...4_096), default: "", "A PEM file of trusted authorities; empty: the system's.")
        maximumConnections = settings.value(
            "max_connections", .integer(1...1_000), default: 8, "Connections that one service keeps at most.")
    }

    /// What a service makes its pool with.
    public func pool(_ applicationName: String) -> PostgresConfiguration {
        var pool = PostgresConfiguration()
        pool.host = host
        pool.port = port
        pool.user = user
        pool.password = password.isEmpty ? nil : password
        pool.database = database
        pool.sslMode = tlsMode.rawValue
        pool.rootCertificate = authority.isEmpty ? nil : authority
        pool.applicationName = applicationName
        pool.maximumConnections = maximumConnections
        return pool
    }
}

/// `redis`
public struct RedisSettings: Sendable {
    public let host: String
    public let port: UInt16
    private let user: String
    private let password: String
    private let database: Int
    private let tls: RedisTLS?

    init(_ settings: SettingsSection) {
        host = settings.value("host", .text(1...255), default: "127.0.0.1", "The server's name or address.")
        port = UInt16(settings.value("port", .integer(1...65_535), default: 16_379, "Its port."))
        user = settings.value("user", .text(0...256), default: "", "The ACL user; empty: the default one.")
        password = settings.value("password", .text(0...1_024), default: "", isSecret: true, "The user's password.")
        database = settings.value("database", .integer(0...15), default: 0, "The database's number.")
        tls = Self.tls(settings.section("tls"))
    }

    private static func tls(_ settings: SettingsSection) -> RedisTLS? {
        let isEnabled = settings.value("enabled", .boolean, default: false, "Whether the server is reached by TLS.")
        func path(_ name: String, _ meaning: String) -> String? {
            let path = settings.value(name, .text(0...4_096), default: "", meaning)
            return path.isEmpty ? nil : path
        }
        var tls = RedisTLS()
        tls.authorityFile = path("ca", "A PEM file of trusted authorities; empty: the system's.")
        tls.certificateFile = path("certificate", "A PEM file with the client's certificate.")
        tls.keyFile = path("key", "A PEM file with the client's key.")
        return isEnabled ? tls : nil
    }

    /// What a service makes its connection with.
    public func client(_ name: String) -> RedisConfiguration {
        var client = RedisConfiguration()
        client.host = host
        client.port = port
        client.user = user.isEmpty ? nil : user
        client.password = password.isEmpty ? nil : password
        client.database = database
        client.tls = tls
        client.clientName = name
        return client
    }
}
