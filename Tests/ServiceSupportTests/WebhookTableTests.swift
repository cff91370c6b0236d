import Kafka
import LifeCycle
import Logs
import Metrics
import Records
import Routing
import Synchronization
import TestSupport
import Testing
import WireFormat

@testable import ServiceSupport

private let quiet = Logger(label: "test", output: LogOutput(service: "test", level: .critical))

private func webhook(_ id: String, _ types: [String] = ["*"], version: UInt64 = 1, tenant: String = "default")
    -> Webhook
{
    var webhook = Webhook()
    webhook.id = id
    webhook.tenant = tenant
    webhook.version = version
    webhook.eventTypes = types
    return webhook
}

extension Webhook {
    fileprivate var bytes: [UInt8] {
        var writer = WireWriter()
        write(to: &writer)
        return writer.bytes
    }
}

extension TenantWebhooks {
    fileprivate func matching(_ type: String) -> [String] {
        var found: [String] = []
        Array(type.utf8).withUnsafeBytes { bytes in index.match(bytes) { found.append(webhooks[$0].id) } }
        return found.sorted()
    }
}

@Suite struct WebhookTableBuilderTests {
    private let builder: WebhookTableBuilder
    private let registry = MetricsRegistry()

    init() { builder = WebhookTableBuilder(logger: quiet, metrics: WebhookTableMetrics(registry)) }

    private func take(_ webhook: Webhook, key: String? = nil) {
        take(key: Array((key ?? webhook.id).utf8), value: webhook.bytes)
    }

    private func take(key: [UInt8], value: [UInt8]?) {
        key.withUnsafeBytes { key in
            guard let value else { return builder.take(key: key, value: nil) }
            value.withUnsafeBytes { builder.take(key: key, value: $0) }
        }
    }

    @Test func nothingIsPublishedBeforeTheEnd() throws {
        take(webhook("wh_a"))
        #expect(builder.takeSnapshot() == nil)
        builder.caughtUp()
        let snapshot = try #require(builder.takeSnapshot())
        #expect(snapshot.isComplete && snapshot.webhooks(of: "default")?.webhooks.map(\.id) == ["wh_a"])
        #expect(builder.takeSnapshot() == nil)
    }

    @Test func anEmptyTopicIsCompleteToo() throws {
        builder.caughtUp()
        #expect(try #require(builder.takeSnapshot()).tenants.isEmpty)
    }

    @Test func aChangeTouchesItsTenantOnly() throws {
        take(webhook("wh_a", ["order.*"], tenant: "a"))
        take(webhook("wh_b", tenant: "b"))
        builder.caughtUp()
        let before = try #require(builder.takeSnapshot())
        take(webhook("wh_a", ["user.created"], version: 2, tenant: "a"))
        let after = try #require(builder.takeSnapshot())
        #expect(before.webhooks(of: "b") === after.webhooks(of: "b"))
        #expect(before.webhooks(of: "a") !== after.webhooks(of: "a"))
        #expect(before.webhooks(of: "a")?.matching("order.created") == ["wh_a"])
        #expect(after.webhooks(of: "a")?.matching("order.created") == [])
        #expect(after.webhooks(of: "a")?.matching("user.created") == ["wh_a"])
    }

    @Test func olderVersionsAndUnknownTombstonesChangeNothing() throws {
        take(webhook("wh_a", ["new"], version: 5))
        builder.caughtUp()
        _ = builder.takeSnapshot()
        take(webhook("wh_a", ["old"], version: 4))
        take(key: Array("wh_unknown".utf8), value: nil)
        #expect(builder.takeSnapshot() == nil)
    }

    @Test func theLastTombstoneRemovesTheTenant() throws {
        take(webhook("wh_a"))
        builder.caughtUp()
        _ = builder.takeSnapshot()
        take(key: Array("wh_a".utf8), value: nil)
        #expect(try #require(builder.takeSnapshot()).tenants.isEmpty)
        #expect(registry.gauge("webhook_table_webhooks", help: "").value == 0)
    }

