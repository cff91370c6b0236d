import Glibc
import HTTPServing
import Kafka
import Records
import ServiceSupport
import StandardWebhooks
import TestSupport
import Testing

@Suite(.serialized) struct DeliveryTests {
    private func withHarness(
        _ kind: KafkaBroker.Kind, _ extra: [String: String] = [:], _ body: (Harness) async throws -> Void
    ) async throws {
        let harness = try await Harness(kind, extra)
        do {
            try await body(harness)
        } catch {
            await harness.close()
            throw error
        }
        await harness.close()
    }

    @Test(arguments: KafkaBroker.available) func eventsArriveSignedWhereTheyShould(kind: KafkaBroker.Kind) async throws
    {
        let receiver = try await Receiver(paths: ["/exact", "/prefix", "/all", "/other"])
        try await withHarness(kind) { harness in
            try await harness.putWebhook("wh_1", url: receiver.url("/exact"), types: ["order.created"]) {
                $0.headers = [.init(name: "X-Custom", value: "value")]
                $0.hubSignature = true
            }
            try await harness.putWebhook("wh_2", url: receiver.url("/prefix"), types: ["order.*"]) {
                $0.headers = [.init(name: "User-Agent", value: "its-own/1")]
            }
            try await harness.putWebhook("wh_3", url: receiver.url("/all"), types: ["*"])
            try await harness.putWebhook("wh_4", url: receiver.url("/other"), types: ["user.*"])
            try await harness.startDispatcher()
            try await harness.putEvents(20)
            try await harness.putEvents(20, type: "user.created", from: 100)
            #expect(await eventually(within: .seconds(20)) { receiver.distinct == 20 * 5 })
            #expect(receiver.ids(at: "/exact") == Set((0..<20).map { "event-\($0)" }))
            #expect(receiver.ids(at: "/other") == Set((100..<120).map { "event-\($0)" }))
            #expect(receiver.ids(at: "/all").count == 40 && receiver.ids(at: "/prefix").count == 20)
            #expect(receiver.repeats == 0)
            let request = try #require(receiver.requests.first { $0.path == "/exact" })
            try WebhookVerifier(keys: [try WebhookSecret(key: Harness.secret).text]).verify(
                headers: request.headers, body: request.body, nowSeconds: Int64(time(nil)))
            #expect(request.header("x-custom") == "value")
            #expect(request.header("ce-type") == "order.created")
            #expect(request.header("content-type") == "application/json")
            #expect(request.header("webhook-attempt") == "1")
            #expect(request.header("x-hub-signature-256")?.hasPrefix("sha256=") == true)
            // Who sends is said once: by the webhook's own headers, or else by Martlet.
            let agents = receiver.requests.map { request in
                (request.path, request.headers.filter { $0.name.lowercased() == "user-agent" }.map(\.value))
            }
            #expect(agents.allSatisfy { $1 == [$0 == "/prefix" ? "its-own/1" : "Martlet/\(martletVersion)"] })
            #expect(await eventually { (try? await harness.outcomes().count { $0.kind == .delivered }) == 100 })
        }
        await receiver.stop()
    }

    @Test func recordsThatNobodyCanReadBecomeDeadLettersAndTheRestGoesOn() async throws {
        let receiver = try await Receiver(paths: ["/hook"])
        try await withHarness(.inMemory) { harness in
            try await harness.putWebhook("wh_1", url: receiver.url("/hook"), types: ["*"])
            for partition in 0..<Int32(4) {
                try await harness.producer.send(
                    to: harness.topics.events, partition: partition, key: nil, value: [0xff, 0x00])
                try await harness.producer.send(to: harness.topics.events, partition: partition, key: nil, value: nil)
            }
            try await harness.putEvents(8)
            try await harness.startDispatcher()
            #expect(await eventually(within: .seconds(20)) { receiver.distinct == 8 })
            #expect(
                await eventually {
                    (try? await harness.outcomes().count { $0.kind == .dead && $0.reason == "ce_id_missing" }) == 8
                })
        }
        await receiver.stop()
    }

    @Test func whatNobodySubscribedToIsCovered() async throws {
        try await withHarness(.inMemory) { harness in
            try await harness.startDispatcher()
            try await harness.putEvents(40)
            #expect(
                await eventually(within: .seconds(20)) {
                    let spans = (try? await harness.outcomes().flatMap(\.spans)) ?? []
                    return spans.reduce(0) { $0 + $1.last - $1.first + 1 } == 40
                })
        }
    }

    @Test func aWebhooksLimitHoldsAndABurstIsParkedNotLost() async throws {
        let receiver = try await Receiver(paths: ["/slow"], delayMs: 400)
        try await withHarness(
            .inMemory,
            ["MARTLET_DISPATCHER_MAX_IN_FLIGHT_PER_WEBHOOK": "5", "MARTLET_DISPATCHER_SHORT_QUEUE_WAIT": "300ms"]
        ) { harness in
            try await harness.putWebhook("wh_1", url: receiver.url("/slow"), types: ["*"])
            try await harness.startDispatcher()
            try await harness.putEvents(60)
            #expect(await eventually(within: .seconds(20)) { (try? await harness.outcomes().count) == 60 })
            let outcomes = try await harness.outcomes()
            #expect(receiver.mostRunning <= 5)
            let parked = outcomes.filter { $0.kind == .parked }
            #expect(parked.allSatisfy { $0.reason == "webhook_busy" && $0.attempt == 0 })
            let lanes = try await harness.records(harness.topics.retries).map { $0.texts["martlet-lane"] }
            #expect(lanes.allSatisfy { $0 == "wh_1" } && lanes.count == parked.count)
            #expect(parked.count > 20 && outcomes.count { $0.kind == .delivered } == receiver.total)
        }
        await receiver.stop()
    }
}
