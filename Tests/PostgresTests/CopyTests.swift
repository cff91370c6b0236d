import TestSupport
import Testing

@testable import Postgres

@Suite(.serialized, .timeLimit(.minutes(2))) struct CopyTests {
    @Test func aHundredThousandRowsArrive() async throws {
        let pool = try await makePool()
        try await pool.query(
            "CREATE TABLE t (i bigint, s smallint, n integer, b boolean, x text, y bytea, at timestamptz, gone text)")
        var writer = PostgresCopyWriter(fields: 8)
        for number in 0..<100_000 {
            writer.beginRow()
            writer.int64(Int64(number))
            writer.int16(Int16(number % 1_000))
            writer.int32(-Int32(number))
            writer.boolean(number.isMultiple(of: 2))
            writer.text("row \(number) ü")
            writer.raw([UInt8(number % 256), 0])
            writer.timestamp(milliseconds: 1_700_000_000_000 + Int64(number))
            writer.null()
        }
        let data = writer.finished()
        let started = ContinuousClock.now
        let stored = try await pool.withConnection { try await $0.copyIn("COPY t FROM STDIN (FORMAT binary)", data) }
        print("COPY: \(stored) rows, \(data.count) bytes in \(ContinuousClock.now - started)")
        #expect(stored == 100_000)
        let row = try await pool.query(
            """
            SELECT count(*) AS rows, sum(i) AS i, sum(n) AS n, count(*) FILTER (WHERE b) AS even, max(x) AS x,
                count(gone) AS gone, max(at) AS at, (SELECT y FROM t WHERE i = 99999) AS y FROM t
            """)[0]
        #expect(try row.decode("rows", as: Int.self) == 100_000)
        #expect(try row.decode("i", as: Int.self) == 4_999_950_000)
        #expect(try row.decode("n", as: Int.self) == -4_999_950_000)
        #expect(try row.decode("even", as: Int.self) == 50_000)
        #expect(try row.decode("x", as: String.self) == "row 99999 ü")
        #expect(try row.decode("gone", as: Int.self) == 0)
        #expect(try row.decode("at", as: PostgresTimestamp.self).milliseconds == 1_700_000_099_999)
        #expect(try row.decode("y", as: [UInt8].self) == [UInt8(99_999 % 256), 0])
    }

    @Test func textThatPostgresRefusesIsRepaired() async throws {
        let pool = try await makePool()
        try await pool.query("CREATE TABLE t (n int, x text)")
        let hostile: [[UInt8]] = [
            [0x61, 0, 0x62], [0xff, 0xfe], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf4, 0x90, 0x80, 0x80],
            Array("fine ü 🐦".utf8), [], [0xf0, 0x9f, 0x90],
        ]
        var writer = PostgresCopyWriter(fields: 2)
        for (number, bytes) in hostile.enumerated() {
            writer.beginRow()
            writer.int32(Int32(number))
            writer.text(bytes)
        }
        writer.beginRow()
        writer.int32(99)
        writer.text("nul \u{0} in a string")
        let data = writer.finished()
        let stored = try await pool.withConnection { try await $0.copyIn("COPY t FROM STDIN (FORMAT binary)", data) }
        #expect(stored == hostile.count + 1)
        let texts = try await pool.query("SELECT x FROM t ORDER BY n").map { try $0.decode("x", as: String.self) }
        #expect(texts[0] == "a\u{FFFD}b")
        #expect(texts[6] == "fine ü 🐦")
        #expect(texts[7] == "")
        #expect(texts[9] == "nul \u{FFFD} in a string")
    }

    @Test func aBadRowStoresNothingAndLeavesTheConnectionUsable() async throws {
        let pool = try await makePool { $0.maximumConnections = 1 }
        try await pool.query("CREATE TABLE t (x text)")
        var writer = PostgresCopyWriter(fields: 1)
        for number in 0..<50_000 {
            writer.beginRow()
            writer.raw(number == 25_000 ? [0x61, 0] : [0x61])
        }
        let data = writer.finished()
        let error = await postgresError {
            try await pool.withConnection { _ = try await $0.copyIn("COPY t FROM STDIN (FORMAT binary)", data) }
        }
        #expect(error?.isDataError == true)
        #expect(try await pool.query("SELECT 1 FROM t").isEmpty)
    }

    @Test func misusedCopiesAreErrorsNotHangs() async throws {
        let pool = try await makePool { $0.maximumConnections = 1 }
        try await pool.query("CREATE TABLE t (x text)")
        let astray = await postgresError { try await pool.query("COPY t FROM STDIN") }
        #expect(astray?.kind == .usage)
        let out = await postgresError { try await pool.query("COPY t TO STDOUT") }
        #expect(out?.kind == .usage)
        let none = try await pool.withConnection { try await $0.copyIn("SELECT 1", [1, 2, 3]) }
        #expect(none == 1)
        let garbage = await postgresError {
            try await pool.withConnection { _ = try await $0.copyIn("COPY t FROM STDIN (FORMAT binary)", [1, 2]) }
        }
        #expect(garbage?.kind == .server)
        #expect(try await pool.query("SELECT 1 AS one").count == 1)
    }
}
