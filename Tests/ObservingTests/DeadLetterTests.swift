import CLinux
import JSONScanning
import Kafka
import Metrics
import Postgres
import Records
import TestSupport
import Testing

@testable import Observing

/// Dead letters, and what users ask for, from outcomes to answers.
@Suite(.serialized, .timeLimit(.minutes(5))) struct DeadLetterTests {
    private let at = clinux_realtime_ms() - 600_000

    private func dead(
        _ number: Int, webhook: String = "wh_1", type: String = "order.created", reason: String = "attempts_exhausted",
        status: UInt32 = 500, tenant: String = "default"
    ) -> Outcome {
        var outcome = Outcome.made(number, .dead, webhook: webhook, at: at + Int64(number))
        outcome.tenant = tenant
        outcome.eventType = type
        outcome.reason = reason
        outcome.status = status
        outcome.failure = status > 0 ? "status_\(status)" : ""
        outcome.response = Array("no \u{0}\(String(repeating: "x", count: 2_000))".utf8)
        outcome.recordTopic = "dead-letters"
        outcome.recordOffset = Int64(number) + 1_000
        return outcome
    }

    /// Asks until `condition` holds of the answer.
    private func wait(
        _ fixture: HistoryFixture, _ pattern: String, _ id: String, for condition: (JSONValue) -> Bool
    ) async throws -> JSONValue {
        var last = JSONValue.null
        let isThere = await eventually {
            guard let answer = try? await fixture.ask("GET", pattern, id) else { return false }
            last = answer.body
            return condition(answer.body)
        }
        #expect(isThere, "\(last)")
        return last
    }

    private func code(_ answer: (status: Int, body: JSONValue)) -> String {
        "\(answer.status) \(answer.body["code"]?.text ?? "")"
    }

    @Test(arguments: KafkaBroker.available) func listsAreFilteredAndComeInPages(_ kind: KafkaBroker.Kind) async throws {
        let fixture = try await HistoryFixture(kind, partitions: 1)
        var outcomes = (0..<40).map { dead($0) }
        outcomes += (40..<50).map { dead($0, webhook: "wh_2", type: "user.created", reason: "expired", status: 0) }
        outcomes.append(dead(60, tenant: "other"))
        try await fixture.write(outcomes)
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        var seen: [String] = []
        var cursor = ""
        for page in 0..<8 {
            let (status, body) = try await fixture.ask("GET", "dead-letters", query: "limit=7" + cursor)
            #expect(status == 200)
            let data = try #require(body["data"]?.elements)
            #expect(data.count == (page < 7 ? 7 : 1))
            seen += data.compactMap { $0["event_id"]?.text }
            guard let next = body["next"]?.text else { break }
            cursor = "&cursor=" + next
        }
        #expect(seen == (0..<50).reversed().map { "event-\($0)" })
        func time(_ number: Int) -> String { rfc3339(at + Int64(number)) }
        for (query, count) in [
            ("", 50), ("webhook_id=wh_2", 10), ("webhook_id=wh_none", 0), ("event_type=order.created", 40),
            ("reason=expired", 10), ("reason=expired&webhook_id=wh_1", 0), ("from=\(time(45))", 5),
            ("to=\(time(3))", 3), ("from=\(time(10))&to=\(time(12))&webhook_id=wh_1", 2), ("state=requeued", 0),
            ("state=discarded", 0), ("state=requeuing", 0),
        ] {
            let list = try await fixture.ask("GET", "dead-letters", query: query + "&limit=100")
            #expect(list.body["data"]?.elements?.count == count, "\(query)")
            #expect(try await fixture.ask("GET", "dead-letters/count", query: query).body["count"]?.integer == count)
        }
        for query in ["state=x", "limit=0", "cursor=1.x", "from=yesterday", "to=1", "webhook_id=", "reason=a%00"] {
            let answer = try await fixture.ask("GET", "dead-letters", query: query)
            #expect(code(answer) == "422 field_invalid")
            #expect(answer.body["field"]?.text == String(query.prefix { $0 != "=" }))
        }
        await history.stop()
        await fixture.close()
    }

    @Test func anEntrySaysWhatIsKnown() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        let letter = dead(1)
        // Failed once, parked, and given up without another request: the last failure is remembered from before.
        let failed = Outcome.made(2, .failed, at: at)
        let parked = failed.followed(by: .parked, request: 5)
        try await fixture.write([letter, failed, parked])
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        var expired = parked.followed(by: .dead, request: 6)
        expired.reason = "expired"
        expired.status = 0
        expired.durationUs = 0
        expired.recordOffset = 77
        try await fixture.write([expired])
        #expect(try await fixture.caughtUp())
        let id = try #require(letter.delivery?.description)
        let (_, entry) = try await fixture.ask("GET", "dead-letters/{id}", id)
        #expect(entry["delivery_id"]?.text == id && entry["state"]?.text == "open")
        #expect(entry["reason"]?.text == "attempts_exhausted" && entry["failure"]?.text == "status_500")
        #expect(entry["last_status"]?.integer == 500 && entry["attempt_count"]?.integer == 1)
        #expect(entry["response"]?.text?.utf8.count ?? 0 <= 1_030)
        #expect(entry["response"]?.text?.hasPrefix("no \u{FFFD}xxx") == true)
        #expect(entry["dead_at"]?.text == rfc3339(at + 1) && entry["requeued_as"] == .null)
        #expect(entry["record"]?["topic"]?.text == "dead-letters" && entry["record"]?["offset"]?.integer == 1_001)
        #expect(entry["origin"]?["topic"]?.text == "events" && entry["origin"]?["offset"]?.integer == 1)
        let other = try #require(expired.delivery?.description)
        let (_, late) = try await fixture.ask("GET", "dead-letters/{id}", other)
        #expect(late["reason"]?.text == "expired" && late["failure"]?.text == "status_500")
        #expect(late["last_status"]?.integer == 500 && late["first_seen_at"]?.text == rfc3339(at))
        #expect(code(try await fixture.ask("GET", "dead-letters/{id}", id, tenant: "foreign")) == "404 not_found")
        #expect(code(try await fixture.ask("GET", "dead-letters/{id}", "x")) == "404 not_found")
        #expect(code(try await fixture.ask("GET", "dead-letters/{id}", id, token: "x")) == "401 unauthorized")
        let (_, delivery) = try await fixture.ask("GET", "deliveries/{id}", other)
        #expect(
            delivery["explanation"]?.text
                == "Given up because it was not delivered within the time that it had, in \(expired.attempt) requests, the last of "
                + "which was answered with status 500; requeue it to deliver it again.")
        // What is known outlives the hours of history.
        try await fixture.pool.query("DELETE FROM observability.outcomes")
        let (status, rest) = try await fixture.ask("GET", "deliveries/{id}", other)
        #expect(
            status == 200 && rest["explanation"] == delivery["explanation"]
                && rest["attempts"]?.elements?.isEmpty == true)
        await history.stop()
        await fixture.close()
    }

    @Test func oneClaimAtATime() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        let letter = dead(1)
        try await fixture.write([letter, dead(2)])
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        let id = try #require(letter.delivery?.description)
        let (mine, yours) = (DeliveryID(random: 1, 1).description, DeliveryID(random: 2, 2).description)
        func move(_ state: String, _ child: String? = nil, tenant: String = "default") async throws -> String {
            let rest = child.map { #","requeued_as":"\#($0)""# } ?? ""
            let answer = try await fixture.ask(
                "POST", "dead-letters/{id}/state", id, tenant: tenant, body: #"{"state":"\#(state)"\#(rest)}"#)
            return answer.status == 200 ? "200 \(answer.body["state"]?.text ?? "")" : code(answer)
        }
        #expect(try await move("requeued", mine) == "409 not_claimed")
        #expect(try await move("requeuing", mine, tenant: "other") == "404 not_found")
        #expect(try await move("requeuing", mine) == "200 requeuing")
        #expect(try await move("requeuing", yours) == "409 being_requeued")
        #expect(try await move("discarded") == "409 being_requeued")
        #expect(try await move("open", yours) == "409 being_requeued")
        let open = try await fixture.ask("GET", "dead-letters")
        #expect(open.body["data"]?.elements?.count == 1)
        let claimed = try await fixture.ask("GET", "dead-letters/count", query: "state=requeuing")
        #expect(claimed.body["count"]?.integer == 1)
        #expect(try await move("open", mine) == "200 open")
        #expect(try await move("requeuing", yours) == "200 requeuing")
        // Whoever claimed it died.
        try await fixture.pool.query("UPDATE observability.dead_letters SET claimed_until = now() - interval '1 s'")
        #expect(try await move("requeuing", mine) == "200 requeuing")
        #expect(try await move("requeued", yours) == "409 being_requeued")
        #expect(try await move("requeued", mine) == "200 requeued")
        #expect(try await move("requeued", mine) == "200 requeued")
        #expect(try await move("requeuing", yours) == "409 already_requeued")
        #expect(try await move("discarded") == "409 already_requeued")
        for (body, problem) in [
            ("", "400 invalid_json"), ("{}", "422 field_required"),
            (#"{"state":"x","requeued_as":"\#(mine)"}"#, "422 field_invalid"),
            (#"{"state":"open","requeued_as":"x"}"#, "422 field_invalid"), (#"{"state":"open"}"#, "422 field_required"),
            (#"{"state":7}"#, "422 field_invalid"), (#"{"state":"discarded","why":1}"#, "422 unknown_field"),
        ] {
            #expect(
                code(try await fixture.ask("POST", "dead-letters/{id}/state", id, body: body)) == problem, "\(body)")
        }
        let second = try #require(dead(2).delivery?.description)
        let discarded = #"{"state":"discarded"}"#
        #expect(try await fixture.ask("POST", "dead-letters/{id}/state", second, body: discarded).status == 200)
        #expect(
            code(try await fixture.ask("POST", "dead-letters/{id}/state", second, body: discarded))
                == "409 already_discarded")
        let (_, delivery) = try await fixture.ask("GET", "deliveries/{id}", second)
        #expect(delivery["explanation"]?.text?.hasSuffix("; its dead letter was discarded.") == true)
        await history.stop()
        await fixture.close()
    }

    /// Whoever claimed it may have died after Kafka had the child: its outcome tells.
    @Test(arguments: KafkaBroker.available) func aChildsOutcomeMarksItsParent(_ kind: KafkaBroker.Kind) async throws {
        let fixture = try await HistoryFixture(kind, partitions: 1)
        let parent = dead(1)
        var foreign = dead(2)
        var child = Outcome.made(3)
        child.sourceTopic = "deliveries"
        child.parent = parent.delivery
        var stranger = Outcome.made(4)
        stranger.parent = foreign.delivery
        stranger.tenant = "other"
        foreign.tenant = "default"
        try await fixture.write([parent, foreign, child, stranger])
        let history = fixture.start()
        #expect(try await fixture.caughtUp())
        let (_, marked) = try await fixture.ask("GET", "dead-letters/{id}", try #require(parent.delivery?.description))
        #expect(marked["state"]?.text == "requeued")
        #expect(marked["requeued_as"]?.text == child.delivery?.description)
        let (_, kept) = try await fixture.ask("GET", "dead-letters/{id}", try #require(foreign.delivery?.description))
        #expect(kept["state"]?.text == "open")
        // In a later batch, over somebody's claim.
        let claim = #"{"state":"requeuing","requeued_as":"\#(DeliveryID(random: 1, 1))"}"#
        #expect(
            try await fixture.ask(
                "POST", "dead-letters/{id}/state", try #require(foreign.delivery?.description), body: claim
            ).status == 200)
        var late = Outcome.made(5, .failed)
        late.parent = foreign.delivery
        try await fixture.write([late])
        let after = try await wait(fixture, "dead-letters/{id}", try #require(foreign.delivery?.description)) {
            $0["state"]?.text == "requeued"
        }
        #expect(after["requeued_as"]?.text == late.delivery?.description)
        await history.stop()
        await fixture.close()
    }

    @Test func whatUsersAskForIsSeenAtOnceAndClosedByItsOutcome() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        let history = fixture.start()
        var outcome = Outcome.made(1)
        outcome.sourceTopic = "deliveries"
        outcome.originTopic = "deliveries"
        let id = try #require(outcome.delivery?.description)
        let parent = DeliveryID(random: 9, 9).description
        func text(_ change: [String: String] = [:]) -> String {
            let members = [
                "webhook_id": #""wh_1""#, "event_id": #""event-1""#, "event_type": #""order.created""#,
                "event_time": #""2026-05-06T07:08:09Z""#, "parent": "\"\(parent)\"", "partition": "3",
                "origin": #"{"topic":"events","partition":3,"offset":17}"#,
            ].merging(change) { $1 }
            return "{" + members.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
        }
        let body = text()
        let (status, pending) = try await fixture.ask("POST", "deliveries/{id}", id, body: body)
        #expect(status == 200 && pending["status"]?.text == "pending", "\(pending)")
        #expect(pending["parent"]?.text == parent && pending["origin"]?["offset"]?.integer == 17)
        #expect(pending["next"]?["what"]?.text == "attempt" && pending["partition"]?.integer == 3)
        #expect(pending["explanation"]?.text?.hasPrefix("No request has been made yet") == true)
        #expect(code(try await fixture.ask("POST", "deliveries/{id}", id, body: body)) == "409 exists")
        #expect(code(try await fixture.ask("GET", "deliveries/{id}", id, tenant: "other")) == "404 not_found")
        #expect(
            try await fixture.ask("GET", "deliveries/{id}", id).body["event_time"]?.text == "2026-05-06T07:08:09.000Z"
        )
        // Its first outcome is final, of generation 0.
        try await fixture.write([outcome])
        let done = try await wait(fixture, "deliveries/{id}", id) { $0["status"]?.text == "delivered" }
        #expect(done["next"] == .null && done["requested"] == .null)
        #expect(try await fixture.number("SELECT count(*) FROM observability.open_deliveries") == 0)
        for (field, wrong) in [
            ("parent", #""x""#), ("partition", "-1"), ("event_time", #""now""#), ("origin", "7"),
            ("event_id", #""\u0000""#),
        ] {
            let answer = try await fixture.ask("POST", "deliveries/{id}", parent, body: text([field: wrong]))
            #expect(code(answer) == "422 field_invalid" && answer.body["field"]?.text == field, "\(answer.body)")
        }
        #expect(
            code(try await fixture.ask("POST", "deliveries/{id}", parent, body: text(["x": "1"])))
                == "422 unknown_field")
        // What Kafka never took is taken back, and what was forgotten goes with time.
        #expect(try await fixture.ask("POST", "deliveries/{id}", parent, body: body).status == 200)
        #expect(try await fixture.ask("DELETE", "deliveries/{id}", parent).status == 200)
        #expect(try await fixture.ask("GET", "deliveries/{id}", parent).status == 404)
        #expect(try await fixture.ask("POST", "deliveries/{id}", parent, body: body).status == 200)
        await history.stop()
        let later = fixture.start { $0.maxDeliveryAgeMs = 1 }
        #expect(await eventually { (try? await fixture.ask("GET", "deliveries/{id}", parent).status) == 404 })
        await later.stop()
        await fixture.close()
    }

    @Test func wishesAreNotedUntilTheyComeAbout() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        let history = fixture.start()
        let failed = Outcome.made(1, .failed)
        try await fixture.write([failed])
        let id = try #require(failed.delivery?.description)
        let waiting = try await wait(fixture, "deliveries/{id}", id) { $0["status"]?.text == "retrying" }
        #expect(waiting["next"]?["what"]?.text == "retry" && waiting["next"]?["at"] == waiting["due_at"])
        let (_, noted) = try await fixture.ask("POST", "deliveries/{id}/requested", id, body: #"{"what":"retry"}"#)
        #expect(noted["requested"]?["what"]?.text == "retry" && noted["attempts"] == nil)
        #expect(noted["explanation"]?.text?.hasSuffix("to retry it, so request 2 follows at once.") == true)
        // The next outcome is what came of it.
        let second = failed.followed(by: .failed, request: 5)
        try await fixture.write([second])
        let again = try await wait(fixture, "deliveries/{id}", id) { $0["attempt_count"]?.integer == 2 }
        #expect(again["requested"] == .null)
        // Told too late: what was wanted of the generation before has come about.
        for (generation, wish) in [(failed.generation, nil), (second.generation, "retry")] {
            let (_, answer) = try await fixture.ask(
                "POST", "deliveries/{id}/requested", id, body: #"{"what":"retry","generation":\#(generation)}"#)
            #expect(answer["requested"]?["what"]?.text == wish)
        }
        for what in ["cancel", "retry"] {
            let (_, answer) = try await fixture.ask(
                "POST", "deliveries/{id}/requested", id, body: #"{"what":"\#(what)"}"#)
            #expect(answer["requested"]?["what"]?.text == "cancel")
        }
        try await fixture.write([second.followed(by: .parked, request: 6)])
        let parked = try await wait(fixture, "deliveries/{id}", id) { $0["status"]?.text == "parked" }
        #expect(parked["requested"]?["what"]?.text == "cancel")
        try await fixture.write([second.followed(by: .parked, request: 6).followed(by: .cancelled, request: 7)])
        let ended = try await wait(fixture, "deliveries/{id}", id) { $0["status"]?.text == "cancelled" }
        #expect(ended["requested"] == .null && ended["next"] == .null)
        let (status, late) = try await fixture.ask("POST", "deliveries/{id}/requested", id, body: #"{"what":"retry"}"#)
        #expect(status == 200 && late["status"]?.text == "cancelled" && late["requested"] == .null)
        let unknown = DeliveryID(random: 3, 3).description
        for (id, body, problem) in [
            (unknown, #"{"what":"retry"}"#, "404 not_found"), (id, #"{"what":"x"}"#, "422 field_invalid"),
            (id, "{}", "422 field_required"),
        ] {
            #expect(code(try await fixture.ask("POST", "deliveries/{id}/requested", id, body: body)) == problem)
        }
        await history.stop()
        await fixture.close()
    }

    @Test func oldDeadLettersGo() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        let history = fixture.start()
        try await fixture.write([dead(1), Outcome.made(2, .dead)])
        #expect(try await fixture.caughtUp())
        #expect(try await fixture.number("SELECT count(*) FROM observability.dead_letters") == 2)
        await history.stop()
        let later = fixture.start { $0.deadLetterRetentionMs = 300_000 }
        #expect(
            await eventually {
                (try? await fixture.number("SELECT count(*) FROM observability.dead_letters")) == 1
            })
        await later.stop()
        await fixture.close()
    }

    @Test func theListsIndexesServeItsFilters() async throws {
        let fixture = try await HistoryFixture(partitions: 1)
        var filter = DeadLetterFilter(tenant: "default")
        for (index, change) in [
            ("newest", { _ in }), ("webhook", { $0.webhook = "wh_1" }), ("type", { $0.type = "a" }),
            ("reason", { $0.reason = "expired" }),
        ] as [(String, (inout DeadLetterFilter) -> Void)] {
            filter = DeadLetterFilter(tenant: "default")
            change(&filter)
            let condition = filter.condition
            let plan = try await fixture.pool.transaction { transaction in
                try await transaction.query("SET LOCAL enable_seqscan = off")
                try await transaction.query("SET LOCAL enable_sort = off")
                return try await transaction.query(
                    "EXPLAIN SELECT * FROM observability.dead_letters WHERE \(condition.sql) "
                        + "ORDER BY dead_at DESC, delivery DESC LIMIT 10", condition.parameters
                ).map { try $0.decode("QUERY PLAN", as: String.self) }.joined()
            }
            #expect(plan.contains("Backward using dead_letters_\(index)") && !plan.contains("Sort"), "\(plan)")
        }
        await fixture.close()
    }
}
