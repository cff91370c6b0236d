import CLinux
import JSONScanning
import Metrics
import Postgres
import Records
import TestSupport
import Testing

@testable import Observing

@Suite(.serialized, .timeLimit(.minutes(5))) struct QueryTests {
    /// Asks as the gateway does. `query` is added to the tenant's.
    private func ask(
        _ fixture: HistoryFixture, _ pattern: String, _ id: String, tenant: String? = "default", query: String = "",
        token: String? = HistoryFixture.token
    ) async throws -> (status: Int, body: JSONValue) {
        try await fixture.ask("GET", pattern, id, tenant: tenant, query: query, token: token)
    }

    private func filled(sealed: Bool) async throws -> (HistoryFixture, RunningHistory) {
        let fixture = try await HistoryFixture(partitions: 1)
        let at = clinux_realtime_ms() - 2 * HistoryRows.hourMs
        var first = Outcome.made(1, .failed, event: "e", webhook: "wh_a", at: at)
        first.fanOut = 3
        first.response = Array("no \u{0} good".utf8) + [0xff]
        var second = Outcome.made(1, event: "e", webhook: "wh_b", at: at + 5)
        second.requestID = 77
        second.fanOut = 3
        let third = first.followed(by: .delivered, request: 78)
        var foreign = Outcome.made(9, event: "e", webhook: "wh_a", at: at)
        foreign.tenant = "other"
        let many = (100..<160).map { number in
            var outcome = Outcome.made(
                number, number % 10 == 0 ? .parked : .delivered, webhook: "wh_many", at: at + Int64(number / 4))
            outcome.durationUs = outcome.kind == .parked ? 0 : UInt64(number) * 1_000
            return outcome
        }
        try await fixture.write([first, second, third, foreign] + many)
        let history = fixture.start { $0.sealAfterMs = sealed ? 1 : 3_600_000 }
        #expect(try await fixture.caughtUp())
        if sealed { #expect(await eventually { fixture.metrics.sealed.value >= 1 }) }
        return (fixture, history)
    }

    /// An hour that is being written and one that is sealed are asked alike.
    @Test(arguments: [false, true]) func eventsAndDeliveriesAreFound(sealed: Bool) async throws {
        let (fixture, history) = try await filled(sealed: sealed)
        let (status, event) = try await ask(fixture, "events/{id}", "e")
        #expect(status == 200)
        #expect(event["fan_out"]?.integer == 3 && event["pending"]?.integer == 1)
        let deliveries = try #require(event["deliveries"]?.elements)
        #expect(deliveries.map { $0["status"]?.text } == ["delivered", "delivered"])
        #expect(deliveries.map { $0["webhook_id"]?.text } == ["wh_a", "wh_b"])
        #expect(deliveries[0]["attempt_count"]?.integer == 2)
        let id = try #require(deliveries[0]["id"]?.text)
        let (found, delivery) = try await ask(fixture, "deliveries/{id}", id)
        #expect(found == 200)
        let attempts = try #require(delivery["attempts"]?.elements)
        #expect(attempts.map { $0["outcome"]?.text } == ["failed", "delivered"])
        #expect(attempts[0]["status"]?.integer == 500)
        #expect(attempts[0]["reason"]?.text == "status_500")
        #expect(attempts[0]["error"]?["class"]?.text == "RETRYABLE")
        #expect(attempts[0]["error"]?["type"]?.text == "SERVER_ERROR")
        #expect(attempts[0]["error"]?["explanation"]?.text?.contains("500") == true)
        #expect(attempts[0]["error"]?["suggested_fix"]?.text?.isEmpty == false)
        #expect(attempts[1]["error"] == .null)
        #expect(attempts[0]["response"]?.text == "no \u{0} good\u{FFFD}")
        #expect(attempts[0]["duration_ms"]?.number == 12.345)
        #expect(attempts[0]["record"]?["topic"]?.text == "retries")
        #expect(delivery["origin"]?["offset"]?.integer == 1)
        #expect(delivery["due_at"] == .null)
        await history.stop()
        await fixture.close()
    }

    @Test(arguments: [false, true]) func aWebhooksAttemptsComeInPages(sealed: Bool) async throws {
        let (fixture, history) = try await filled(sealed: sealed)
        var seen: [String] = []
        var cursor = ""
        for page in 0..<10 {
            let (status, body) = try await ask(fixture, "webhooks/{id}/attempts", "wh_many", query: "limit=7" + cursor)
            #expect(status == 200)
            let data = try #require(body["data"]?.elements)
            #expect(data.count == (page < 8 ? 7 : 4))
            seen += data.compactMap { $0["event_id"]?.text }
            guard let next = body["next"]?.text else { break }
            cursor = "&cursor=" + next
        }
        #expect(seen == (100..<160).reversed().map { "event-\($0)" })
        let (_, parked) = try await ask(fixture, "webhooks/{id}/attempts", "wh_many", query: "outcome=parked")
        #expect(parked["data"]?.elements?.count == 6)
        #expect(parked["next"] == .null)
        let (status, none) = try await ask(fixture, "webhooks/{id}/attempts", "wh_none")
        #expect(status == 200 && none["data"]?.elements?.isEmpty == true)
        await history.stop()
        await fixture.close()
    }

    @Test func statsCountAndMeasure() async throws {
        let (fixture, history) = try await filled(sealed: false)
        let (_, stats) = try await ask(fixture, "webhooks/{id}/stats", "wh_many", query: "window=86400")
        #expect(stats["requests"]?.integer == 54)
        #expect(stats["outcomes"]?["delivered"]?.integer == 54)
        #expect(stats["outcomes"]?["parked"]?.integer == 6)
        #expect(stats["success_rate"]?.number == 1)
        #expect(stats["latency_ms"]?["max"]?.number == 159)
        #expect(stats["latency_ms"]?["p50"]?.number == 129)
        #expect(stats["open"]?.integer == 6)
        let (_, failing) = try await ask(fixture, "webhooks/{id}/stats", "wh_a", query: "window=86400")
        #expect(failing["success_rate"]?.number == 0.5)
        let (_, quiet) = try await ask(fixture, "webhooks/{id}/stats", "wh_many", query: "window=60")
        #expect(quiet["requests"]?.integer == 0 && quiet["latency_ms"] == .null && quiet["success_rate"] == .null)
        await history.stop()
        await fixture.close()
    }

    @Test func whatMayNotBeAskedIsRefused() async throws {
        let (fixture, history) = try await filled(sealed: false)
        func code(_ answer: (status: Int, body: JSONValue)) -> String {
            "\(answer.status) \(answer.body["code"]?.text ?? "")"
        }
        #expect(code(try await ask(fixture, "events/{id}", "e", token: nil)) == "401 unauthorized")
        #expect(code(try await ask(fixture, "events/{id}", "e", token: "wrong")) == "401 unauthorized")
        #expect(code(try await ask(fixture, "events/{id}", "e", tenant: nil)) == "422 field_required")
        #expect(code(try await ask(fixture, "events/{id}", "unheard-of")) == "404 not_seen_yet")
        #expect(code(try await ask(fixture, "events/{id}", "a\u{0}b")) == "404 not_found")
        #expect(code(try await ask(fixture, "events/{id}", "event-100", tenant: "other")) == "404 not_seen_yet")
        #expect(code(try await ask(fixture, "deliveries/{id}", "dlv_1")) == "404 not_found")
        let foreign = Outcome.made(9, webhook: "wh_a").delivery?.description ?? ""
        #expect(code(try await ask(fixture, "deliveries/{id}", foreign)) == "404 not_found")
        #expect(try await ask(fixture, "deliveries/{id}", foreign, tenant: "other").status == 200)
        for query in ["limit=0", "limit=x", "limit=501", "cursor=x", "outcome=covered", "limit=1&limit=2"] {
            let answer = try await ask(fixture, "webhooks/{id}/attempts", "wh_a", query: query)
            #expect(code(answer) == "422 field_invalid")
            #expect(answer.body["field"]?.text == String(query.prefix { $0 != "=" }))
        }
        #expect(code(try await ask(fixture, "webhooks/{id}/stats", "wh_a", query: "window=59")) == "422 field_invalid")
        await history.stop()
        await fixture.close()
    }

    @Test func anAbsentDatabaseIsUnavailable() async throws {
        let server = try await PostgresServer()
        let fixture = try await HistoryFixture(partitions: 1, server: server)
        await server.stop()
        let answer = try await ask(fixture, "events/{id}", "e")
        #expect(answer.status == 503 && answer.body["code"]?.text == "unavailable")
        await fixture.close()
        await server.remove()
    }

    @Test func oldAndExcessiveHoursAreDropped() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        let now = clinux_realtime_ms()
        try await fixture.write((0..<6).map { .made($0, at: now - Int64($0) * 10 * HistoryRows.hourMs) })
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        #expect(try await fixture.rows == 6)
        await history.stop()
        // Older than 25 hours: three of six.
        let older = fixture.start { $0.retentionMs = 25 * HistoryRows.hourMs }
        #expect(await eventually { (try? await fixture.rows) == 3 })
        await older.stop()
        let smaller = fixture.start { $0.maxSizeBytes = 1 }
        #expect(await eventually { (try? await fixture.rows) == 1 })
        await smaller.stop()
        await fixture.close()
    }
}
