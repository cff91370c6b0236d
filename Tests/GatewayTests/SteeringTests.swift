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

/// Retrying, cancelling, resending and testing, down to the records in Kafka.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct SteeringTests {
    @Test func commandsGoBesideTheDeliverysRecord() async throws {
        try await withSteering { fixture in
            let id = try await fixture.write(fixture.outcome("e-1", .failed, origin: 0))
            let before = await fixture.get("deliveries/\(id)")
            #expect(before.string("explanation")?.contains("request 2 is due at") == true, "\(before.text)")
            let retried = await fixture.post("deliveries/\(id)/retry")
            #expect(retried.status == 202 && retried.string("delivery_id") == id, "\(retried.text)")
            #expect(retried.string("status") == "retrying" && retried.string("at") != nil)
            #expect(retried.string("explanation")?.hasSuffix("to retry it, so request 2 follows at once.") == true)
            let cancelled = await fixture.post("deliveries/\(id)/cancel", "{}")
            #expect(cancelled.status == 202, "\(cancelled.text)")
            #expect(cancelled.string("explanation")?.hasSuffix("so it is closed without another request.") == true)
            let refused = await fixture.post("deliveries/\(id)/retry")
            #expect(refused.problem == "409 not_waiting -" && refused.text.contains("being cancelled"))
            let records = try await fixture.gateway.records(of: fixture.gateway.topics.retries)
            #expect(records.map(\.keyText) == ["\(id)#1!retry", "\(id)!cancel"])
            for (record, command) in zip(records, ["retry", "cancel"]) {
                #expect(record.topicPartition.partition == fixture.partition)
                #expect(record.value == [])
                #expect(record.text(RecordHeader.command) == command && record.text(RecordHeader.generation) == "1")
                #expect(record.text(RecordHeader.delivery) == id)
                #expect(record.headers.count == 3)
            }
        }
    }

    @Test func whatHasEndedIsNotSteered() async throws {
        try await withSteering { fixture in
            for (number, kind, advice) in [
                (1, .delivered, "resend"), (2, .dead, "requeue"), (3, .cancelled, "resend"),
            ] as [(Int64, Outcome.Kind, String)] {
                let id = try await fixture.write(fixture.outcome("e-\(number)", kind, origin: number))
                let retried = await fixture.post("deliveries/\(id)/retry")
                #expect(retried.problem == "409 not_waiting -" && retried.text.contains(advice))
                #expect(await fixture.post("deliveries/\(id)/cancel").problem == "409 already_ended -")
            }
            #expect(try await fixture.gateway.records(of: fixture.gateway.topics.retries).isEmpty)
        }
    }

    @Test func strangersAndTheUnentitledSteerNothing() async throws {
        try await withSteering { fixture in
            let id = try await fixture.write(fixture.outcome("e-1", .failed, origin: 0))
            let letter = try await fixture.deadLetter("e-2", origin: 1)
            let foreign = try fixture.gateway.token(tenant: "other")
            let reading = try fixture.gateway.token(scopes: [
                .readDeliveries, .readWebhooks, .writeWebhooks, .writeEvents,
            ])
            let paths = [
                "deliveries/\(id)/retry", "deliveries/\(id)/cancel", "deliveries/\(id)/resend",
                "webhooks/\(fixture.webhook)/test", "dead-letters/\(letter)/requeue", "dead-letters/\(letter)/discard",
            ]
            for path in paths {
                #expect(await fixture.post(path, token: foreign).problem == "404 not_found -", "\(path)")
                #expect(await fixture.post(path, token: reading).problem == "403 forbidden -", "\(path)")
                #expect(await fixture.gateway.send(.post, "/api/v1/" + path).status == 401)
                #expect(await fixture.post(path, #"{"x":1}"#).problem == "422 unknown_field x", "\(path)")
                #expect(await fixture.post(path + "?x=1").problem == "422 unknown_parameter x", "\(path)")
            }
            #expect(await fixture.post("dead-letters/requeue", #"{"all":true}"#, token: reading).status == 403)
            let others = await fixture.post("dead-letters/requeue", #"{"all":true}"#, token: foreign)
            #expect(others.text == #"{"matched":0,"requeued":0,"failed":0,"failures":{},"dry_run":false}"#)
            #expect(await fixture.gateway.send(.get, "/api/v1/dead-letters", token: foreign).data.isEmpty)
            #expect(await fixture.gateway.send(.get, "/api/v1/dead-letters/\(letter)", token: foreign).status == 404)
            #expect(await fixture.gateway.send(.get, "/api/v1/dead-letters", token: reading).data.count == 1)
            let noReading = try fixture.gateway.token(scopes: [.writeDeliveries])
            #expect(await fixture.gateway.send(.get, "/api/v1/dead-letters", token: noReading).status == 403)
            for topic in [fixture.gateway.topics.retries, fixture.gateway.topics.deliveries] {
                #expect(try await fixture.gateway.records(of: topic).isEmpty)
            }
        }
    }

    @Test func aResendIsANewDeliveryOfTheEvent() async throws {
        try await withSteering { fixture in
            let origin = try await fixture.event("e-1")
            let id = try await fixture.write(fixture.outcome("e-1", .delivered, origin: origin))
            let answer = await fixture.post("deliveries/\(id)/resend")
            #expect(answer.status == 202 && answer.string("parent") == id, "\(answer.text)")
            #expect(answer.string("webhook_id") == fixture.webhook && answer.string("event_id") == "e-1")
            #expect(answer.string("status") == "pending")
            let child = try #require(answer.string("delivery_id"))
            #expect(DeliveryID(child) != nil && child != id)
            let seen = await fixture.get("deliveries/\(child)")
            #expect(seen.string("status") == "pending" && seen.string("parent") == id, "\(seen.text)")
            let records = try await fixture.gateway.records(of: fixture.gateway.topics.deliveries)
            #expect(records.count == 1)
            let record = try #require(records.first)
            #expect(record.topicPartition.partition == fixture.partition && record.keyText == fixture.webhook)
            #expect(record.value == Array(#"{"n":1.50}"#.utf8))
            for (name, value) in [
                (RecordHeader.id, "e-1"), (RecordHeader.type, "order.created"), (RecordHeader.source, "shop"),
                (RecordHeader.contentType, "application/json"), (RecordHeader.tenant, "acme"), ("ce_extra", "ä"),
                (RecordHeader.delivery, child), (RecordHeader.webhook, fixture.webhook),
                (RecordHeader.generation, "0"), (RecordHeader.attempt, "0"), (RecordHeader.parent, id),
                (RecordHeader.originTopic, fixture.gateway.topics.events), (RecordHeader.originPartition, "1"),
                (RecordHeader.originOffset, "\(origin)"),
                (RecordHeader.originTimestamp, "\(fixture.startedAt - 5_000)"),
            ] as [(StaticString, String)] {
                #expect(record.text(name) == value, "\(name)")
            }
            #expect(Int64(record.text(RecordHeader.since) ?? "") ?? 0 >= fixture.startedAt)
            #expect(record.martletHeaders.count == 9 + 1)
            // What has not been sent yet can be cancelled, and needs no retry.
            #expect(await fixture.post("deliveries/\(child)/retry").problem == "409 not_waiting -")
            #expect(await fixture.post("deliveries/\(child)/cancel").status == 202)
        }
    }

    @Test func aResendNeedsItsPayloadAndItsWebhook() async throws {
        try await withSteering { fixture in
            // The event's own record is another one than it was: the delivery's record serves.
            let other = try await fixture.event("another")
            let foreign = try await fixture.event("e-2", tenant: "other")
            var headers = fixture.eventHeaders("e-1")
            var waiting = fixture.outcome("e-1", .failed, origin: other)
            headers.append(RecordHeader.delivery, waiting.delivery?.description ?? "")
            headers.append(RecordHeader.originTimestamp, "4711")
            waiting.recordOffset =
                try await fixture.producer.send(
                    to: fixture.gateway.topics.retries, partition: fixture.partition, key: [1],
                    value: Array("waits".utf8), headers: headers
                ).offset ?? -1
            let id = try await fixture.write(waiting)
            #expect(await fixture.post("deliveries/\(id)/resend").status == 202)
            let record = try #require(try await fixture.gateway.records(of: fixture.gateway.topics.deliveries).first)
            #expect(record.value == Array("waits".utf8) && record.text(RecordHeader.originTimestamp) == "4711")
            // Neither is its own.
            for (event, origin) in [("e-2", foreign), ("e-3", other), ("e-4", 1_000)] {
                let gone = try await fixture.write(fixture.outcome(event, .delivered, origin: origin))
                #expect(await fixture.post("deliveries/\(gone)/resend").problem == "410 payload_gone -", "\(event)")
            }
            #expect(
                await fixture.gateway.send(.delete, "/api/v1/webhooks/\(fixture.webhook)", token: fixture.token).status
                    == 204)
            #expect(await fixture.post("deliveries/\(id)/resend").problem == "409 webhook_gone -")
            #expect(await fixture.post("webhooks/\(fixture.webhook)/test").problem == "404 not_found -")
            #expect(try await fixture.gateway.records(of: fixture.gateway.topics.deliveries).count == 1)
        }
    }

    @Test func aTestIsAnEventForOneWebhook() async throws {
        try await withSteering { fixture in
            let usual = await fixture.post("webhooks/\(fixture.webhook)/test")
            #expect(usual.status == 202 && usual.string("status") == "pending", "\(usual.text)")
            let own = await fixture.post(
                "webhooks/\(fixture.webhook)/test", #"{"type":"user.created","data":{"n":1.50}}"#)
            #expect(own.status == 202)
            let records = try await fixture.gateway.records(of: fixture.gateway.topics.deliveries)
            #expect(records.count == 2)
            let expected = partition(ofKey: fixture.webhook.utf8, count: 2)
            for (record, answer) in zip(records, [usual, own]) {
                #expect(record.topicPartition.partition == expected && record.keyText == fixture.webhook)
                #expect(record.text(RecordHeader.delivery) == answer.string("delivery_id"))
                #expect(record.text(RecordHeader.id) == answer.string("event_id"))
                #expect(record.text(RecordHeader.tenant) == "acme" && record.text(RecordHeader.source) == "martlet")
                #expect(
                    record.martletHeaders == [
                        "martlet-delivery", "martlet-webhook", "martlet-generation", "martlet-attempt", "martlet-since",
                    ])
                guard case .object(let body) = try JSONValue(parsing: record.value ?? []) else {
                    Issue.record("no object")
                    continue
                }
                #expect(body.keys == ["id", "type", "source", "timestamp", "data"])
                #expect(body["id"]?.text == answer.string("event_id"))
            }
            #expect(records.map { $0.text(RecordHeader.type) } == ["martlet.test", "user.created"])
            #expect(String(decoding: records[1].value ?? [], as: UTF8.self).hasSuffix(#""data":{"n":1.50}}"#))
            let seen = await fixture.get("deliveries/\(usual.string("delivery_id") ?? "")")
            #expect(seen.string("status") == "pending" && seen["origin"] == .null)
            // Its outcome closes it.
            var outcome = fixture.outcome(usual.string("event_id") ?? "", .delivered, origin: 0)
            outcome.delivery = DeliveryID(usual.string("delivery_id") ?? "")
            outcome.sourceTopic = fixture.gateway.topics.deliveries
            outcome.originTopic = fixture.gateway.topics.deliveries
            try await fixture.write(outcome)
            let open = try await fixture.gateway.pool.query(
                "SELECT count(*) AS n FROM observability.open_deliveries")[0].decode("n", as: Int.self)
            #expect(open == 1)
            let long = String(repeating: "x", count: 300 << 10)
            for (body, problem) in [
                ("[]", "422 field_invalid -"), (#"{"type":7}"#, "422 field_invalid type"),
                (#"{"type":"a b"}"#, "422 field_invalid type"), (#"{"source":"x"}"#, "422 unknown_field source"),
                ("{", "400 invalid_json -"), (#"{"data":"\#(long)"}"#, "413 too_large -"),
            ] {
                let answer = await fixture.post("webhooks/\(fixture.webhook)/test", body)
                #expect(answer.problem == problem, "\(body.prefix(40))")
            }
            #expect(await fixture.post("webhooks/wh_0/test").problem == "404 not_found -")
        }
    }

    @Test func whatIsAwayIsToldAndNothingIsClaimedToBeDone() async throws {
        let away = ["MARTLET_KAFKA_BROKERS": "127.0.0.1:\(freePort())"]
        try await withGateway(away, observes: true, needs: ["postgres", "observability"]) { gateway in
            let token = try gateway.token()
            let made = await gateway.send(
                .post, "/api/v1/webhooks", #"{"url":"https://example.org/","event_types":["*"]}"#, token: token)
            let webhook = try #require(made.string("id"))
            let id = DeliveryID(random: 1, 1)
            try await gateway.pool.query(
                """
                INSERT INTO observability.open_deliveries (delivery, webhook_key, first_seen, updated_at, log_partition,
                    attempt, generation, kind, tenant, webhook, event_id, origin_topic, origin_partition, origin_offset)
                VALUES ($1::uuid, 0, now(), now(), 0, 1, 1, 2, 'acme', $2, 'e', 'events', 0, 0)
                """, [.text(String(id.description.dropFirst(4))), .text(webhook)])
            for path in [
                "deliveries/\(id)/retry", "deliveries/\(id)/cancel", "deliveries/\(id)/resend",
                "webhooks/\(webhook)/test",
            ] {
                let answer = await gateway.send(.post, "/api/v1/" + path, token: token)
                #expect(answer.problem == "503 unavailable -", "\(path): \(answer.text)")
                #expect(answer.header("retry-after") != nil)
            }
            let seen = await gateway.send(.get, "/api/v1/deliveries/\(id)", token: token)
            #expect(seen.string("status") == "retrying" && seen["requested"] == .null)
            // Nothing is left of the test that Kafka did not take.
            let pending = try await gateway.pool.query(
                "SELECT count(*) AS n FROM observability.open_deliveries WHERE kind = 0")[0].decode("n", as: Int.self)
            #expect(pending == 0)
        }
        try await withGateway(
            ["MARTLET_GATEWAY_OBSERVABILITY": "127.0.0.1:\(freePort())"], needs: ["postgres", "kafka"]
        ) {
            gateway in
            let token = try gateway.token()
            let id = DeliveryID(random: 1, 1)
            for (path, body) in [
                ("deliveries/\(id)/retry", nil), ("deliveries/\(id)/cancel", nil), ("deliveries/\(id)/resend", nil),
                ("dead-letters/\(id)/requeue", nil), ("dead-letters/\(id)/discard", nil),
                ("dead-letters/requeue", #"{"all":true}"#),
            ] as [(String, String?)] {
                let answer = await gateway.send(.post, "/api/v1/" + path, body, token: token)
                #expect(answer.problem == "503 unavailable -", "\(path): \(answer.text)")
                #expect(answer.header("retry-after") != nil)
            }
            #expect(await gateway.send(.get, "/api/v1/dead-letters", token: token).problem == "503 unavailable -")
        }
    }
}
