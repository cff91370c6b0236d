import Kafka
import Records
import ServiceSupport
import TestSupport
import Testing
import WireFormat

/// What comes of a request that does not succeed, down to each header of the record that is written.
@Suite(.serialized) struct FailureTests {
    private static let settings = [
        "MARTLET_RETRY_INITIAL_DELAY": "10s", "MARTLET_RETRY_MAX_DELAY": "1m", "MARTLET_RETRY_JITTER": "0.2",
    ]

    @Test(arguments: KafkaBroker.available) func eachReactionOfAnEndpointHasItsOutcomeAndItsRecord(
        kind: KafkaBroker.Kind
    ) async throws {
        let harness = try await Harness(kind, Self.settings)
        var servers: [String: RawServer] = [:]
        for reaction in Reaction.all {
            let server = reaction.serve.map { serve in RawServer { connection, _ in serve(connection) } }
            servers[reaction.name] = server
            let url = server?.url() ?? "http://127.0.0.1:1/"
            try await harness.putWebhook("wh_" + reaction.name, url: url, types: ["*"]) {
                ($0.retry, $0.timeoutMs) = (reaction.retry, 2_000)
            }
        }
        try await harness.producer.send(
            to: harness.topics.events, partition: 2, key: nil, value: [UInt8](repeating: 65, count: 100_000),
            headers: Self.eventHeaders)
        try await harness.startDispatcher()
        #expect(
            await eventually(within: .seconds(30)) {
                (try? await harness.outcomes().count) == Reaction.all.count
            })
        let event = try #require(try await harness.records(harness.topics.events).first)
        let outcomes = try await harness.outcomes()
        let written =
            try await harness.records(harness.topics.retries) + harness.records(harness.topics.deadLetters)
        for reaction in Reaction.all {
            let outcome = try #require(outcomes.first { $0.webhookID == "wh_" + reaction.name }, "\(reaction.name)")
            Self.check(outcome, reaction)
            let records = written.filter { $0.texts["martlet-webhook"] == outcome.webhookID }
            Self.check(records, outcome, reaction, of: event)
            #expect(servers[reaction.name].map { $0.connections == 1 } ?? true, "\(reaction.name)")
        }
        let signals = try await harness.records(harness.topics.signals).map { try Signal(decoding: $0.value ?? []) }
        #expect(Set(signals.map(\.webhookID)) == ["wh_410", "wh_endless-410"] && signals.count == 2)
        #expect(signals.allSatisfy { $0.kind == .gone && $0.webhookVersion == 1 && $0.tenant == "default" })
        await harness.close()
        for server in servers.values { server.stop() }
    }

    private static var eventHeaders: RecordHeaders {
        var headers = Harness.headers(id: "event-1", type: "order.created")
        headers.append(RecordHeader.tenant, "default")
        headers.append(RecordHeader.orderingKey, "customer-7")
        headers.append(RecordHeader.traceParent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        return headers
    }

    private static func check(_ outcome: Outcome, _ reaction: Reaction) {
        #expect(outcome.kind == reaction.kind, "\(reaction.name)")
        #expect(outcome.reason == reaction.reason, "\(reaction.name)")
        #expect(outcome.status == reaction.status, "\(reaction.name)")
        #expect(outcome.attempt == 1, "\(reaction.name)")
        #expect(outcome.generation == (reaction.kind == .failed ? 1 : 0), "\(reaction.name)")
        let response = String(decoding: outcome.response, as: UTF8.self)
        #expect(reaction.kind == .delivered || response == reaction.response, "\(reaction.name)")
    }

    /// The one record that carries the delivery on has its due time, the event's payload and headers, and every header of its own.
    private static func check(
        _ records: [CopiedRecord], _ outcome: Outcome, _ reaction: Reaction, of event: CopiedRecord
    ) {
        guard reaction.kind != .delivered, let record = records.first, let id = outcome.delivery else {
            #expect(reaction.kind == .delivered && records.isEmpty, "\(reaction.name): nothing was written")
            return
        }
        let isDead = reaction.kind == .dead
        #expect(records.count == 1, "\(reaction.name)")
        #expect(outcome.recordTopic == record.topicPartition.topic && outcome.recordOffset == record.offset)
        #expect(record.topicPartition.topic.hasSuffix(isDead ? "dead-letters" : "retries"), "\(reaction.name)")
        #expect(record.topicPartition.partition == event.topicPartition.partition)
        #expect(record.keyText == (isDead ? "\(id)" : "\(id)#1"), "\(reaction.name)")
        #expect(record.value == event.value, "\(reaction.name)")

        var expected = event.texts
        expected["martlet-delivery"] = "\(id)"
        expected["martlet-webhook"] = "wh_" + reaction.name
        expected["martlet-generation"] = isDead ? "0" : "1"
        expected["martlet-attempt"] = "1"
        expected["martlet-origin-topic"] = event.topicPartition.topic
        expected["martlet-origin-partition"] = "\(event.topicPartition.partition)"
        expected["martlet-origin-offset"] = "\(event.offset)"
        expected["martlet-origin-timestamp"] = "\(event.timestamp)"
        expected["martlet-since"] = "\(event.timestamp)"
        expected["martlet-reason"] = reaction.reason
        expected["martlet-failure"] = reaction.reason == "attempts_exhausted" ? "status_500" : reaction.reason
        expected["martlet-status"] = reaction.status == 0 ? nil : "\(reaction.status)"
        if isDead {
            expected["martlet-response"] = reaction.response.isEmpty ? nil : reaction.response
        } else {
            expected["martlet-due"] = "\(outcome.dueAtMs)"
            let earliest = outcome.startedAtMs + reaction.delayMs.lowerBound
            let latest = record.timestamp + reaction.delayMs.upperBound
            #expect(earliest <= outcome.dueAtMs && outcome.dueAtMs <= latest, "\(reaction.name)")
        }
        #expect(record.texts == expected, "\(reaction.name)")
    }
}
