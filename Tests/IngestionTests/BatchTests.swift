import HTTPSending
import JSONScanning
import Kafka
import Redis
import Synchronization
import TestSupport
import Testing

@testable import Ingestion

/// Events by the batch.
@Suite(.serialized) struct BatchTests {
    private static func event(_ id: String, source: String = "b") -> String {
        #"{"id":"\#(id)","type":"a","source":"\#(source)"}"#
    }

    private static func answer(_ id: String, _ status: String = "accepted", duplicate: Bool = false) -> String {
        #"{"id":"\#(id)","status":"\#(status)","duplicate":\#(duplicate)}"#
    }

    private static func answers(_ events: String...) -> String {
        "{\"events\":[" + events.joined(separator: ",") + "]}"
    }

    @Test(arguments: KafkaBroker.available) func anAcceptedBatchIsInTheLog(_ kind: KafkaBroker.Kind) async throws {
        let redis = try await RedisServer.shared()
        try await withIngestion(try await .shared(kind), redis: redis) { service in
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            let batch =
                "[ \(Self.event("one")), {\"type\":\"a\",\"source\":\"b\",\"data\":{\"n\" : 1.0}},\n"
                + "{\"id\":\"t\\\"wo\",\"type\":\"c.d\",\"source\":\"b\",\"ordering_key\":\"k\"} ]"
            let first = await service.postBatch(batch, headers: [("traceparent", trace)])
            #expect(first.status == 202 && first.header("content-type") == "application/json")
            let statuses = first.events
            #expect(statuses.map(\.id)[0] == "one" && statuses.map(\.id)[2] == "t\"wo" && statuses.count == 3)
            #expect(statuses.allSatisfy { $0.status == "accepted" && !$0.isDuplicate })

            let records = try await service.events()
            #expect(records.count == 3)
            #expect(Set(records.map { $0.text("ce_id") }) == Set(statuses.map(\.id)))
            #expect(records.allSatisfy { $0.text("traceparent") == trace && $0.text("tenant") == "default" })
            let drawn = try #require(records.first { $0.text("ce_id") == statuses[1].id })
            #expect(drawn.body.hasSuffix(#","data":{"n" : 1.0}}"#))
            let keyed = try #require(records.first { $0.text("ce_id") == "t\"wo" })
            #expect(keyed.key == Array("default\u{0}k".utf8) && keyed.text("ce_type") == "c.d")

            let again = await service.postBatch(batch).events
            #expect(again.map(\.isDuplicate) == [true, false, true])
            // What came alone is known in a batch, and the other way round.
            #expect(await service.post(Self.event("one"))["duplicate"] == .boolean(true))
            #expect(await service.post(Self.event("alone")).status == 202)
            let mixed = await service.postBatch("[\(Self.event("alone")),\(Self.event("new"))]")
            #expect(mixed.text == Self.answers(Self.answer("alone", duplicate: true), Self.answer("new")))
            try await service.expectEvents(6)
            #expect(await service.metric("webhook_events_received_total{result=\"accepted\"}") == 6)
            #expect(await service.metric("webhook_events_received_total{result=\"duplicate\"}") == 4)
            #expect(await service.metric("webhook_kafka_messages_produced_total") == 6)
        }
    }

