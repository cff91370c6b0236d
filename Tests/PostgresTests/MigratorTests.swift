import TestSupport
import Testing

@testable import Postgres

@Suite(.serialized, .timeLimit(.minutes(2))) struct MigratorTests {
    private let first = Migration(name: "0001_first", sql: "CREATE TABLE t (id int); INSERT INTO t VALUES (1);")
    private let second = Migration(name: "0002_second", sql: "ALTER TABLE t ADD COLUMN x text")

    @Test func stepsApplyOnceInOrder() async throws {
        let pool = try await makePool()
        let one = Migrator(schema: "the schema", migrations: [first])
        await #expect(throws: MigrationError.pending(schema: "the schema", names: ["0001_first"])) {
            try await one.verify(pool)
        }
        #expect(try await one.migrate(pool) == ["0001_first"])
        #expect(try await one.migrate(pool) == [])
        try await one.verify(pool)
        let both = Migrator(schema: "the schema", migrations: [second, first])
        await #expect(throws: MigrationError.pending(schema: "the schema", names: ["0002_second"])) {
            try await both.verify(pool)
        }
        #expect(try await both.migrate(pool) == ["0002_second"])
        try await both.verify(pool)
        try await one.verify(pool)
        #expect(try await pool.query("SELECT x FROM \"the schema\".t").count == 1)
    }

    @Test func changedAndLateStepsAreRefused() async throws {
        let pool = try await makePool()
        try await Migrator(schema: "s", migrations: [first, second]).migrate(pool)
        let edited = Migration(name: first.name, sql: first.sql + " ")
        await #expect(throws: MigrationError.changed(schema: "s", name: "0001_first")) {
            try await Migrator(schema: "s", migrations: [edited, second]).migrate(pool)
        }
        let late = Migration(name: "0001_late", sql: "SELECT 1")
        await #expect(throws: MigrationError.outOfOrder(schema: "s", name: "0001_late", applied: "0002_second")) {
            try await Migrator(schema: "s", migrations: [first, late, second]).verify(pool)
        }
    }

    @Test func aFailingStepLeavesTheOnesBefore() async throws {
        let pool = try await makePool()
        let broken = Migration(name: "0002_broken", sql: "CREATE TABLE u (id int); SELECT 1/0;")
        let error = await postgresError {
            try await Migrator(schema: "s", migrations: [first, broken]).migrate(pool)
        }
        #expect(error?.sqlState == "22012")
        try await Migrator(schema: "s", migrations: [first]).verify(pool)
        #expect(await postgresError { try await pool.query("SELECT 1 FROM s.u") }?.sqlState == "42P01")
    }

    @Test func concurrentMigrationsDoTheWorkOnce() async throws {
        let pool = try await makePool()
        let migrator = Migrator(schema: "s", migrations: [first, second])
        let applied = try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<4 { group.addTask { try await migrator.migrate(pool) } }
            return try await group.reduce([], +)
        }
        #expect(applied == ["0001_first", "0002_second"])
    }
}
