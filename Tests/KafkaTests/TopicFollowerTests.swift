import EventLoops
import Kafka
import Synchronization
import TestSupport
import Testing

/// A table kept from a topic, with what its follower said.
private final class Table: Sendable {
    struct State {
        var values: [String: String] = [:]
        var events: [TopicFollower.Event] = []
        var recordsBeforeCatchingUp: Int?
        var records = 0
    }
    private let mutex = Mutex(State())
    var state: State { mutex.withLock { $0 } }
    var events: [TopicFollower.Event] { state.events.filter { if case .failed = $0 { false } else { true } } }

    func take(_ record: borrowing Record) {
        let key = String(decoding: record.key ?? .init(start: nil, count: 0), as: UTF8.self)
        let value = record.value.map { String(decoding: $0, as: UTF8.self) }
        mutex.withLock {
            $0.values[key] = value
            $0.records += 1
        }
    }

    func take(_ event: TopicFollower.Event) {
        mutex.withLock {
            $0.events.append(event)
            if event == .caughtUp { $0.recordsBeforeCatchingUp = $0.records }
            if case .restarted = event { $0.values = [:] }
        }
    }
}

@Suite(.timeLimit(.minutes(3))) struct TopicFollowerTests {
    private func follow(_ broker: KafkaBroker, _ topic: String, _ table: Table) async throws -> OnLoop<TopicFollower> {
        var configuration = LogReaderConfiguration(broker.configuration())
        configuration.fetchWaitMilliseconds = 10
        return try await OnLoop { [configuration] loop in
            try TopicFollower(configuration, topic: topic, on: loop, record: table.take, event: table.take)
        }
    }

    @Test(arguments: KafkaBroker.available)
    func fromTheEndOnlyWhatComesLaterIsSeen(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 4)
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        for index in 0..<8 { try await producer.send(to: topic, key: Array("old\(index)".utf8), value: [65]) }
        let table = Table()
        var configuration = LogReaderConfiguration(broker.configuration())
        configuration.fetchWaitMilliseconds = 10
        let follower = try await AsyncTopicFollower.start(
            configuration, topic: topic, from: .end, record: { table.take($0) }, event: { table.take($0) })
        #expect(await eventually(within: .seconds(20)) { table.events == [.caughtUp] })
        for index in 0..<8 { try await producer.send(to: topic, key: Array("new\(index)".utf8), value: [66]) }
        #expect(await eventually { table.state.records == 8 })
        #expect(table.state.values.keys.allSatisfy { $0.hasPrefix("new") })
        await follower.stop()
        try await producer.send(to: topic, key: Array("late".utf8), value: [66])
        #expect(table.state.records == 8)
        await producer.close()
    }

    private func end(_ follower: OnLoop<TopicFollower>) async throws {
        try await follower.run { $0.stop() }
        await follower.stop()
    }

    @Test(arguments: KafkaBroker.available)
    func catchesUpOnceAndGoesOnLive(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 4, settings: ["cleanup.policy": "compact"])
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        for index in 0..<40 {
            try await producer.send(to: topic, key: Array("k\(index % 20)".utf8), value: Array("v\(index)".utf8))
        }
        let table = Table()
        let follower = try await follow(broker, topic, table)
        #expect(await eventually(within: .seconds(20)) { table.events == [.caughtUp] })
        #expect(table.state.recordsBeforeCatchingUp == 40)
        #expect(table.state.values.count == 20 && table.state.values["k3"] == "v23")
        try await producer.send(to: topic, key: Array("k3".utf8), value: nil)
        try await producer.send(to: topic, key: Array("new".utf8), value: Array("live".utf8))
        #expect(await eventually { table.state.values["k3"] == nil && table.state.values["new"] == "live" })
        #expect(table.events == [.caughtUp])
        try await end(follower)
        await producer.close()
    }

    @Test(arguments: KafkaBroker.available)
    func anEmptyTopicIsCaughtUpWithAtOnce(_ kind: KafkaBroker.Kind) async throws {
        let broker = try await KafkaBroker.shared(kind)
        let topic = try await broker.makeTopic(partitions: 3)
        let table = Table()
        let follower = try await follow(broker, topic, table)
        #expect(await eventually(within: .seconds(20)) { table.events == [.caughtUp] })
        try await end(follower)
    }

    @Test(.requiresRealKafka) func waitsForATopicThatIsNotThereYet() async throws {
        let broker = try await KafkaBroker.shared(.real)
        let topic = KafkaBroker.uniqueName("later")
        let table = Table()
        let follower = try await follow(broker, topic, table)
        #expect(await eventually { !table.state.events.isEmpty })
        try await broker.createTopic(topic)
        #expect(await eventually(within: .seconds(20)) { table.events == [.caughtUp] })
        try await end(follower)
    }

    @Test(.requiresRealKafka) func startsOverWhenTheTopicIsMadeAnew() async throws {
        let broker = try await KafkaBroker.shared(.real)
        let topic = try await broker.makeTopic()
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        for index in 0..<10 { try await producer.send(to: topic, key: Array("old\(index)".utf8), value: [66]) }
        let table = Table()
        let follower = try await follow(broker, topic, table)
        #expect(await eventually(within: .seconds(20)) { table.state.values.count == 10 })
        let admin = try Admin(broker.configuration())
        #expect(try await admin.deleteTopics([topic]) == [:])
        #expect(try await eventually { try await admin.describe(topic: topic) == nil })
        try await broker.createTopic(topic)
        let another = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        try await another.send(to: topic, key: Array("new".utf8), value: Array("v".utf8))
        #expect(await eventually(within: .seconds(30)) { table.state.values == ["new": "v"] }, "\(table.state)")
        try await end(follower)
        await producer.close()
        await another.close()
    }

    @Test func startsOverWhenItsPositionIsGone() async throws {
        let broker = try KafkaBroker.ownInMemory()
        try await broker.createTopic("t")
        let producer = try await AsyncProducer.start(ProducerConfiguration(broker.configuration()))
        try await producer.send(to: "t", key: [65], value: [66])
        let table = Table()
        let follower = try await follow(broker, "t", table)
        #expect(await eventually(within: .seconds(20)) { table.events == [.caughtUp] })
        broker.mock?.fail(.fetch, with: [KafkaError.Code(rawValue: 1)])
        #expect(await eventually(within: .seconds(20)) { table.events.count == 3 })
        guard case .restarted = table.events.dropFirst().first, table.events.last == .caughtUp else {
            Issue.record("\(table.events)")
            return
        }
        #expect(table.state.values == ["A": "B"])
        try await end(follower)
        await producer.close()
    }
}
