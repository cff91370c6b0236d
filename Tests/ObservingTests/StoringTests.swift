import CLinux
import Glibc
import Kafka
import Metrics
import Postgres
import Records
import TestSupport
import Testing
import WireFormat

@testable import Observing

@Suite(.serialized, .timeLimit(.minutes(5))) struct StoringTests {
    @Test(arguments: KafkaBroker.available) func everyOutcomeIsStoredOnce(kind: KafkaBroker.Kind) async throws {
        let fixture = try await HistoryFixture(kind, partitions: 3)
        for partition in 0..<Int32(3) {
            let numbers = Int(partition) * 1_000..<Int(partition) * 1_000 + 700
            try await fixture.write(numbers.map { Outcome.made($0) }, partition: partition)
        }
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        #expect(try await fixture.rows == 2_100)
        // More, while it runs, some of it twice.
        let more = (5_000..<5_300).map { Outcome.made($0) }
        try await fixture.write(more + more[100..<150] + [Outcome.made(3)], partition: 0)
        #expect(try await fixture.caughtUp())
        // Request 3 went through this partition before.
        #expect(try await fixture.rows == 2_400)
        #expect(fixture.metrics.repeated.value == 51)
        await history.stop()

        // A restart continues; what was appended twice across it is recognised too.
        try await fixture.write([more[299], Outcome.made(6_000)], partition: 0)
        let again = fixture.start()
        #expect(try await fixture.caughtUp())
        #expect(try await fixture.rows == 2_401)
        #expect(try await fixture.number("SELECT count(DISTINCT request_id) FROM observability.outcomes") == 2_401)
        await again.stop()
        await fixture.close()
    }

    @Test func openDeliveriesComeAndGo() async throws {
        let fixture = try await HistoryFixture()
        let failed = (0..<40).map { Outcome.made($0, $0 < 20 ? .failed : .parked) }
        try await fixture.write(failed + [Outcome.made(100)])
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        let open = "SELECT count(*) FROM observability.open_deliveries"
        #expect(try await fixture.number(open) == 40)
        // Delivered, given up, cancelled; failed again; and one that opens and closes in the same batch.
        let second: [Outcome.Kind] = [.delivered, .dead, .cancelled, .failed]
        let brief = Outcome.made(200, .failed)
        try await fixture.write(
            failed.enumerated().map { $1.followed(by: second[$0 % 4], request: UInt64(1_000 + $0)) }
                + [brief, brief.followed(by: .delivered, request: 9_999)])
        #expect(try await fixture.caughtUp())
        #expect(try await fixture.number(open) == 10)
        #expect(try await fixture.number(open + " WHERE generation = 2 AND kind = 2 AND updated_at > first_seen") == 10)
        #expect(try await fixture.rows == 83)
        await history.stop()
        await fixture.close()
    }

    @Test func whatCannotBeStoredIsSetAsideAndTheRestIsNot() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        try await fixture.pool.query(
            "ALTER TABLE observability.outcomes ADD CONSTRAINT no_poison CHECK (event_type <> 'poison')")
        var outcomes = (0..<300).map { Outcome.made($0) }
        for index in [0, 17, 150, 299] { outcomes[index].eventType = "poison" }
        outcomes[20].eventID = "nul \u{0} inside"
        outcomes[21].reason = "\u{0}"
        outcomes[22].response = [0, 0xff, 0x41]
        outcomes[23].status = 100_000
        outcomes[24].durationUs = .max
        outcomes[25].dueAtMs = .max
        outcomes[26].eventTimeMs = .min
        outcomes[27].startedAtMs = .max
        outcomes[28].delivery = nil
        try await fixture.write(outcomes)
        try await fixture.write(bytes: [0xff, 0xff, 0xff])
        try await fixture.write(bytes: [])
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        #expect(try await fixture.rows == 295)
        #expect(try await fixture.number("SELECT count(*) FROM observability.rejected") == 7)
        #expect(fixture.metrics.rejected.value == 7)
        let poison = try await fixture.pool.query(
            "SELECT value, reason FROM observability.rejected WHERE log_offset = 150")[0]
        #expect(try Outcome(decoding: poison.decode("value", as: [UInt8].self)).eventID == "event-150")
        #expect(try poison.decode("reason", as: String.self).contains("no_poison"))
        await history.stop()
        await fixture.close()
    }

    @Test func outcomesLieInTheirHours() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        let now = clinux_realtime_ms()
        let hour = HistoryRows.hourMs
        try await fixture.write([
            .made(1, at: now), .made(2, at: now - 5 * hour), .made(3, at: now - 71 * hour),
            .made(4, at: now - 80 * hour),
            .made(5, at: now + 30 * hour), .made(6, at: now - 5 * hour),
        ])
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        #expect(try await fixture.rows == 5)
        #expect(fixture.metrics.expired.value == 1)
        let table = HourPartitions.table(HistoryRows.hour(of: now - 5 * hour))
        #expect(try await fixture.number("SELECT count(*) FROM \(table)") == 2)
        #expect(
            try await fixture.number("SELECT count(*) FROM observability.outcomes WHERE at > now() + interval '1 hour'")
                == 0)
        await history.stop()
        await fixture.close()
    }

    @Test func anotherLogIsReadFromItsStart() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        try await fixture.write([.made(1), .made(2, .failed)])
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        await history.stop()
        #expect(try await fixture.number("SELECT count(*) FROM observability.open_deliveries") == 1)
        let other = fixture.start { $0.logID = "log-2" }
        #expect(try await fixture.caughtUp(logID: "log-2"))
        #expect(try await fixture.rows == 4)
        #expect(fixture.metrics.abandoned.value == 1)
        #expect(try await fixture.number("SELECT count(*) FROM observability.open_deliveries") == 1)
        await other.stop()
        // Past the end: the topic was made anew under the same cluster.
        try await fixture.pool.query("UPDATE observability.positions SET next_offset = 1000")
        let past = fixture.start { $0.logID = "log-2" }
        #expect(try await fixture.caughtUp(logID: "log-2"))
        #expect(try await fixture.rows == 6)
        await past.stop()
        await fixture.close()
    }

    @Test func twinsThatBothReadAPartitionStoreItOnce() async throws {
        let fixture = try await HistoryFixture(partitions: 2)
        // Groups of their own: Kafka gives each of them everything, as a paused member believes for a while.
        let one = fixture.start { $0.groupID += "-one" }
        let two = fixture.start { $0.groupID += "-two" }
        var written = 0
        while fixture.metrics.conflicts.value < 3, written < 20_000 {
            let numbers = written..<written + 100
            try await fixture.write(numbers.map { Outcome.made($0) }, partition: Int32(written / 100 % 2))
            written += 100
            #expect(try await eventually(within: .seconds(30)) { try await fixture.rows == written })
        }
        #expect(fixture.metrics.conflicts.value >= 3)
        #expect(try await fixture.caughtUp())
        await one.stop()
        await two.stop()
        #expect(try await fixture.rows == written)
        #expect(try await fixture.number("SELECT count(DISTINCT request_id) FROM observability.outcomes") == written)
        await fixture.close()
    }

    @Test func databaseFailuresLeaveNeitherGapsNorSecondRows() async throws {
        let server = try await PostgresServer()
        let fixture = try await HistoryFixture(partitions: 2, server: server, maxBatch: 200)
        let history = fixture.start { $0.lingerMs = 1 }
        let writing = Task {
            for round in 0..<40 {
                // While half of them are written, the database is troubled.
                if round == 20 { #expect(await eventually(within: .seconds(30)) { fixture.health.error != nil }) }
                let numbers = round * 250..<round * 250 + 250
                try await fixture.write(
                    numbers.map { Outcome.made($0, $0 % 10 == 0 ? .failed : .delivered) }, partition: Int32(round % 2))
            }
        }
        #expect(await eventually { (try? await fixture.rows) ?? 0 > 0 })
        // Sessions are cut wherever they happen to be, then the server dies, and stays away for a while.
        for _ in 0..<15 {
            try? await server.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'martlet' AND pid <> pg_backend_pid()"
            )
        }
        await server.stop(SIGKILL)
        try await writing.value
        #expect(await eventually { fixture.health.error != nil })
        try await server.start()
        #expect(try await fixture.caughtUp(within: .seconds(60)))
        #expect(try await fixture.rows == 10_000)
        #expect(try await fixture.number("SELECT count(DISTINCT request_id) FROM observability.outcomes") == 10_000)
        #expect(try await fixture.number("SELECT count(*) FROM observability.open_deliveries") == 1_000)
        #expect(fixture.metrics.failures.value > 0)
        #expect(await eventually { fixture.health.error == nil })
        await history.stop()
        await fixture.close()
        await server.remove()
    }

    @Test func aDroppedHourIsMadeAgain() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        let now = clinux_realtime_ms()
        let history = fixture.start()
        try await fixture.write([.made(1, at: now - 10 * HistoryRows.hourMs)])
        #expect(try await fixture.caughtUp())
        try await fixture.pool.query("DROP TABLE \(HourPartitions.table(HistoryRows.hour(of: now) - 10))")
        try await fixture.write([.made(2, at: now - 10 * HistoryRows.hourMs)])
        #expect(try await fixture.caughtUp())
        #expect(try await fixture.rows == 1)
        await history.stop()
        await fixture.close()
    }
}
