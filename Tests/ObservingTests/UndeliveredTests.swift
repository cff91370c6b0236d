import CLinux
import JSONScanning
import Kafka
import Postgres
import Records
import TestSupport
import Testing

@testable import Observing

/// `GET /internal/v1/deliveries`: what is not delivered.
@Suite(.serialized, .timeLimit(.minutes(3))) struct UndeliveredTests {
    private let at = clinux_realtime_ms() - 600_000

    private func made(
        _ number: Int, _ kind: Outcome.Kind, webhook: String = "wh_1", tenant: String = "default"
    ) -> Outcome {
        // Some of the same moment.
        var outcome = Outcome.made(number, kind, webhook: webhook, at: at + Int64(number / 3))
        outcome.tenant = tenant
        if kind == .dead {
            outcome.reason = "attempts_exhausted"
            outcome.recordTopic = "dead-letters"
        }
        return outcome
    }

    private func events(_ answer: JSONValue) -> [String] {
        answer["data"]?.elements?.compactMap { $0["event_id"]?.text } ?? []
    }

    /// All pages of so many.
    private func pages(_ fixture: HistoryFixture, _ query: String, limit: Int) async throws -> [String] {
        var seen: [String] = []
        var cursor = ""
        for _ in 0..<100 {
            let (status, body) = try await fixture.ask("GET", "deliveries", query: "limit=\(limit)&\(query)\(cursor)")
            #expect(status == 200, "\(body)")
            let page = events(body)
            #expect(page.count <= limit)
            seen += page
            guard let next = body["next"]?.text else { return seen }
            cursor = "&cursor=" + next
        }
        Issue.record("the pages have no end")
        return seen
    }

    @Test func whatWaitsIsListedByStateAndWebhookInPages() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        var outcomes = (0..<30).map { made($0, $0 % 2 == 0 ? .failed : .parked, webhook: $0 < 20 ? "wh_1" : "wh_2") }
        outcomes += (30..<34).map { made($0, .delivered) } + (34..<40).map { made($0, .dead) }
        outcomes += [made(50, .failed, tenant: "other"), made(51, .dead, tenant: "other")]
        try await fixture.write(outcomes)
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        // Asked for by users, within one millisecond or two.
        let body = """
            {"webhook_id":"wh_1","event_id":"asked","event_type":"a.b","event_time":"2026-05-06T07:08:09.012Z","partition":0}
            """
        for number in 0..<7 as Range<UInt64> {
            let id = DeliveryID(random: 9, number)
            #expect(try await fixture.ask("POST", "deliveries/{id}", "\(id)", body: body).status == 200)
        }
        for limit in [1, 7, 100] {
            let all = try await pages(fixture, "", limit: limit)
            #expect(all.prefix(7) == Array(repeating: "asked", count: 7)[...])
            #expect(Set(all.dropFirst(7)) == Set((0..<30).map { "event-\($0)" }) && all.count == 37, "\(limit)")
            #expect(try await pages(fixture, "state=pending", limit: limit).count == 7, "\(limit)")
            let retrying = try await pages(fixture, "state=retrying", limit: limit)
            #expect(Set(retrying) == Set(stride(from: 0, to: 30, by: 2).map { "event-\($0)" }) && retrying.count == 15)
            let parked = try await pages(fixture, "state=parked&webhook=wh_2", limit: limit)
            #expect(Set(parked) == Set(stride(from: 21, to: 30, by: 2).map { "event-\($0)" }) && parked.count == 5)
            let dead = try await pages(fixture, "state=dead", limit: limit)
            #expect(Set(dead) == Set((34..<40).map { "event-\($0)" }) && dead.count == 6)
        }
        #expect(try await pages(fixture, "webhook=wh_none", limit: 10) == [])
        #expect(try await pages(fixture, "state=dead&webhook=wh_2", limit: 10) == [])
        await history.stop()
        await fixture.close()
    }

    @Test func eachSaysHowItStandsAndWhatFollows() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        try await fixture.write([made(0, .failed), made(1, .dead)])
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        let waiting = try await fixture.ask("GET", "deliveries", query: "state=retrying").body["data"]?.elements?.first
        #expect(waiting?["status"]?.text == "retrying" && waiting?["next"]?["what"]?.text == "retry")
        #expect(waiting?["explanation"]?.text?.contains("status 500") == true, "\(waiting ?? .null)")
        #expect(waiting?["record"]?["topic"]?.text == "retries")
        let dead = try await fixture.ask("GET", "deliveries", query: "state=dead").body["data"]?.elements?.first
        #expect(dead?["status"]?.text == "dead" && dead?["next"] == .null)
        for query in [
            "state=delivered", "state=x", "limit=0", "limit=501", "cursor=1", "webhook=", "webhook=a%00",
            "limit=1&limit=2",
        ] {
            let answer = try await fixture.ask("GET", "deliveries", query: query)
            #expect(answer.status == 422 && answer.body["code"]?.text == "field_invalid", "\(query)")
            #expect(answer.body["field"]?.text == String(query.prefix { $0 != "=" }))
        }
        await history.stop()
        await fixture.close()
    }

    @Test func indexesServeTheLists() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        for (index, states, webhook) in [
            ("newest", [.parked], nil), ("webhook_newest", [.parked], "wh_1"),
            ("newest", [.pending, .retrying, .parked], nil), ("webhook_newest", [.retrying, .parked], "wh_1"),
        ] as [(String, [Standing.State], String?)] {
            let cursor = DeliveryCursor("1.00000000000000000000000000000001")
            let list = OpenDeliveryTable.list(states, webhook: webhook, tenant: "default", before: cursor, limit: 10)
            let plan = try await fixture.pool.transaction { transaction in
                try await transaction.query("SET LOCAL enable_seqscan = off")
                try await transaction.query("SET LOCAL enable_sort = off")
                try await transaction.query("SET LOCAL enable_bitmapscan = off")
                return try await transaction.query("EXPLAIN " + list.sql, list.parameters)
                    .map { try $0.decode("QUERY PLAN", as: String.self) }.joined(separator: "\n")
            }
            let scans = plan.matches(of: #/Backward using open_deliveries_([a-z_]+)/#).map { String($0.output.1) }
            #expect(scans == states.map { _ in index } && !plan.contains("Sort  "), "\(plan)")
        }
        await fixture.close()
    }
}