    @Test func oneWrongEventRefusesAll() async throws {
        try await withIngestion(try await .shared()) { service in
            let good = Self.event("good")
            let large = String(repeating: "x", count: 300_000)
            for (body, expected) in [
                ("", "400 invalid_json -"), ("{}", "400 invalid_json -"), ("[\(good),]", "400 invalid_json -"),
                ("[\(good)]x", "400 invalid_json -"), ("[\(good), 1]", "400 invalid_json [1]"),
                ("[\(good),\(good),[]]", "400 invalid_json [2]"),
                (#"[\#(good),{"source":"b"}]"#, "422 field_required [1].type"),
                (#"[{"type":"a","source":"b","x":1},\#(good)]"#, "422 unknown_field [0].x"),
                (#"[\#(good),{"type":1,"source":"b"},{}]"#, "422 field_invalid [1].type"),
                (#"[\#(good),{"type":"a","type":"a"}]"#, "400 duplicate_field [1].type"),
                (#"[\#(good),{"type":"a","source":"b","data":"\#(large)"}]"#, "413 too_large [1]"),
                // With what is added it is larger than an event may be.
                (#"[{"type":"a","source":"b","data":"\#(large.prefix(262_100))"}]"#, "413 too_large [0]"),
            ] as [(String, String)] {
                #expect(await service.postBatch(body).problem == expected, "\(body.prefix(100))")
            }
            #expect(
                await service.postBatch("[\(good)]", headers: [("content-type", "text/plain")]).problem
                    == "415 unsupported_media_type Content-Type")
            #expect(await service.postBatch("[\(good)]", token: "no.token.atall").status == 401)
            #expect(await service.send(.get, "/events/batch").problem == "405 method_not_allowed -")
            try await service.expectEvents(0)
            #expect(await service.metric("webhook_events_received_total{result=\"refused\"}") == 14)
            #expect(await service.postBatch("[]").text == "{\"events\":[]}")
        }
    }

    @Test func batchesAreBounded() async throws {
        let limits = ["MARTLET_EVENTS_MAX_BATCH": "3", "MARTLET_EVENTS_MAX_BATCH_BYTES": "2KiB"]
        try await withIngestion(try await .shared(), limits) { service in
            func batch(_ count: Int) -> String {
                "[" + (0..<count).map { Self.event("\($0)") }.joined(separator: ",") + "]"
            }
            #expect(await service.postBatch(batch(4)).problem == "413 too_large -")
            let blanks = String(repeating: " ", count: 2_048 - batch(3).utf8.count)
            #expect(await service.postBatch(batch(3) + blanks + " ").problem == "413 too_large -")
            try await service.expectEvents(0)
            #expect(await service.postBatch(batch(3) + blanks).status == 202)
            try await service.expectEvents(3)
        }
    }

    /// Larger than any other request may be, and as many events as one may bring.
    @Test func theLargestBatchFits() async throws {
        try await withIngestion(try await .shared(), redis: try await .shared()) { service in
            let data = String(repeating: "x", count: 4_800)
            let body =
                "["
                + (0..<1_000).map { #"{"id":"l-\#($0)","type":"a","source":"b","data":"\#(data)"}"# }
                .joined(separator: ",") + "]"
            #expect(body.utf8.count > 4_800_000)
            let answer = await service.postBatch(body)
            #expect(answer.status == 202)
            #expect(answer.events.map(\.id) == (0..<1_000).map { "l-\($0)" })
            try await service.expectEvents(1_000)
            #expect(await service.metric("webhook_events_unremembered_total") == 0)
        }
    }

    /// With Redis, and without it.
    @Test(arguments: [true, false]) func anIDTwiceInABatchIsOneEvent(hasRedis: Bool) async throws {
        let redis = hasRedis ? try await RedisServer.shared() : nil
        try await withIngestion(try await .shared(), redis: redis) { service in
            let one = Self.event("one")
            let answer = await service.postBatch("[\(one),\(Self.event("one", source: "c")),\(one),\(one)]")
            #expect(answer.status == 202)
            #expect(
                answer.text
                    == Self.answers(
                        Self.answer("one"), Self.answer("one"), Self.answer("one", duplicate: true),
                        Self.answer("one", duplicate: true)))
            try await service.expectEvents(2)
            #expect(await service.metric("webhook_events_received_total{result=\"duplicate\"}") == 2)
        }
    }

    @Test func withoutKafkaABatchIsRefusedAtOnce() async throws {
        let redis = try await RedisServer.shared()
        let kafka = try KafkaBroker.ownInMemory()
        try await withIngestion(kafka, redis: redis) { service in
            let batch = "[\(Self.event("one")),\(Self.event("two")),\(Self.event("one"))]"
            kafka.mock?.setDown()
            #expect(await eventually(within: .seconds(20)) { await service.send(.get, "/ready").status == 503 })
            let answer = await service.postBatch(batch)
            #expect(answer.status == 503 && answer.header("retry-after") == "2")
            #expect(
                answer.text
                    == Self.answers(
                        Self.answer("one", "unavailable"), Self.answer("two", "unavailable"),
                        Self.answer("one", "unavailable")))
            kafka.mock?.setUp()
            #expect(await service.isReady())
            #expect(await service.postBatch(batch).events.map(\.isDuplicate) == [false, false, true])
            try await service.expectEvents(2)
        }
    }

    /// One of the batch's ids is under way already: its broker answers late.
    @Test func eachEventHasItsOwnAnswer() async throws {
        let redis = try await RedisServer()
        let kafka = try KafkaBroker.ownInMemory()
        try await withIngestion(kafka, redis: redis) { service in
            #expect(await service.post(Self.event("done")).status == 202)
            kafka.mock?.setRoundTrip(milliseconds: 1_500)
            let slow = Task { await service.post(Self.event("slow")) }
            var configuration = RedisConfiguration()
            configuration.port = redis.port
            let client = try RedisClient(configuration)
            #expect(await eventually { (try? await client.command("DBSIZE"))?.integerValue == 2 })
            await client.close()
            let batch = "[\(Self.event("slow")),\(Self.event("done")),\(Self.event("new"))]"
            let answer = await service.postBatch(batch)
            #expect(answer.status == 503 && answer.header("retry-after") == "1")
            #expect(
                answer.text
                    == Self.answers(
                        Self.answer("slow", "pending"), Self.answer("done", duplicate: true), Self.answer("new")))
            #expect(await slow.value.status == 202)
            kafka.mock?.setRoundTrip(milliseconds: 0)
            #expect(await service.postBatch(batch).events.map(\.isDuplicate) == [true, true, true])
        }
        await redis.remove()
    }

    private final class Progress: Sendable {
        let accepted = Mutex<Set<String>>([])
        let refusals = Atomic<Int>(0)
    }

    /// Sends batches of ten, what is missing of each again until nothing is.
    private func sendPersistently(
        _ count: Int, of sender: Int, to service: IngestionFixture, _ progress: Progress
    ) async {
        for number in 0..<count {
            var missing = (0..<10).map { "\(sender)-\(number)-\($0)" }
            let deadline = ContinuousClock.now + .seconds(60)
            while !missing.isEmpty, ContinuousClock.now < deadline {
                let answer = await service.postBatch("[" + missing.map { Self.event($0) }.joined(separator: ",") + "]")
                let done = answer.events.filter { $0.status == "accepted" }.map(\.id)
                progress.accepted.withLock { $0.formUnion(done) }
                missing.removeAll { done.contains($0) }
                guard !missing.isEmpty else { continue }
                progress.refusals.add(1, ordering: .relaxed)
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    @Test(.requiresRealKafka) func aKilledBrokerLosesNothingOfABatchThatWasAccepted() async throws {
        let redis = try await RedisServer.shared()
        let kafka = try await KafkaBroker.ownReal()
        try await withIngestion(kafka, redis: redis) { service in
            let progress = Progress()
            try await withThrowingDiscardingTaskGroup { group in
                for sender in 0..<4 {
                    group.addTask { await sendPersistently(100, of: sender, to: service, progress) }
                }
                #expect(await eventually { progress.accepted.withLock { $0.count } > 500 })
                kafka.kill()
                #expect(await eventually { progress.refusals.load(ordering: .relaxed) > 4 })
                try await kafka.restart()
            }
            let accepted = progress.accepted.withLock { $0 }
            #expect(accepted.count == 4_000)
            let ids = try await service.events().compactMap { $0.text("ce_id") }
            #expect(Set(ids) == accepted)
        }
        await kafka.remove()
    }
}

extension IngestionFixture {
    /// Topic `events` holds so many.
    func expectEvents(_ count: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let found = try await events().count
        #expect(found == count, sourceLocation: sourceLocation)
    }

    /// Posts a batch.
    func postBatch(_ body: String, token: String? = nil, headers: [(String, String)] = []) async -> Answer {
        await post(body, token: token, headers: headers, to: "/events/batch")
    }
}

extension Answer {
    /// Of a batch: what it says of each event.
    var events: [(id: String, status: String, isDuplicate: Bool)] {
        guard case .array(let events)? = self["events"] else { return [] }
        return events.compactMap { event in
            guard case .object(let event) = event, case .string(let id)? = event["id"],
                case .string(let status)? = event["status"], case .boolean(let isDuplicate)? = event["duplicate"]
            else { return nil }
            return (id, status, isDuplicate)
        }
    }
}
