import HTTPSending
import HTTPServing
import JSONScanning
import Kafka
import Postgres
import Records
import ServiceSupport
import TestSupport
import Testing

@testable import Gateway

/// Dead letters: looked at, requeued one by one and in bulk, discarded.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct DeadLetterAPITests {
    @Test func aDeadLetterIsRequeuedOnce() async throws {
        try await withSteering { fixture in
            let id = try await fixture.deadLetter("e-1", origin: 5)
            let list = await fixture.get("dead-letters?webhook_id=\(fixture.webhook)&type=order.created")
            #expect(list.data.map { $0["delivery_id"]?.text } == [id], "\(list.text)")
            #expect(list.data.first?["state"]?.text == "open" && list.data.first?["failure"]?.text == "status_500")
            #expect(await fixture.get("dead-letters?type=other").data.isEmpty)
            #expect(await fixture.get("dead-letters?state=x").problem == "422 field_invalid state")
            for name in ["type", "webhook_id", "reason"] {
                #expect(await fixture.get("dead-letters?\(name)=").problem == "422 field_invalid \(name)")
                #expect(await fixture.get("dead-letters?\(name)=a%00").problem == "422 field_invalid \(name)")
            }
            #expect(await fixture.get("dead-letters?tenant=x").problem == "422 unknown_parameter tenant")
            // Two at once: one of them has it.
            async let first = fixture.post("dead-letters/\(id)/requeue")
            async let second = fixture.post("dead-letters/\(id)/requeue")
            let answers = await [first, second].sorted { $0.status < $1.status }
            #expect(answers.map(\.status) == [202, 409], "\(answers.map(\.text))")
            let child = try #require(answers[0].string("delivery_id"))
            #expect(answers[0].string("parent") == id && answers[0].string("status") == "pending")
            #expect(await fixture.post("dead-letters/\(id)/requeue").problem == "409 already_requeued -")
            #expect(await fixture.post("dead-letters/\(id)/discard").problem == "409 already_requeued -")
            let letter = await fixture.get("dead-letters/\(id)")
            #expect(letter.string("state") == "requeued" && letter.string("requeued_as") == child)
            #expect(await fixture.get("dead-letters").data.isEmpty)
            #expect(await fixture.get("dead-letters?state=requeued").data.count == 1)
            let records = try await fixture.gateway.records(of: fixture.gateway.topics.deliveries)
            #expect(records.count == 1)
            let record = try #require(records.first)
            #expect(record.value == Array("given up".utf8) && record.keyText == fixture.webhook)
            #expect(record.topicPartition.partition == fixture.partition)
            #expect(record.text(RecordHeader.delivery) == child && record.text(RecordHeader.parent) == id)
            #expect(record.text(RecordHeader.originOffset) == "5")
            #expect(record.text(RecordHeader.originTimestamp) == "4711")
            #expect(record.text(RecordHeader.reason) == nil && record.text(RecordHeader.id) == "e-1")
            let parent = await fixture.get("deliveries/\(id)")
            #expect(parent.string("explanation")?.hasSuffix("it was requeued as \(child).") == true)
        }
    }

    @Test func aDeadLetterIsDiscarded() async throws {
        try await withSteering { fixture in
            let id = try await fixture.deadLetter("e-1")
            #expect(await fixture.post("dead-letters/\(id)/discard").status == 204)
            #expect(await fixture.post("dead-letters/\(id)/discard").problem == "409 already_discarded -")
            #expect(await fixture.post("dead-letters/\(id)/requeue").problem == "409 already_discarded -")
            #expect(await fixture.get("dead-letters/\(id)").string("state") == "discarded")
            #expect(await fixture.get("dead-letters?state=discarded").data.count == 1)
            #expect(await fixture.post("dead-letters/\(DeliveryID(random: 1, 1))/discard").problem == "404 not_found -")
            #expect(await fixture.post("dead-letters/x/requeue").problem == "404 not_found -")
        }
    }

    /// Kafka may have the delivery that it did not acknowledge: nobody else requeues the dead letter until the claim has lapsed.
    @Test func aRequeueThatIsNotAcknowledgedKeepsItsClaim() async throws {
        let broker = try KafkaBroker.ownInMemory()
        try await withSteering(kafka: broker) { fixture in
            let id = try await fixture.deadLetter("e-1")
            // REQUEST_TIMED_OUT, until the record's time is over.
            broker.mock?.fail(.produce, with: Array(repeating: KafkaError.Code(rawValue: 7), count: 10_000))
            #expect(await fixture.post("dead-letters/\(id)/requeue").problem == "503 unacknowledged -")
            #expect(await fixture.get("dead-letters/\(id)").string("state") == "requeuing")
            broker.mock?.stopFailing(.produce)
            #expect(await fixture.post("dead-letters/\(id)/requeue").problem == "409 being_requeued -")
            #expect(await fixture.post("dead-letters/\(id)/discard").problem == "409 being_requeued -")
            let open = try await fixture.gateway.pool.query(
                "SELECT count(*) AS n FROM observability.open_deliveries")[0].decode("n", as: Int.self)
            #expect(open == 0, "what nobody may ever send is not shown as pending")
            try await fixture.gateway.pool.query(
                "UPDATE observability.dead_letters SET claimed_until = now() - interval '1 s'")
            #expect(
                await eventually(within: .seconds(20)) {
                    await fixture.post("dead-letters/\(id)/requeue").status == 202
                })
        }
    }

    @Test func withoutAPayloadTheEventsOwnServesOrNothingDoes() async throws {
        try await withSteering { fixture in
            let origin = try await fixture.event("e-1")
            let found = try await fixture.deadLetter("e-1", payload: [], origin: origin) {
                $0.reason = "payload_too_large"
            }
            let lost = try await fixture.deadLetter("e-2", payload: [], origin: 900) { $0.reason = "payload_lost" }
            let empty = try await fixture.deadLetter("e-3", payload: [], origin: 901)
            #expect(await fixture.post("dead-letters/\(found)/requeue").status == 202)
            #expect(await fixture.post("dead-letters/\(lost)/requeue").problem == "410 payload_gone -")
            #expect(await fixture.post("dead-letters/\(empty)/requeue").status == 202)
            // The claim was given back.
            #expect(await fixture.get("dead-letters/\(lost)").string("state") == "open")
            #expect(await fixture.post("dead-letters/\(lost)/requeue").problem == "410 payload_gone -")
            let records = try await fixture.gateway.records(of: fixture.gateway.topics.deliveries)
            #expect(records.map(\.value) == [Array(#"{"n":1.50}"#.utf8), []])
            #expect(
                await fixture.gateway.send(.delete, "/api/v1/webhooks/\(fixture.webhook)", token: fixture.token).status
                    == 204)
            #expect(await fixture.post("dead-letters/\(lost)/requeue").problem == "409 webhook_gone -")
        }
    }

    @Test func manyAreRequeuedInBulk() async throws {
        try await withSteering { fixture in
            var ids: [String] = []
            for number in 0..<6 {
                ids.append(
                    try await fixture.deadLetter("e-\(number)", origin: Int64(number)) { outcome in
                        outcome.startedAtMs += Int64(number)
                        if number >= 4 { outcome.eventType = "user.created" }
                    })
            }
            let lost = try await fixture.deadLetter("lost", payload: [], origin: 900) { $0.reason = "payload_lost" }
            func bulk(_ body: String) async -> String { await fixture.post("dead-letters/requeue", body).text }
            #expect(
                await bulk(#"{"type":"user.created","dry_run":true}"#)
                    == #"{"matched":2,"requeued":0,"failed":0,"failures":{},"dry_run":true}"#)
            #expect(await fixture.get("dead-letters").data.count == 7)
            #expect(
                await bulk(#"{"type":"user.created","webhook_id":"\#(fixture.webhook)"}"#)
                    == #"{"matched":2,"requeued":2,"failed":0,"failures":{},"dry_run":false}"#)
            #expect(
                await bulk(#"{"reason":"attempts_exhausted","limit":3}"#)
                    == #"{"matched":4,"requeued":3,"failed":0,"failures":{},"dry_run":false}"#)
            #expect(
                await bulk(#"{"all":true}"#)
                    == #"{"matched":2,"requeued":1,"failed":1,"failures":{"payload_gone":1},"dry_run":false}"#)
            #expect(await fixture.get("dead-letters").data.map { $0["delivery_id"]?.text } == [lost])
            let records = try await fixture.gateway.records(of: fixture.gateway.topics.deliveries)
            #expect(Set(records.compactMap { $0.text(RecordHeader.parent) }) == Set(ids))
            #expect(records.count == 6)
            #expect(
                await fixture.gateway.send(.delete, "/api/v1/webhooks/\(fixture.webhook)", token: fixture.token).status
                    == 204)
            #expect(
                await bulk(#"{"from":"2026-01-01T00:00:00Z"}"#)
                    == #"{"matched":1,"requeued":0,"failed":1,"failures":{"webhook_gone":1},"dry_run":false}"#)
        }
    }

    @Test(arguments: [
        ("{}", "422 field_required all"), (#"{"dry_run":true}"#, "422 field_required all"),
        (#"{"all":false}"#, "422 field_required all"), (#"{"all":true,"type":"a"}"#, "422 field_invalid all"),
        (#"{"all":1}"#, "422 field_invalid all"), (#"{"type":7}"#, "422 field_invalid type"),
        (#"{"type":""}"#, "422 field_invalid type"), (#"{"reason":"\u0000"}"#, "422 field_invalid reason"),
        (#"{"webhook_id":"\#(String(repeating: "x", count: 1_025))"}"#, "422 field_invalid webhook_id"),
        (#"{"from":"now"}"#, "422 field_invalid from"),
        (#"{"all":true,"limit":0}"#, "422 field_invalid limit"),
        (#"{"all":true,"limit":10001}"#, "422 field_invalid limit"),
        (#"{"all":true,"state":"open"}"#, "422 unknown_field state"),
        (#"{"event_type":"a"}"#, "422 unknown_field event_type"),
    ]) func ordersThatAreNone(body: String, problem: String) throws {
        do {
            _ = try BulkOrder(JSONValue(parsing: Array(body.utf8)))
            Issue.record("taken: \(body)")
        } catch let error as HTTPProblem {
            #expect("\(error.status) \(error.code) \(error.field ?? "-")" == problem)
        } catch let error as JSONFieldError {
            let told = HTTPProblem(error)
            #expect("\(told.status) \(told.code) \(told.field ?? "-")" == problem)
        }
    }

    @Test func anOrdersDefaults() throws {
        let order = try BulkOrder(JSONValue(parsing: Array(#"{"type":"a","to":"2026-01-01T00:00:00Z"}"#.utf8)))
        #expect(order.query == ["event_type": "a", "to": "2026-01-01T00:00:00Z"])
        #expect(order.limit == 1_000 && !order.isDryRun)
    }
}
