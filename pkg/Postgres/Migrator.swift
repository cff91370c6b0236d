/// One step of a schema's history. Applied once, in order of name, in a transaction of its own; never edited afterwards.
public struct Migration: Sendable, Equatable {
    /// `0001_tables`: digits that sort, then what it is about.
    public var name: String
    /// Statements separated by semicolons. Names without a schema are looked up in the migration's schema.
    public var sql: String
    public init(name: String, sql: String) {
        self.name = name
        self.sql = sql
    }
}

public enum MigrationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// These steps are not applied yet.
    case pending(schema: String, names: [String])
    /// An applied step has another text now than when it was applied.
    case changed(schema: String, name: String)
    /// A step that is not applied sorts before one that is.
    case outOfOrder(schema: String, name: String, applied: String)

    public var description: String {
        switch self {
        case .pending(let schema, let names):
            "the database schema \(schema) lacks \(names.joined(separator: ", ")): migrate it first"
        case .changed(let schema, let name):
            "migration \(schema)/\(name) was changed after it had been applied: restore its text and add a new one"
        case .outOfOrder(let schema, let name, let applied):
            "migration \(schema)/\(name) is not applied, yet the later \(applied) is: give it a name that sorts last"
        }
    }
}

/// Brings one schema up to date. What is applied is recorded in the schema's own table `schema_migrations`, each with its text's SHA-256.
/// Steps of a newer program are left alone: they only add, so the older one still works.
public struct Migrator: Sendable {
    public let schema: String
    public let migrations: [Migration]

    public init(schema: String, migrations: [Migration]) {
        self.schema = schema
        self.migrations = migrations.sorted { $0.name < $1.name }
    }

    /// Applies what is missing and returns its names. Several processes may do so at once: an advisory lock lets one work while the
    /// others wait. Throws `MigrationError` or `PostgresError`; the steps before a failing one stay applied.
    @discardableResult
    public func migrate(_ pool: PostgresPool) async throws -> [String] {
        try await pool.withConnection { connection in
            try await connection.query(
                "SELECT pg_advisory_lock(hashtextextended($1, 0))", [.text("migrations of \(schema)")],
                timeoutMilliseconds: 600_000)
            try await connection.batch([
                PostgresStatement("CREATE SCHEMA IF NOT EXISTS \(quotedSchema)"),
                PostgresStatement(
                    """
                    CREATE TABLE IF NOT EXISTS \(table) (
                        name text PRIMARY KEY,
                        checksum text NOT NULL,
                        applied_at timestamptz NOT NULL DEFAULT now())
                    """),
            ])
            let pending = try await pending { try await connection.batch($0) }
            for migration in pending { try await apply(migration, connection) }
            return pending.map(\.name)
        }
    }

    /// Throws `MigrationError` where the schema is not what this program needs, `PostgresError` where that cannot be asked.
    public func verify(_ pool: PostgresPool) async throws {
        let missing: [Migration]
        do {
            missing = try await pending { try await pool.batch($0) }
        } catch let error as PostgresError where ["42P01", "3F000"].contains(error.sqlState) {
            missing = migrations
        }
        guard missing.isEmpty else { throw MigrationError.pending(schema: schema, names: missing.map(\.name)) }
    }

    private var quotedSchema: String { PostgresConnection.quoted(identifier: schema) }
    private var table: String { "\(quotedSchema).schema_migrations" }

    /// What is not applied, after checking what is. The server computes the digests.
    private nonisolated(nonsending) func pending(
        _ ask: nonisolated(nonsending) ([PostgresStatement]) async throws -> [PostgresRows]
    ) async throws -> [Migration] {
        let answers = try await ask(
            [PostgresStatement("SELECT max(name COLLATE \"C\") AS last FROM \(table)")]
                + migrations.map { migration in
                    PostgresStatement(
                        "SELECT checksum = encode(sha256($2), 'hex') AS same FROM \(table) WHERE name = $1",
                        [.text(migration.name), .bytes(Array(migration.sql.utf8))])
                })
        let last = try answers[0].first?.decodeIfPresent("last", as: String.self)
        var pending: [Migration] = []
        for (migration, answer) in zip(migrations, answers.dropFirst()) {
            guard let row = answer.first else {
                if let last, last > migration.name {
                    throw MigrationError.outOfOrder(schema: schema, name: migration.name, applied: last)
                }
                pending.append(migration)
                continue
            }
            guard try row.decode("same", as: Bool.self) else {
                throw MigrationError.changed(schema: schema, name: migration.name)
            }
        }
        return pending
    }

    private func apply(_ migration: Migration, _ connection: PostgresConnection) async throws {
        try await connection.transaction { transaction in
            try await transaction.query(
                "SELECT set_config('search_path', $1, true)", [.text("\(quotedSchema), public")])
            try await transaction.execute(script: migration.sql, timeoutMilliseconds: 600_000)
            try await transaction.query(
                "INSERT INTO \(table) (name, checksum) VALUES ($1, encode(sha256($2), 'hex'))",
                [.text(migration.name), .bytes(Array(migration.sql.utf8))])
        }
    }
}
