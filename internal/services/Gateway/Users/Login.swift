internal import CLinux
internal import Cryptography
internal import HTTPServing
internal import JSONScanning
internal import Logs
internal import Metrics
internal import Postgres
internal import ServiceSupport
internal import Synchronization
internal import Tokens

/// `POST /auth/login`: a password for a token. Whether a user is there shows neither in the answer nor in its time.
final class Login: Sendable {
    private struct Credentials {
        var username: String
        var password: [UInt8]
    }

    private let users: UserStore
    private let hasher: PasswordHasher
    private let authority: TokenAuthority
    private let lifetimeSeconds: Int64
    /// The development profile's user may log in there only.
    private let takesDefaultUser: Bool
    private let logger: Logger
    private let logins: MetricFamily<Counter>
    private let limiter = Mutex(LoginLimiter())

    init(_ context: ServiceContext, users: UserStore, hasher: PasswordHasher, authority: TokenAuthority) {
        self.users = users
        self.hasher = hasher
        self.authority = authority
        lifetimeSeconds = Int64(context.configuration.auth.tokenLifetime / .seconds(1))
        takesDefaultUser = context.configuration.isDevelopment
        logger = context.logger
        logins = context.metrics.counter(
            "webhook_logins_total", help: "Logins, by what became of them.", labels: ["result"])
    }

    var routes: [HTTPRoute] {
        [HTTPRoute("POST", "/auth/login", logger: logger, throwing: { [self] in try await logIn($0) })]
    }

    private func logIn(_ request: HTTPRequest) async throws -> HTTPResponse {
        let credentials = try Self.credentials(try request.jsonBody())
        // Names that nobody can have share a bucket, and take no memory.
        let isUsername = User.isUsername(credentials.username)
        let key = LoginLimiter.Key(username: isUsername ? credentials.username : "", address: request.peer)
        if let seconds = limiter.withLock({ $0.take(key, now: clinux_monotonic_ns()) }) {
            logins.labelled("limited").increment()
            throw HTTPProblem(
                status: 429, code: "too_many_attempts", detail: "Too many attempts: try again in \(seconds) s.",
                retryAfter: seconds)
        }
        let account: UserStore.Account?
        do {
            account = try await authenticate(credentials, isUsername: isUsername)
        } catch {
            limiter.withLock { $0.giveBack(key, now: clinux_monotonic_ns()) }
            throw unavailable(error)
        }
        guard let account else { throw refused(request) }
        limiter.withLock { $0.giveBack(key, now: clinux_monotonic_ns()) }
        await refreshHash(of: account, credentials.password)
        logins.labelled("accepted").increment()
        return try answer(account.user)
    }

    private static func credentials(_ body: JSONValue) throws(JSONFieldError) -> Credentials {
        var fields = try JSONFields(body)
        let username = try fields.required("username", fields.string("username"))
        let password = try fields.required("password", fields.string("password"))
        try fields.refuseOthers()
        guard password.utf8.count <= User.passwordBytes.upperBound else {
            throw JSONFieldError(
                path: "password", reason: .outOfRange(expected: "at most \(User.passwordBytes.upperBound) bytes long"))
        }
        return Credentials(username: username, password: Array(password.utf8))
    }

    /// nil: the name or the password is wrong.
    private func authenticate(_ credentials: Credentials, isUsername: Bool) async throws -> UserStore.Account? {
        let found = isUsername ? try await users.find(credentials.username) : nil
        guard let account = found, takesDefaultUser || !account.isDefault else {
            // As long as it takes for somebody who is there.
            _ = try await hasher.hash(credentials.password)
            return nil
        }
        return try await hasher.verify(credentials.password, against: account.passwordHash) ? account : nil
    }

    private func refused(_ request: HTTPRequest) -> HTTPProblem {
        logins.labelled("refused").increment()
        // Without the name: what is typed there is sometimes the password.
        logger.notice(
            "a login was refused",
            metadata: [LogKey.address: "\(request.peer)", LogKey.requestID: "\(request.requestID)"])
        var problem = HTTPProblem.unauthorized("The username or the password is wrong.")
        problem.code = "invalid_credentials"
        return problem
    }

    private func unavailable(_ error: any Error) -> any Error {
        logins.labelled("unavailable").increment()
        switch error {
        case is PostgresError:
            logger.warning("a login found no database", metadata: [LogKey.error: "\(error)"])
            return HTTPProblem.unavailable("Users cannot be looked up at the moment; try again.", retryAfter: 2)
        case is CryptographyError:
            return HTTPProblem.unavailable("Too many logins are under way; try again.", retryAfter: 2)
        default: return error
        }
    }

    /// The only time when the password is known. That the login succeeds does not hang on it.
    private func refreshHash(of account: UserStore.Account, _ password: [UInt8]) async {
        guard hasher.needsRehash(account.passwordHash) else { return }
        do {
            try await users.rehash(account, password: password)
        } catch {
            logger.warning("a password's hash was not renewed", metadata: [LogKey.error: "\(error)"])
        }
    }

    private func answer(_ user: User) throws(TokenError) -> HTTPResponse {
        let now = clinux_realtime_ms() / 1_000
        let token = try authority.issue(
            TokenClaims(
                subject: user.username, tenant: user.tenant, scopes: user.scopes.map(\.rawValue), issuedAt: now,
                expiresAt: now + lifetimeSeconds, id: Base64.urlSafe.encode(randomBytes(16))))
        var writer = JSONWriter(reserving: 512)
        writer.object { writer in
            writer.member("token", token)
            writer.member("token_type", "Bearer")
            writer.member("expires_in", lifetimeSeconds)
        }
        return .json(writer.bytes, headers: [("cache-control", "no-store")])
    }
}
