/// How to reach a database and how many connections to keep to it.
public struct PostgresConfiguration: Sendable {
    /// A name, an address, a socket directory, or several separated by commas, as libpq takes them.
    public var host = "127.0.0.1"
    public var port: UInt16 = 5432
    public var user = "martlet"
    public var password: String?
    /// A database's name. A connection string or URI goes here as well; what it says wins over the fields above.
    public var database = "martlet"
    /// libpq's `sslmode`: disable, allow, prefer, require, verify-ca, verify-full.
    public var sslMode = "prefer"
    /// Path of the certificate authorities (PEM) that `verify-ca` and `verify-full` trust.
    public var rootCertificate: String?
    /// What `pg_stat_activity` shows.
    public var applicationName = "martlet"
    /// Further libpq keywords, passed through as they are; they win over everything above but `database`.
    public var options: [String: String] = [:]

    /// Server settings of each session (`jit`, `lock_timeout`, …), sent when it begins.
    public var session: [String: String] = [:]

    /// Connections kept open while nothing needs them.
    public var minimumConnections = 1
    public var maximumConnections = 8
    /// How long a connection beyond the minimum may be idle before it is closed.
    public var idleTimeoutMilliseconds: UInt64 = 60_000
    /// Requests that may wait for a connection; further ones fail at once.
    public var maximumWaiters = 1_024
    /// How long a request waits for a connection.
    public var acquireTimeoutMilliseconds: UInt64 = 5_000
    /// How long a statement may run where its caller sets no limit; then it is cancelled and its connection closed.
    public var statementTimeoutMilliseconds: UInt64 = 15_000
    /// How long connecting may take, name resolution, TLS and login included (libpq rounds below 2 up).
    public var connectTimeoutSeconds = 5
    /// The delay after a first failed connection; doubled by each further one up to the maximum, with ±20 % jitter.
    public var reconnectDelayMilliseconds: UInt64 = 100
    public var maximumReconnectDelayMilliseconds: UInt64 = 3_000

    public init() {}

    /// What libpq is given: keywords and values. Sessions speak UTF-8, ISO dates and UTC, which the decoding relies on, and notice a
    /// peer that vanished.
    var parameters: [(keyword: String, value: String)] {
        let fixed = ["timezone": "UTC", "datestyle": "ISO", "intervalstyle": "iso_8601", "bytea_output": "hex"]
        let settings = session.merging(fixed) { _, fixed in fixed }.sorted { $0.key < $1.key }
        var parameters: [(keyword: String, value: String)] = [
            ("host", host), ("port", String(port)), ("user", user), ("sslmode", sslMode),
            ("application_name", applicationName), ("client_encoding", "UTF8"),
            ("connect_timeout", String(connectTimeoutSeconds)),
            ("keepalives_idle", "15"), ("keepalives_interval", "5"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "20000"),
            ("options", settings.map { "-c \($0.key)=\(Self.escaped($0.value))" }.joined(separator: " ")),
        ]
        if let password { parameters.append(("password", password)) }
        if let rootCertificate { parameters.append(("sslrootcert", rootCertificate)) }
        // Of a keyword given twice libpq takes the last; a connection string in `dbname` overrides what stands before it.
        for (keyword, value) in options.sorted(by: { $0.key < $1.key }) { parameters.append((keyword, value)) }
        parameters.append(("dbname", database))
        return parameters
    }

    /// Blanks end a setting unless they are escaped.
    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing(" ", with: "\\ ")
    }
}
