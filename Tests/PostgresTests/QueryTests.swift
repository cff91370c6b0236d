import TestSupport
import Testing

@testable import Postgres

@Suite(.serialized, .timeLimit(.minutes(2))) struct QueryTests {
    @Test func everyKindOfValueComesBackAsItWent() async throws {
        let pool = try await makePool()
        let strange = "quote ' \" backslash \\ brace {,} ümläut 🐦"
        let bytes = (0...255).map { UInt8($0) }
        let row = try #require(
            try await pool.query(
                """
                SELECT $1::text AS t, $2::bigint AS i, $3::double precision AS d, $4::boolean AS b, $5::bytea AS y,
                    $6::timestamptz AS s, $7::text[] AS a, $8::bigint[] AS n, $9::text AS nothing, $10::bytea AS empty,
                    $11::text AS blank, $12::text[] AS "noneAtAll"
                """,
                [
                    .text(strange), .integer(.min), .double(-0.1), .boolean(true), .bytes(bytes),
                    .timestamp(milliseconds: 1_714_979_289_012), .textArray([strange, "", "NULL"]),
                    .integerArray([1, -2, .max]), .null, .bytes([]), .text(""), .textArray([]),
                ]
            ).first)
        #expect(try row.decode("t", as: String.self) == strange)
        #expect(try row.decode("i", as: Int64.self) == .min)
        #expect(try row.decode("d", as: Double.self) == -0.1)
        #expect(try row.decode("b", as: Bool.self))
        #expect(try row.decode("y", as: [UInt8].self) == bytes)
        #expect(try row.decode("s", as: PostgresTimestamp.self).milliseconds == 1_714_979_289_012)
        #expect(try row.decode("a", as: [String].self) == [strange, "", "NULL"])
        #expect(try row.decode("n", as: [Int64].self) == [1, -2, .max])
        #expect(try row.decodeIfPresent("nothing", as: String.self) == nil)
        #expect(try row.decode("empty", as: [UInt8].self) == [])
        #expect(try row.decode("blank", as: String.self) == "")
        #expect(try row.decode("noneAtAll", as: [String].self) == [])
    }

    @Test(
        arguments: [
            0, -1, 1, 951_782_400_000, 951_868_799_999, -62_135_596_800_000, -14_182_940_001, 253_402_300_799_999,
            1_709_164_800_000, 4_107_542_400_000,
        ] as [Int64])
    func timesAgreeWithTheServers(milliseconds: Int64) async throws {
        let pool = try await makePool()
        let row = try #require(
            try await pool.query(
                "SELECT $1::timestamptz AS time, (extract(epoch FROM $1::timestamptz) * 1000)::bigint AS ms",
                [.timestamp(milliseconds: milliseconds)]
            ).first)
        #expect(try row.decode("ms", as: Int64.self) == milliseconds)
        #expect(try row.decode("time", as: PostgresTimestamp.self).milliseconds == milliseconds)
    }

    @Test func decodingErrorsNameColumnAndExpectation() async throws {
        let pool = try await makePool()
        let row = try #require(try await pool.query("SELECT 'abc' AS word, NULL::int AS gap").first)
        #expect(throws: PostgresDecodingError.self) { try row.decode("word", as: Int64.self) }
        #expect(throws: PostgresDecodingError.self) { try row.decode("gap", as: Int64.self) }
        do {
            _ = try row.decode("nowhere", as: Bool.self)
            Issue.record("decoded a column that is not there")
        } catch {
            #expect("\(error)" == "PostgreSQL: column nowhere: expected a boolean, found no such column")
        }
    }

    @Test func serverErrorsCarryTheirState() async throws {
        let pool = try await makePool()
        try await pool.query("CREATE TABLE t (id int PRIMARY KEY CHECK (id < 10))")
        try await pool.query("INSERT INTO t VALUES (1)")
        let twice = await postgresError { try await pool.query("INSERT INTO t VALUES (1)") }
        #expect(twice?.isUniqueViolation == true)
        #expect(twice?.constraint == "t_pkey")
        #expect(twice?.isConnectionFailure == false)
        let syntax = await postgresError { try await pool.query("SELEC 1") }
        #expect(syntax?.sqlState == "42601")
        let range = await postgresError { try await pool.query("SELECT $1::smallint", [70_000]) }
        #expect(range?.isDataError == true)
    }

    @Test func textWithNULIsRefusedBeforeItIsCut() async throws {
        let pool = try await makePool()
        let error = await postgresError { try await pool.query("SELECT $1", ["a\u{0}b"]) }
        #expect(error?.kind == .usage)
        #expect(error?.isDataError == true)
        #expect(error?.message.contains("$1") == true)
    }

    @Test func aBatchIsOneTransactionInOneRoundTrip() async throws {
        let pool = try await makePool()
        try await pool.query("CREATE TABLE t (id int PRIMARY KEY)")
        let results = try await pool.batch([
            PostgresStatement("INSERT INTO t VALUES ($1)", [1]), PostgresStatement("SELECT id FROM t"),
            PostgresStatement("UPDATE t SET id = 2"),
        ])
        #expect(results.count == 3)
        #expect(try results[1].first?.decode("id", as: Int.self) == 1)
        #expect(results[2].affectedRows == 1)
        let error = await postgresError {
            try await pool.batch([
                PostgresStatement("INSERT INTO t VALUES (7)"), PostgresStatement("INSERT INTO t VALUES (2)"),
                PostgresStatement("INSERT INTO t VALUES (8)"),
            ])
        }
        #expect(error?.isUniqueViolation == true)
        #expect(try await pool.query("SELECT id FROM t").count == 1)
        #expect(try await pool.batch([]).isEmpty)
    }

    @Test func sessionsBeginWithTheirSettings() async throws {
        let pool = try await makePool {
            $0.session = ["jit": "off", "search_path": "\"a b\\c\", public", "timezone": "Asia/Tokyo"]
        }
        let row = try await pool.query(
            """
            SELECT current_setting('jit') AS jit, current_setting('search_path') AS path,
                current_setting('timezone') AS zone
            """)[0]
        #expect(try row.decode("jit", as: String.self) == "off")
        #expect(try row.decode("path", as: String.self) == "\"a b\\c\", public")
        #expect(try row.decode("zone", as: String.self) == "UTC")
    }

    @Test func manyTasksShareFewConnections() async throws {
        let pool = try await makePool()
        let sum = try await withThrowingTaskGroup(of: Int64.self) { group in
            for number in 0..<200 {
                group.addTask {
                    try await pool.query("SELECT $1::bigint AS n", [.integer(Int64(number))])[0].decode("n")
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 19_900)
        #expect(pool.status.open <= 4)
    }

    @Test func transactionsCommitRollBackAndNoticeSwallowedErrors() async throws {
        struct Refusal: Error {}
        let pool = try await makePool()
        try await pool.query("CREATE TABLE t (id int)")
        try await pool.transaction { transaction in
            try await transaction.query("INSERT INTO t VALUES (1)")
            try await transaction.query("INSERT INTO t VALUES (2)")
        }
        await #expect(throws: Refusal.self) {
            try await pool.transaction { transaction in
                try await transaction.query("INSERT INTO t VALUES (3)")
                throw Refusal()
            }
        }
        let swallowed = await postgresError {
            try await pool.transaction { transaction in
                try await transaction.query("INSERT INTO t VALUES (4)")
                _ = try? await transaction.query("SELECT 1/0")
            }
        }
        #expect(swallowed?.sqlState == "25P02")
        let sum = try await pool.query("SELECT sum(id) AS sum FROM t")[0].decode("sum", as: Int64.self)
        #expect(sum == 3)
    }

    @Test func aTransactionBeginsWithItsFirstRequestWhateverThatIs() async throws {
        let pool = try await makePool { $0.maximumConnections = 1 }
        try await pool.query("CREATE TABLE t (x text)")
        try await pool.transaction { _ in }
        try await pool.transaction(.serializable) { transaction in
            let rows = try await transaction.query("SELECT current_setting('transaction_isolation') AS level")
            #expect(try rows[0].decode("level", as: String.self) == "serializable")
        }
        struct Refusal: Error {}
        for first in ["script", "copy", "batch", "failure", "nothing", "concurrent"] {
            await #expect(throws: (any Error).self) {
                try await pool.transaction { transaction in
                    switch first {
                    case "script": try await transaction.execute(script: "INSERT INTO t VALUES ('a'); SELECT 1")
                    case "copy": try await transaction.copyIn("COPY t FROM STDIN", Array("a\n".utf8))
                    case "batch":
                        let results = try await transaction.batch([
                            PostgresStatement("INSERT INTO t VALUES ('a')"), PostgresStatement("SELECT x FROM t"),
                        ])
                        #expect(results.count == 2 && results[1].count == 1)
                    case "failure": try await transaction.query("SELECT 1/0")
                    case "concurrent":
                        async let one = transaction.query("INSERT INTO t VALUES ('a')")
                        async let two = transaction.query("INSERT INTO t VALUES ('b')")
                        _ = try await (one, two)
                    default: break
                    }
                    throw Refusal()
                }
            }
            #expect(try await pool.query("SELECT 1 FROM t").isEmpty)
        }
    }

    @Test func aSessionsLocksAndSubscriptionsEndWithItsLoan() async throws {
        let pool = try await makePool { $0.maximumConnections = 2 }
        try await pool.withConnection { connection in
            try await connection.query("SELECT pg_advisory_lock(7)")
            let notifications = try await connection.listen("news")
            let taken = try await pool.query("SELECT pg_try_advisory_lock(7) AS got")[0].decode("got", as: Bool.self)
            #expect(!taken)
            try await pool.query("SELECT pg_notify('other', 'x'), pg_notify('news', 'hello')")
            var iterator = notifications.makeAsyncIterator()
            #expect(await iterator.next() == PostgresNotification(channel: "news", payload: "hello"))
        }
        await #expect(throws: CancellationError.self) {
            try await pool.withConnection { connection in
                try await connection.query("SELECT pg_advisory_lock(8)")
                throw CancellationError()
            }
        }
        let free = try await eventually {
            try await pool.query(
                "SELECT count(*) = 0 AS free FROM pg_locks WHERE locktype = 'advisory' AND database = "
                    + "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )[0].decode("free", as: Bool.self)
        }
        #expect(free)
    }

    @Test func aConnectionKeptBeyondItsLoanRefuses() async throws {
        let pool = try await makePool()
        let kept = try await pool.withConnection { $0 }
        let error = await postgresError { try await kept.query("SELECT 1") }
        #expect(error?.kind == .usage)
    }
}
