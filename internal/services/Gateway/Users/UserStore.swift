public import Cryptography
public import Postgres

/// The users, in table `gateway.users`: for logging in, and for the command line.
public struct UserStore: Sendable {
    /// A user as stored.
    struct Account: Sendable {
        var user: User
        var passwordHash: String
        /// Made by the development profile, with a password that everybody knows.
        var isDefault: Bool
    }

    private let pool: PostgresPool
    private let hasher: PasswordHasher

    public init(pool: PostgresPool, hasher: PasswordHasher = PasswordHasher()) {
        self.pool = pool
        self.hasher = hasher
    }

    /// Throws `UserError`, `PostgresError`, or `CryptographyError` where the password cannot be hashed.
    public func add(_ user: User, password: String) async throws {
        if let problem = user.problem(password: password) { throw problem }
        guard try await insert(user, password, isDefault: false) else { throw UserError.exists(user.username) }
    }

    /// Replaces a password; tokens issued before stay valid until they expire. Throws like `add`.
    /// - Parameter tenant: The user's, where the caller wants to be sure whom it changes.
    public func setPassword(_ password: String, of username: String, tenant: String? = nil) async throws {
        if let problem = User.problem(password: password) { throw problem }
        guard User.isUsername(username) else { throw UserError.unknown(username) }
        let hash = try await hasher.hash(Array(password.utf8))
        let changed = try await pool.query(
            """
            UPDATE gateway.users SET password_hash = $2, is_default = false, changed_at = now()
            WHERE username = $1 AND ($3::text IS NULL OR tenant = $3)
            """, [.text(username), .text(hash), .optional(tenant)])
        guard changed.affectedRows == 1 else { throw UserError.unknown(username) }
    }

    // MARK: For the gateway

    /// nil where there is none. Throws `PostgresError`.
    func find(_ username: String) async throws -> Account? {
        let rows = try await pool.query(
            "SELECT username, tenant, scopes, password_hash, is_default FROM gateway.users WHERE username = $1",
            [.text(username)])
        guard let row = rows.first else { return nil }
        let scopes: [String] = try row.decode("scopes")
        return Account(
            user: User(
                username: try row.decode("username"), tenant: try row.decode("tenant"),
                // What a newer release granted, this one does not know.
                scopes: scopes.compactMap(Scope.init(rawValue:))),
            passwordHash: try row.decode("password_hash"), isDefault: try row.decode("is_default"))
    }

    /// Stores a hash of the same password at another cost, unless it was replaced meanwhile.
    func rehash(_ account: Account, password: [UInt8]) async throws {
        let hash = try await hasher.hash(password)
        try await pool.query(
            "UPDATE gateway.users SET password_hash = $3 WHERE username = $1 AND password_hash = $2",
            [.text(account.user.username), .text(account.passwordHash), .text(hash)])
    }

    /// Adds the development profile's user, unless one of that name is there.
    func addDefault(_ user: User, password: String) async throws {
        // Looked for first: hashing costs a tenth of a second at every start.
        guard try await find(user.username) == nil else { return }
        _ = try await insert(user, password, isDefault: true)
    }

    /// False where there is one of that name.
    private func insert(_ user: User, _ password: String, isDefault: Bool) async throws -> Bool {
        let hash = try await hasher.hash(Array(password.utf8))
        let rows = try await pool.query(
            """
            INSERT INTO gateway.users (username, tenant, password_hash, scopes, is_default) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING
            """,
            [
                .text(user.username), .text(user.tenant), .text(hash), .textArray(user.scopes.map(\.rawValue)),
                .boolean(isDefault),
            ])
        return rows.affectedRows == 1
    }
}
