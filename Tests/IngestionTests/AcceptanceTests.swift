import CLinux
import HTTPSending
import JSONScanning
import Kafka
import ServiceSupport
import TestSupport
import Testing

@testable import Ingestion

/// Events that are taken, those that are not, and who may send them.
@Suite(.serialized) struct AcceptanceTests {
    @Test(arguments: KafkaBroker.available) func anAcceptedEventIsInTheLog(_ kind: KafkaBroker.Kind) async throws {
        try await withIngestion(try await .shared(kind)) { service in
            let data = "{\"b\" :[1.0, 2e5 ],\n\"a\":\"\\u00e4\"}"
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            let given = await service.post(
                "{\"id\":\"event-123\",\"type\":\"user.created\",\"source\":\"user-service\","
                    + "\"ordering_key\":\"u1\",\"data\":\(data)}",
                headers: [("traceparent", trace), ("content-type", "application/json; charset=utf-8")])
            #expect(given.status == 202)
            #expect(given.text == #"{"id":"event-123","status":"accepted","duplicate":false}"#)
            #expect(given.header("content-type") == "application/json" && given.header("x-request-id") != nil)
            let drawn = await service.post(#"{"type":"a","source":"b"}"#)
            let drawnID = try #require(drawn.string("id"))
            #expect(drawn.status == 202 && drawn["duplicate"] == .boolean(false))

            let records = try await service.events()
            #expect(records.count == 2)
            let first = try #require(records.first { $0.text("ce_id") == "event-123" })
            let time = try #require(first.text("ce_time"))
            #expect(
                first.body == "{\"id\":\"event-123\",\"type\":\"user.created\",\"source\":\"user-service\","
                    + "\"timestamp\":\"\(time)\",\"data\":\(data)}")
            #expect(first.key == Array("default\u{0}u1".utf8))
            #expect(first.text("tenant") == "default" && first.text("traceparent") == trace)
            #expect(first.text("ce_type") == "user.created" && first.text("ce_specversion") == "1.0")
            let second = try #require(records.first { $0.text("ce_id") == drawnID })
            #expect(second.key == Array("default\u{0}\(drawnID)".utf8))
            #expect(await service.metric("webhook_events_received_total{result=\"accepted\"}") == 2)
            #expect(await service.metric("webhook_kafka_messages_produced_total") == 2)
            #expect(await service.metric("webhook_kafka_acknowledgement_seconds_count") == 2)
            #expect(await service.metric("webhook_events_dedup_window_seconds") == 86_400)
        }
    }

