internal import CMigrations
public import Postgres

/// The histories of the database's schemas, one per service that keeps something there (`migrations/`).
public enum SchemaMigrations {
    /// Every schema's, in order of schema.
    public static var all: [Migrator] {
        var steps: [String: [Migration]] = [:]
        guard var entry = cmigrations_all() else { return [] }
        while let schema = entry.pointee.schema {
            let sql = UnsafeRawBufferPointer(start: entry.pointee.sql, count: entry.pointee.length)
            steps[String(cString: schema), default: []].append(
                Migration(name: String(cString: entry.pointee.name), sql: String(decoding: sql, as: UTF8.self)))
            entry += 1
        }
        return steps.sorted { $0.key < $1.key }.map { Migrator(schema: $0.key, migrations: $0.value) }
    }

    /// One schema's: for the service that owns it, to verify at start.
    public static func of(_ schema: String) -> Migrator {
        all.first { $0.schema == schema } ?? Migrator(schema: schema, migrations: [])
    }
}