    @Test func whatCannotBeUnderstoodIsCountedAndLeftOut() throws {
        take(webhook("wh_a"))
        take(key: Array("wh_b".utf8), value: [0xff, 0xff])
        take(webhook("wh_c"), key: "wh_other")
        builder.caughtUp()
        #expect(try #require(builder.takeSnapshot()).webhooks(of: "default")?.webhooks.map(\.id) == ["wh_a"])
        #expect(registry.counter("webhook_table_malformed_total", help: "").value == 2)
        #expect(registry.counter("webhook_table_records_total", help: "").value == 3)
    }

    @Test func aTopicThatBeginsAgainIsPublishedWhenItIsComplete() throws {
        take(webhook("wh_a", version: 7))
        builder.caughtUp()
        _ = builder.takeSnapshot()
        builder.restart()
        take(webhook("wh_b"))
        #expect(builder.takeSnapshot() == nil)
        builder.caughtUp()
        #expect(try #require(builder.takeSnapshot()).webhooks(of: "default")?.webhooks.map(\.id) == ["wh_b"])
    }
}

@Suite struct SnapshotPaceTests {
    @Test func atMostATenthOfTheTimeGoesIntoSnapshots() {
        var pace = SnapshotPace()
        #expect(pace.wait(at: 0) == nil)
        pace.made(from: 1_000, to: 1_050)
        #expect(pace.wait(at: 1_050) == 1_500)
        #expect(pace.wait(at: 1_499) == 1_500)
        #expect(pace.wait(at: 1_500) == nil)
        pace.made(from: 9_000, to: 9_000)
        #expect(pace.wait(at: 9_000) == nil)
    }
}

@Suite(.timeLimit(.minutes(2))) struct WebhookTableTests {
    @Test(arguments: KafkaBroker.available)
    func theTableFollowsItsTopic(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic("webhooks", partitions: 4, settings: ["cleanup.policy": "compact"])
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        func publish(_ webhook: Webhook) async throws {
            try await producer.send(to: topic, key: Array(webhook.id.utf8), value: webhook.bytes)
        }
        for number in 0..<50 { try await publish(webhook("wh_\(number)", ["type.\(number % 5)"])) }

        var reader = LogReaderConfiguration(broker.configuration())
        reader.fetchWaitMilliseconds = 10
        let revisions = Mutex<[UInt64]>([])
        let table = WebhookTable(reader, topic: topic, logger: quiet, metrics: MetricsRegistry()) { snapshot in
            revisions.withLock { $0.append(snapshot.revision) }
        }
        #expect(!table.isReady && table.revision == 0)
        let group = ServiceGroup(services: [table], logger: quiet)
        let running = Task { try await group.run() }
        #expect(await eventually { table.isReady })
        #expect(table.snapshot.webhooks(of: "default")?.matching("type.3").count == 10)

        let revision = table.revision
        try await publish(webhook("wh_new", ["live"]))
        #expect(await eventually { table.snapshot.webhooks(of: "default")?.matching("live") == ["wh_new"] })
        #expect(table.revision > revision)
        // Changes that come one upon the other are all in the last snapshot.
        for number in 0..<200 { try await publish(webhook("wh_burst_\(number)", ["burst"])) }
        #expect(await eventually { table.snapshot.webhooks(of: "default")?.matching("burst").count == 200 })
        try await producer.send(to: topic, key: Array("wh_new".utf8), value: nil)
        #expect(await eventually { table.snapshot.webhooks(of: "default")?.matching("live") == [] })

        group.stop()
        try await running.value
        await producer.close()
        let seen = revisions.withLock { $0 }
        #expect(seen == Array(1...UInt64(seen.count)) && seen.last == table.revision)
    }

    @Test func aWrongPropertyIsAnError() async throws {
        let client = KafkaConfiguration(brokers: "127.0.0.1:1", clientID: "test", properties: ["no.such": "1"])
        let table = WebhookTable(
            LogReaderConfiguration(client), topic: "webhooks", logger: quiet, metrics: MetricsRegistry())
        await #expect(throws: KafkaError.self) { try await table.run() }
    }
}
