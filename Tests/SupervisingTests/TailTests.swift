import Glibc
import JSONScanning
import Kafka
import Records
import TestSupport
import Testing
import WireFormat

@testable import Supervising

private let firstID = "dlv_00000000000000010000000000000002"

/// Topics of one broker that a test writes to and follows.
private struct TailBench {
    let topic: String
    let reader: LogReaderConfiguration
    let producer: AsyncProducer

    init(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        topic = try await broker.makeTopic("tail", partitions: 4)
        var reader = LogReaderConfiguration(broker.configuration())
        reader.fetchWaitMilliseconds = 10
        self.reader = reader
        producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
    }

    static func attempt(
        _ number: UInt32, kind: Records.Outcome.Kind = .failed, webhook: String = "wh_a", tenant: String = "default"
    ) -> [UInt8] {
        var outcome = Records.Outcome()
        outcome.kind = kind
        outcome.delivery = DeliveryID(random: 1, UInt64(number))
        outcome.webhookID = webhook
        outcome.tenant = tenant
        outcome.eventType = "user.created"
        outcome.eventID = "e\n-1"
        outcome.attempt = number
        outcome.status = 500
        outcome.durationUs = 12_345
        outcome.reason = "status_500"
        outcome.dueAtMs = 1_700_000_010_000
        return outcome.encoded()
    }

    func send(_ value: [UInt8]?, partition: Int32 = 0, _ headers: [(String, String)] = []) async throws {
        var packed = RecordHeaders()
        for (name, value) in headers { packed.append(name, value) }
        try await producer.send(
            to: topic, partition: partition, key: [65], value: value, headers: packed, timestamp: 1_700_000_000_000)
    }

    /// Runs a tail until `until` holds, or it has ended by itself.
    func tail(
        _ options: TailOptions, _ printed: Printed, isGone: @escaping @Sendable () -> Bool = { false },
        until isDone: () -> Bool = { false }, whenFollowing: () async throws -> Void = {}
    ) async throws {
        let tail = Tail(options, topic: topic, output: printed.output, isGone: isGone)
        let ended = Printed()
        let task = Task { [reader] in
            defer { ended.output.result("ended") }
            try await tail.run(reader)
        }
        #expect(await eventually { printed.notes.contains { $0.hasPrefix("following ") } || !ended.results.isEmpty })
        try await whenFollowing()
        #expect(await eventually { isDone() || !ended.results.isEmpty }, "\(printed.results) \(printed.notes)")
        task.cancel()
        try await task.value
    }
}

