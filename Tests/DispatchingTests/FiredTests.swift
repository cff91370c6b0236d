import CLinux
import Kafka
import Records
import ServiceSupport
import TestSupport
import Testing

/// What comes back from `retries`. The tests write `deliveries` as a retry-manager does.
@Suite(.serialized) struct FiredTests {
    private static let paths = [
        "ok": 204, "failing": 500, "missing": 404, "gone": 410, "scheduled": 500, "disabled": 204,
    ]
    private static let settings = [
        "MARTLET_RETRY_INITIAL_DELAY": "1s", "MARTLET_RETRY_MAX_DELAY": "1m", "MARTLET_RETRY_MAX_RETRIES": "6",
        "MARTLET_RETRY_JITTER": "0", "MARTLET_RETRY_MAX_AGE": "1h",
    ]
    private static let problem = String(repeating: "no ", count: 1_000)

    private func receiver() async throws -> Receiver {
        try await Receiver(
            paths: Self.paths.keys.map { "/" + $0 }, status: { Self.paths[String($0.dropFirst())] ?? 404 },
            problem: Self.problem)
    }

    @Test(arguments: KafkaBroker.available) func whatIsFiredGoesOnWhereItWas(kind: KafkaBroker.Kind) async throws {
        let receiver = try await receiver()
        let harness = try await Harness(kind, Self.settings)
        for name in Self.paths.keys.sorted() + ["deleted"] {
            try await harness.putWebhook("wh_" + name, url: receiver.url("/" + name), types: ["*"]) {
                $0.enabled = name != "disabled"
                if name == "scheduled" {
                    $0.retry = WebhookRetry()
                    $0.retry?.scheduleMs = [3_000, 7_000]
                }
            }
        }
        try await harness.producer.send(to: harness.topics.webhooks, key: Array("wh_deleted".utf8), value: nil)
        let now = clinux_realtime_ms()
        for (number, fired) in Fired.all.enumerated() {
            var headers = Harness.headers(id: "event-\(number)", type: "order.created")
            for (name, value) in fired.headers(number, now: now) { headers.append(name, value) }
            try await harness.producer.send(
                to: harness.topics.deliveries, partition: Int32(number % 4), key: Array("wh_\(fired.webhook)".utf8),
                value: fired.payload, headers: headers)
        }
        let dispatcher = try await harness.startDispatcher()
        #expect(
            await eventually(within: .seconds(30)) { (try? await harness.outcomes().count) == Fired.all.count },
            "\(harness.log(dispatcher).suffix(2_000))")
        let outcomes = try await harness.outcomes()
        let sent = try await harness.records(harness.topics.deliveries).map(\.texts)
        let written =
            try await harness.records(harness.topics.retries) + harness.records(harness.topics.deadLetters)
        for (number, fired) in Fired.all.enumerated() {
            let id = fired.id(number)
            let outcome = try #require(outcomes.first { $0.delivery == id }, "\(fired.name)")
            check(outcome, fired)
            let records = written.filter { $0.texts["martlet-delivery"] == "\(id)" }
            let source = try #require(sent.first { $0["martlet-delivery"] == "\(id)" })
            check(records, outcome, fired, number, sent: source)
            let attempts = receiver.requests.filter { $0.header("webhook-id") == "event-\(number)" }
                .map { $0.header("webhook-attempt") }
            #expect(attempts == (fired.answer == nil ? [] : ["\(fired.attemptAfter)"]), "\(fired.name)")
        }
        #expect(receiver.total == Fired.all.count { $0.answer != nil })
        await harness.close()
        await receiver.stop()
    }

    private func check(_ outcome: Outcome, _ fired: Fired) {
        #expect(outcome.kind == fired.kind, "\(fired.name)")
        #expect(outcome.reason == fired.reason, "\(fired.name)")
        #expect(outcome.attempt == fired.attemptAfter, "\(fired.name)")
        #expect(outcome.generation == fired.generationAfter, "\(fired.name)")
        #expect(outcome.status == UInt32(fired.answer ?? 0), "\(fired.name)")
        #expect(outcome.originTopic == "elsewhere" && outcome.originOffset == 7, "\(fired.name)")
        #expect(outcome.parent == fired.parent, "\(fired.name)")
    }

    /// What is written says what was fired, but for what has changed since.
    private func check(
        _ records: [CopiedRecord], _ outcome: Outcome, _ fired: Fired, _ number: Int, sent: [String: String]
    ) {
        let carriesOn = fired.kind == .failed || fired.kind == .parked
        guard carriesOn || fired.kind == .dead, let record = records.first else {
            #expect(!carriesOn && fired.kind != .dead && records.isEmpty, "\(fired.name)")
            return
        }
        #expect(records.count == 1, "\(fired.name)")
        #expect(outcome.recordTopic == record.topicPartition.topic && outcome.recordOffset == record.offset)
        #expect(record.topicPartition.topic.hasSuffix(carriesOn ? "retries" : "dead-letters"), "\(fired.name)")
        #expect(record.topicPartition.partition == number % 4)
        let id = "\(fired.id(number))"
        #expect(record.keyText == (carriesOn ? "\(id)#\(fired.generationAfter)" : id), "\(fired.name)")
        // Null would be a tombstone.
        #expect(record.value == fired.payload ?? [], "\(fired.name)")

        var expected = sent
        expected["martlet-attempt"] = "\(fired.attemptAfter)"
        expected["martlet-generation"] = "\(fired.generationAfter)"
        expected["martlet-reason"] = fired.reason
        expected["martlet-since"] = sent["martlet-since"] ?? sent["martlet-origin-timestamp"]
        if let answer = fired.answer {
            expected["martlet-failure"] = "status_\(answer)"
            expected["martlet-status"] = "\(answer)"
            if fired.kind == .dead { expected["martlet-response"] = String(Self.problem.prefix(1_024)) }
        }
        if fired.reason == "webhook_disabled" { expected["martlet-lane"] = "wh_\(fired.webhook)" }
        if let delay = fired.delayMs {
            expected["martlet-due"] = "\(outcome.dueAtMs)"
            let earliest = outcome.startedAtMs + delay
            #expect(earliest <= outcome.dueAtMs && outcome.dueAtMs <= record.timestamp + delay, "\(fired.name)")
        }
        #expect(record.texts == expected, "\(fired.name)")
        #expect(fired.kind != .dead || outcome.failure == expected["martlet-failure"] ?? "", "\(fired.name)")
    }

    /// Each record of `retries` is fired as it is, but for its due time.
    @Test(arguments: KafkaBroker.available) func aDeliveryGoesRoundUntilItIsGivenUp(kind: KafkaBroker.Kind) async throws
    {
        let receiver = try await receiver()
        let harness = try await Harness(kind, Self.settings)
        try await harness.putWebhook("wh_1", url: receiver.url("/failing"), types: ["*"])
        try await harness.putEvents(1)
        try await harness.startDispatcher()
        for generation in 1...6 {
            var waiting: CopiedRecord?
            #expect(
                try await eventually {
                    waiting = try await harness.records(harness.topics.retries)
                        .first { $0.texts["martlet-generation"] == "\(generation)" }
                    return waiting != nil
                })
            let record = try #require(waiting)
            var headers = RecordHeaders()
            for (name, value) in record.texts where name != "martlet-due" { headers.append(name, value) }
            try await harness.producer.send(
                to: harness.topics.deliveries, partition: record.topicPartition.partition, key: Array("wh_1".utf8),
                value: record.value, headers: headers)
        }
        #expect(await eventually { (try? await harness.records(harness.topics.deadLetters).count) == 1 })
        let event = try #require(try await harness.records(harness.topics.events).first)
        let letter = try #require(try await harness.records(harness.topics.deadLetters).first)
        let texts = letter.texts
        #expect(letter.value == event.value && letter.topicPartition.partition == event.topicPartition.partition)
        #expect(texts["martlet-since"] == "\(event.timestamp)" && texts["martlet-attempt"] == "7")
        #expect(texts["martlet-origin-topic"] == event.topicPartition.topic)
        #expect(texts["martlet-origin-offset"] == "\(event.offset)")
        #expect(texts["martlet-reason"] == "attempts_exhausted" && texts["martlet-failure"] == "status_500")
        #expect(receiver.requests.map { $0.header("webhook-attempt") } == (1...7).map { "\($0)" })
        #expect(Set(receiver.requests.map(\.body)).count == 1 && receiver.ids(at: "/failing") == ["event-0"])
        #expect(try await harness.records(harness.topics.retries).count == 6)
        await harness.close()
        await receiver.stop()
    }
}