    @Test func manyAtOnceAreAllThere() async throws {
        try await withIngestion(try await .shared(), ["MARTLET_INGESTION_THREADS": "3"]) { service in
            let ids = await withTaskGroup(of: [String].self) { group in
                for sender in 0..<16 {
                    group.addTask {
                        var ids: [String] = []
                        for number in 0..<40 {
                            let data = String(repeating: "x", count: number * 97)
                            let answer = await service.post(
                                #"{"id":"\#(sender)-\#(number)","type":"a","source":"b","data":"\#(data)"}"#)
                            if answer.status == 202, let id = answer.string("id") { ids.append(id) }
                        }
                        return ids
                    }
                }
                return await group.reduce(into: []) { $0 += $1 }
            }
            #expect(ids.count == 640)
            let records = try await service.events()
            #expect(records.compactMap { $0.text("ce_id") }.sorted() == ids.sorted())
        }
    }

    /// Those without an ordering key go round; they lie beside those that have one.
    @Test func eventsWithOneOrderingKeyKeepTheirOrder() async throws {
        try await withIngestion(try await .shared()) { service in
            for number in 0..<30 {
                for key in ["", #","ordering_key":"k""#, #","ordering_key":"l""#] {
                    let event = #"{"type":"a","source":"b","data":\#(number)\#(key)}"#
                    #expect(await service.post(event).status == 202)
                }
            }
            let records = try await service.events()
            #expect(Set(records.filter { $0.text("orderingkey") == nil }.map(\.topicPartition.partition)) == [0, 1])
            for key in ["k", "l"] {
                let ordered = records.filter { $0.text("orderingkey") == key }
                #expect(Set(ordered.map(\.topicPartition.partition)).count == 1)
                #expect(ordered.map { $0.body.split(separator: ":").last } == (0..<30).map { "\($0)}" })
            }
        }
    }

    @Test func badRequestsAreNamedAndChangeNothing() async throws {
        try await withIngestion(try await .shared()) { service in
            let large = String(repeating: "x", count: 300_000)
            for (body, expected) in [
                ("no json", "400 invalid_json -"), ("{\"type\":\"a\",\"source\":\"b\",}", "400 invalid_json -"),
                (#"{"source":"b"}"#, "422 field_required type"), (#"{"type":"a"}"#, "422 field_required source"),
                (#"{"type":1,"source":"b"}"#, "422 field_invalid type"),
                (#"{"type":"a*","source":"b"}"#, "422 field_invalid type"),
                (#"{"type":"a","source":"b","x":1}"#, "422 unknown_field x"),
                (#"{"type":"a","source":"b","source":"c"}"#, "400 duplicate_field source"),
                (#"{"type":"a","source":"b\r\nX: y"}"#, "422 field_invalid source"),
                (#"{"type":"a","source":"b","id":"\#(large.prefix(257))"}"#, "422 field_invalid id"),
                (#"{"type":"a","source":"b","data":"\#(large)"}"#, "413 too_large -"),
                // With what is added it is larger than an event may be.
                (#"{"type":"a","source":"b","data":"\#(large.prefix(262_100))"}"#, "413 too_large -"),
            ] as [(String, String)] {
                #expect(await service.post(body).problem == expected, "\(body.prefix(100))")
            }
            let good = #"{"type":"a","source":"b"}"#
            for type in ["text/plain", "application/x-www-form-urlencoded"] {
                let answer = await service.post(good, headers: [("content-type", type)])
                #expect(answer.problem == "415 unsupported_media_type Content-Type")
            }
            #expect(
                await service.post(good, headers: [("content-encoding", "gzip")]).problem
                    == "415 unsupported_media_type Content-Encoding")
            #expect(await service.post(good, token: "no.token.atall").status == 401)
            #expect(await service.send(.get, "/events").problem == "405 method_not_allowed -")
            #expect(await service.send(.post, "/event").problem == "404 not_found -")
            let records = try await service.events()
            #expect(records.isEmpty)
            #expect(await service.metric("webhook_events_received_total{result=\"refused\"}") == 16)
            #expect(await service.metric("webhook_events_received_total{result=\"accepted\"}") == 0)
        }
    }

    @Test func theLargestEventFits() async throws {
        try await withIngestion(try await .shared()) { service in
            // 262,144 bytes as it is sent on, with id and time given.
            let rest = #"{"id":"i","type":"a","source":"b","timestamp":"2026-11-21T04:23:00Z","data":""}"#
            let data = String(repeating: "x", count: 262_144 - rest.utf8.count)
            let body = String(rest.dropLast(2)) + data + "\"}"
            #expect(await service.post(body).status == 202)
            let records = try await service.events()
            #expect(records.first?.body == body)
            #expect(await service.post(String(body.dropLast(2)) + "x\"}").problem == "413 too_large -")
        }
    }

    @Test func productionAsksForAToken() async throws {
        try await withIngestion(try await .shared(), ["MARTLET_PROFILE": "production"]) { service in
            let event = #"{"id":"1","type":"a","source":"b"}"#
            let missing = await service.post(event)
            #expect(missing.problem == "401 unauthorized -" && missing.header("www-authenticate") == "Bearer")
            let foreign = try service.token(secret: "another secret of 32 bytes, or so")
            #expect(await service.post(event, token: foreign).status == 401)
            let expired = try service.token(lifetime: -600)
            #expect(await service.post(event, token: expired).status == 401)
            let reader = try service.token(scopes: ["webhooks:read"])
            #expect(await service.post(event, token: reader).problem == "403 forbidden -")
            let records = try await service.events()
            #expect(records.isEmpty)
            let token = try service.token()
            #expect(await service.post(event, token: token).status == 202)
            // The second time it is known already.
            #expect(await service.post(event, token: token).status == 202)
            let tenants = try await service.events().map { $0.text("tenant") }
            #expect(tenants == ["acme", "acme"])
        }
    }

    @Test func aTokenIsRememberedUntilItExpires() async throws {
        let service = try IngestionFixture(try await .shared(.inMemory))
        var access = try EventAccess(try .load(environment: service.environment), isOpen: false)
        let header = Array("Bearer \(try service.token(lifetime: 600))".utf8)
        let now = clinux_realtime_ms()
        func tenant(_ ms: Int64) -> String? {
            header.withUnsafeBytes { try? access.tenant(authorization: $0, nowMs: ms) }
        }
        #expect(tenant(now) == "acme")
        #expect(tenant(now) == "acme")
        #expect(tenant(now + 700_000) == nil)
    }
}