@Suite(.timeLimit(.minutes(2))) struct TailTests {
    @Test(arguments: KafkaBroker.available) func whatComesFromNowOnIsShown(_ kind: KafkaBroker.Kind) async throws {
        let bench = try await TailBench(kind)
        try await bench.send(TailBench.attempt(1))
        let printed = Printed()
        try await bench.tail(TailOptions(topic: .attempts), printed, until: { printed.results.count == 2 }) {
            try await bench.send(TailBench.attempt(2), partition: 1)
            try await bench.send(TailBench.attempt(3), partition: 2)
        }
        let due = clockText(1_700_000_010_000)
        #expect(
            Set(printed.results)
                == [
                    "\(clockText(1_700_000_000_000))  \(firstID)  wh_a  user.created  failed  status 500  12.3 ms  request 2  "
                        + "status_500  due \(due)",
                    "\(clockText(1_700_000_000_000))  \(firstID.dropLast())3  wh_a  user.created  failed  status 500  12.3 ms  "
                        + "request 3  status_500  due \(due)",
                ])
        await bench.producer.close()
    }

    @Test func theCountEndsItAndFiltersPassOver() async throws {
        let bench = try await TailBench(.inMemory)
        try await bench.send(TailBench.attempt(1))
        try await bench.send(TailBench.attempt(2, webhook: "wh_b"))
        try await bench.send(TailBench.attempt(3, tenant: "other"))
        try await bench.send(TailBench.attempt(4, kind: .covered))
        try await bench.send(TailBench.attempt(5))
        try await bench.send(TailBench.attempt(6))
        let printed = Printed()
        try await bench.tail(
            TailOptions(
                topic: .attempts, json: true, fromBeginning: true, tenant: "default", webhook: "wh_a", count: 2),
            printed)
        let numbers = printed.results.map { JSONValue(answer: Array($0.utf8))?["attempt"]?.integer }
        #expect(numbers == [1, 5])
        await bench.producer.close()
    }

    @Test func badRecordsAreReportedAndPassedOver() async throws {
        let bench = try await TailBench(.inMemory)
        try await bench.send(Array("no outcome".utf8))
        try await bench.send(nil)
        try await bench.send([])
        try await bench.send(TailBench.attempt(7))
        let printed = Printed()
        try await bench.tail(TailOptions(topic: .attempts, fromBeginning: true, count: 1), printed)
        #expect(printed.results.count == 1)
        let notes = printed.notes.filter { $0.contains(" is passed over: ") }
        #expect(notes.count == 3)
        #expect(notes.first?.hasPrefix("\(bench.topic)-0 at 0 is passed over: its value is no outcome: ") == true)
        #expect(notes.last?.hasSuffix("its value is no outcome of a delivery") == true)
        await bench.producer.close()
    }

    @Test func itEndsWhenNobodyReads() async throws {
        let bench = try await TailBench(.inMemory)
        try await bench.send(TailBench.attempt(1))
        let printed = Printed()
        try await bench.tail(TailOptions(topic: .attempts, fromBeginning: true), printed, isGone: { true })
        #expect(printed.results.count == 1)
        await bench.producer.close()
    }

    @Test func deadLettersAreShown() async throws {
        let bench = try await TailBench(.inMemory)
        let headers = [
            ("ce_id", "e-1"), ("ce_type", "user.created"), ("martlet-delivery", firstID), ("martlet-webhook", "wh_a"),
            ("martlet-reason", "retries_spent"), ("martlet-failure", "status_500"), ("martlet-status", "500"),
            ("martlet-attempt", "3"), ("martlet-response", "no\u{1b}[2J"),
        ]
        try await bench.send([], headers)
        for (name, value, reason) in [
            ("martlet-delivery", "dlv_x", "header martlet-delivery is 'dlv_x': expected a delivery's id"),
            ("martlet-status", "many", "header martlet-status is 'many': expected a number"),
            ("martlet-webhook", "", "header martlet-webhook is missing"),
        ] {
            try await bench.send([], headers + [(name, value)])
            let printed = Printed()
            try await bench.tail(
                TailOptions(topic: .deadLetters, fromBeginning: true), printed,
                until: { printed.notes.contains { $0.hasSuffix(reason) } })
        }
        let text = Printed()
        try await bench.tail(TailOptions(topic: .deadLetters, fromBeginning: true, count: 1), text)
        #expect(
            text.results == [
                "\(clockText(1_700_000_000_000))  \(firstID)  wh_a  user.created  dead  status 500  3 requests  retries_spent  "
                    + "status_500"
            ])
        let json = Printed()
        try await bench.tail(TailOptions(topic: .deadLetters, json: true, fromBeginning: true, count: 1), json)
        let letter = JSONValue(answer: Array((json.results.first ?? "").utf8))
        #expect(letter?["delivery_id"]?.text == firstID && letter?["last_status"]?.integer == 500)
        #expect(letter?["response"]?.text == "no\u{1b}[2J" && letter?["at"]?["offset"]?.integer == 0)
        await bench.producer.close()
    }

    @Test func eventsAreShownWithoutWhatATerminalWouldActUpon() async throws {
        let bench = try await TailBench(.inMemory)
        try await bench.send(
            Array(#"{"a":1}"#.utf8),
            [("ce_id", "e\u{1b}[2J\n1"), ("ce_type", "a.b"), ("ce_source", "me"), ("tenant", "acme")])
        try await bench.send([], [("ce_id", "e-2")])
        let printed = Printed()
        try await bench.tail(
            TailOptions(topic: .events, fromBeginning: true), printed,
            until: { printed.notes.contains { $0.hasSuffix("header ce_type is missing") } })
        #expect(
            printed.results == [
                "\(clockText(1_700_000_000_000))  e\\u{1b}[2J 1  a.b  from me  tenant acme  7 bytes"
            ])
        await bench.producer.close()
    }
}

/// The command itself, against a broker that its configuration names.
@Suite(.timeLimit(.minutes(2))) struct TailCommandTests {
    private func martlet(_ words: String...) async throws -> ChildProcess {
        let broker = try await KafkaBroker.shared(.inMemory)
        let prefix = "tail-\(getpid())."
        // Made by the first test that comes here.
        try? await broker.createTopic(prefix + "events", partitions: 2)
        return try ChildProcess(
            try builtProgram("martlet"), words + ["--state", "/nonexistent"],
            environment: [
                "MARTLET_PROFILE": "development", "MARTLET_KAFKA_BROKERS": broker.bootstrapServers,
                "MARTLET_KAFKA_LOG_ID": "x", "MARTLET_KAFKA_TOPIC_PREFIX": prefix,
            ])
    }

    @Test(arguments: [SIGTERM, SIGINT]) func aSignalEndsItWithoutAWord(signal: Int32) async throws {
        let child = try await martlet("tail", "events")
        #expect(await eventually { child.errors.contains("following tail-") }, "\(child.errors)")
        child.signal(signal)
        #expect(try await child.exit() == 0)
        #expect(child.output.isEmpty)
    }

    @Test func theCountEndsIt() async throws {
        let child = try await martlet("tail", "events", "--count", "2", "--json")
        #expect(await eventually { child.errors.contains("following tail-") }, "\(child.errors)")
        let broker = try await KafkaBroker.shared(.inMemory)
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        var headers = RecordHeaders()
        for (name, value) in [("ce_id", "e"), ("ce_type", "a.b"), ("ce_source", "s")] { headers.append(name, value) }
        for partition: Int32 in [0, 1] {
            try await producer.send(
                to: "tail-\(getpid()).events", partition: partition, key: nil, value: [], headers: headers)
        }
        await producer.close()
        #expect(try await child.exit() == 0, "\(child.errors)")
        #expect(child.output.split(separator: "\n").count == 2)
    }

    @Test(arguments: [
        (["events", "--webhook", "wh_a"], "leave --webhook out"), (["attempts", "--count", "0"], "expected 1 or more"),
        (["retries"], "expected one of attempts, dead-letters, events"),
    ])
    func whatDoesNotFitIsRefused(words: [String], reason: String) async throws {
        let child = try ChildProcess(try builtProgram("martlet"), ["tail"] + words)
        #expect(try await child.exit() == 64)
        #expect(child.errors.contains(reason))
    }
}
