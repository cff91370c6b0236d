/// How to reach one Redis server.
public struct RedisConfiguration: Sendable {
    /// A name or an address.
    public var host = "127.0.0.1"
    public var port: UInt16 = 6379
    /// An ACL user; nil: the default user.
    public var user: String?
    public var password: String?
    public var database = 0
    /// nil: no TLS.
    public var tls: RedisTLS?
    /// What `CLIENT LIST` shows; without blanks.
    public var clientName = "martlet"

    /// How long an answer may take. One that takes longer means that the connection is stuck: it is dropped, and everything pending
    /// with it.
    public var commandTimeoutMilliseconds: UInt64 = 1_000
    /// How long connecting may take, name resolution, TLS and login included.
    public var connectTimeoutMilliseconds: UInt64 = 3_000
    /// The delay after a first failed or lost connection; doubled by each further one up to the maximum, with ±20 % jitter.
    public var reconnectDelayMilliseconds: UInt64 = 50
    public var maximumReconnectDelayMilliseconds: UInt64 = 2_000
    /// Commands that may wait for their answers; further ones fail at once.
    public var maximumPending = 20_000

    public init() {}
}

/// TLS to a server whose certificate must be for the configured host.
public struct RedisTLS: Sendable {
    /// Path of the trusted authorities (PEM); nil: the system's.
    public var authorityFile: String?
    /// Paths of this client's certificate and key (PEM), where the server wants one.
    public var certificateFile: String?
    public var keyFile: String?
    /// False accepts any certificate: no protection from whoever sits between.
    public var verifies = true

    public init() {}
}
