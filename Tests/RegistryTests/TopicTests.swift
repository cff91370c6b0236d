import Editing
import GRPC
import Kafka
import Records
import ServiceSupport
import TestSupport
import Testing
import WireFormat

/// Topic `webhooks` put right, and topic `signals` heeded.
@Suite(.serialized, .timeLimit(.minutes(5))) struct TopicTests {
    @Test(arguments: KafkaBroker.available) func theTopicIsPutRightAtStart(kind: KafkaBroker.Kind) async throws {
        let fixture = try await RegistryFixture(kafka: try await .shared(kind))
        let first = try await fixture.start()
        var ids: [String] = []
        for _ in 0..<6 { ids.append(try await first.client.create().webhook.id) }
        for id in ids { _ = try await first.client.update(id) { $0.description = "second version" } }
        try await first.stop()

        var records = try await fixture.records()
        var older = try #require(records[ids[1]] ?? nil)
        older.version = 1
        var newer = try #require(records[ids[2]] ?? nil)
        newer.version = 9
        newer.url = "https://elsewhere.example/"
        var other = try #require(records[ids[3]] ?? nil)
        other.description = "nobody wrote this"
        var stray = newer
        stray.id = "wh_stray"
        try await fixture.produce(ids[0], nil)
        try await fixture.produce(ids[1], older.encoded())
        try await fixture.produce(ids[2], newer.encoded())
        try await fixture.produce(ids[3], other.encoded())
        try await fixture.produce(ids[4], [0xff, 0xff])
        try await fixture.produce(stray.id, stray.encoded())

        let second = try await fixture.start()
        #expect(await eventually { (try? await fixture.count("registry.outbox")) == 0 })
        records = try await fixture.records()
        let versions = ids.map { records[$0]??.version }
        #expect(versions == [2, 2, 10, 3, 2, 2])
        #expect(records["wh_stray"] == .some(nil))
        for id in ids {
            let stored = try await second.client.get(id)
            #expect(records[id]??.withoutSealedSecrets == stored)
            #expect(stored.description == "second version" && stored.url == "https://example.org/hook")
        }
        try await second.stop()
        await fixture.close()
    }

    @Test func theTopicIsPutRightAgainAndAgain() async throws {
        try await withRegistry(["MARTLET_REGISTRY_RECONCILE_INTERVAL": "1s"]) { fixture, registry in
            let id = try await registry.client.create().webhook.id
            for _ in 0..<2 {
                try await fixture.produce(id, nil)
                #expect(
                    await eventually(within: .seconds(20)) { (try? await fixture.records()[id]??.version) == 1 })
            }
        }
    }

    @Test(arguments: KafkaBroker.available) func anEndpointThatIsGoneIsDisabled(kind: KafkaBroker.Kind) async throws {
        try await withRegistry(kafka: try await .shared(kind)) { fixture, registry in
            let client = registry.client
            let id = try await client.create().webhook.id
            func tell(_ version: UInt64, _ webhook: String = id) async throws {
                var signal = Signal()
                signal.kind = .gone
                signal.webhookID = webhook
                signal.tenant = "acme"
                signal.webhookVersion = version
                try await fixture.produce(webhook, signal.encoded(), to: Topics(prefix: fixture.prefix).signals)
            }
            try await fixture.produce(id, [0xff], to: Topics(prefix: fixture.prefix).signals)
            try await tell(1, "wh_unknown")
            try await tell(1)
            #expect(await eventually(within: .seconds(20)) { (try? await client.get(id).enabled) == false })
            let disabled = try await client.get(id)
            #expect(disabled.version == 2 && disabled.disabledReason.contains("410"))
            #expect(await eventually { (try? await fixture.records()[id]??.enabled) == false })

            let enabled = try await client.update(id) { $0.enabled = true }.webhook
            #expect(enabled.version == 3 && enabled.enabled && enabled.disabledReason.isEmpty)
            try await tell(2)
            #expect(
                await eventually(within: .seconds(20)) {
                    registry.metric("webhook_registry_signals_total{result=\"stale\"}") == 1
                })
            let still = try await client.get(id)
            #expect(still == enabled)
            let events = try await fixture.events()
            #expect(events.map { $0.texts["ce_type"] } == ["martlet.webhook.disabled"])
        }
    }

    @Test func lastingFailureIsNotedToldAndInTheEndDisables() async throws {
        try await withRegistry { fixture, registry in
            let client = registry.client
            let id = try await client.create().webhook.id
            let day: Int64 = 86_400_000
            func tell(_ kind: Signal.Kind, _ version: UInt64, at: Int64, since: Int64 = 0) async throws {
                var signal = Signal()
                (signal.kind, signal.webhookID, signal.tenant, signal.webhookVersion) = (kind, id, "acme", version)
                (signal.atMs, signal.sinceMs) = (at, since)
                try await fixture.produce(id, signal.encoded(), to: Topics(prefix: fixture.prefix).signals)
            }
            func version(_ expected: UInt64) async throws -> Webhook {
                #expect(await eventually(within: .seconds(20)) { (try? await client.get(id).version) == expected })
                return try await client.get(id)
            }
            try await tell(.failingSince, 1, at: 2 * day, since: day)
            #expect(try await version(2).failingSinceMs == day)
            try await tell(.recovered, 1, at: 3 * day)
            #expect(try await version(3).failingSinceMs == 0)
            try await tell(.failingSince, 3, at: 4 * day, since: 4 * day)
            #expect(try await version(4).failingSinceMs == 4 * day)
            try await tell(.failingSince, 4, at: 9 * day, since: 4 * day)
            let disabled = try await version(5)
            #expect(!disabled.enabled && disabled.disabledReason == "every request failed for 120 h")

            #expect(await eventually(within: .seconds(20)) { (try? await fixture.events().count) == 4 })
            let events = try await fixture.events().sorted { ($0.texts["ce_id"] ?? "") < ($1.texts["ce_id"] ?? "") }
            #expect(
                events.map { $0.texts["ce_type"]?.dropFirst("martlet.webhook.".count) } == [
                    "failing", "recovered", "failing", "disabled",
                ])
            for (event, version) in zip(events, 2...) {
                #expect(event.keyText == "acme\u{0}\(id)-\(version)")
                #expect(event.texts["ce_id"] == "\(id)-\(version)" && event.texts["tenant"] == "acme")
                #expect(event.texts["ce_subject"] == id && event.texts["ce_source"] == "martlet/webhooks")
                let body = String(decoding: event.value ?? [], as: UTF8.self)
                #expect(body.contains(#""data":{"webhook_id":"\#(id)","#), "\(body)")
            }
            let last = String(decoding: events.last?.value ?? [], as: UTF8.self)
            #expect(
                last.hasSuffix(
                    #""reason":"every request failed for 120 h","failing_since":"1970-01-05T00:00:00.000Z"}}"#))
        }
    }
}
