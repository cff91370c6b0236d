import Glibc
import Kafka
import ServiceSupport
import TestSupport

/// One fault that Martlet survives while load goes on.
struct Fault: Sendable {
    /// As the rows are numbered in docs/internals/faults.md.
    var number: Int
    var name: String
    /// Whether it is part of every run of the tests.
    var isQuick = false
    var needs = Needs.nothing
    /// Requests that may be made again, at most; also how many the history may lack, because their outcome died with a process.
    var repeats = 0
    /// Events a second.
    var rate = 200
    var endpoints = ChaosReceiver.Endpoint.standard
    /// How long the last delivery may take after the load has ended, in seconds.
    var patience = 90
    /// Makes the fault and ends it.
    var make: @Sendable (ChaosSystem, ChaosReceiver) async throws -> Void

    enum Needs {
        case nothing
        /// A broker that can be killed and frozen.
        case realKafka
        /// A system of its own on three in-memory brokers, whose leaders can be moved.
        case memoryBrokers
        /// A PostgreSQL on a disk that can be filled.
        case smallDisk
        /// A name server of the dispatcher's own.
        case names
    }

    static let all: [Fault] = [
        Fault(number: 1, name: "event-ingestion killed", isQuick: true) { system, _ in
            for _ in 0..<2 { try await system.restart(.ingestion) }
        },
        Fault(number: 2, name: "webhook-dispatcher killed", isQuick: true, repeats: 2 * ChaosSystem.inFlight) {
            system, _ in
            for _ in 0..<2 {
                try await system.restart(.dispatcher)
                try await system.awaitCount(of: "webhook_delivery_success_total", .dispatcher)
            }
        },
        Fault(number: 3, name: "retry-manager killed", isQuick: true, repeats: 2 * ChaosSystem.batch) { system, _ in
            for _ in 0..<2 {
                try await system.restart(.retryManager)
                try await system.awaitCount(of: "webhook_retries_fired_total", .retryManager)
            }
        },
        Fault(number: 4, name: "observability killed", isQuick: true) { system, _ in
            for _ in 0..<3 { try await system.restart(.observability) }
        },
        Fault(number: 5, name: "each service deployed anew") { system, _ in
            for service in ChaosSystem.Service.allCases { try await system.restart(service, SIGTERM) }
        },
        Fault(number: 6, name: "Kafka killed and restarted", needs: .realKafka, repeats: ChaosSystem.inFlight) {
            system, _ in
            system.kafka.kill()
            try await system.kafka.restart()
        },
        Fault(number: 7, name: "leaders and coordinators move", needs: .memoryBrokers) { system, _ in
            for round in 0..<12 {
                system.moveLeaders(to: 1 + round % 3)
                try await Task.sleep(for: .seconds(1))
            }
        },
        Fault(number: 8, name: "Kafka answers after 2 s", needs: .realKafka) { system, _ in
            for _ in 0..<4 {
                system.kafka.freeze(true)
                try await Task.sleep(for: .seconds(2))
                system.kafka.freeze(false)
                try await Task.sleep(for: .milliseconds(300))
            }
        },
        Fault(number: 9, name: "a dispatcher joins and leaves") { system, _ in
            for _ in 0..<3 {
                let another = try await system.startAnother(.dispatcher)
                try await Task.sleep(for: .seconds(5))
                await another.end(SIGTERM)
                try await Task.sleep(for: .seconds(2))
            }
        },
        Fault(number: 10, name: "Redis FLUSHALL", isQuick: true, repeats: ChaosSystem.batch) { system, _ in
            try await system.redisCommand(["FLUSHALL"])
        },
        Fault(number: 11, name: "Redis away 10 s, then empty", repeats: 2 * ChaosSystem.batch) { system, _ in
            await system.redis.stop()
            try await Task.sleep(for: .seconds(10))
            try await system.redis.start()
        },
        Fault(number: 11, name: "Redis' answers lost for 5 s", repeats: 2 * ChaosSystem.batch) { system, _ in
            system.redisProxy.set(.answersLost)
            try await Task.sleep(for: .seconds(5))
            system.redisProxy.set(.cut)
            system.redisProxy.set(.none)
        },
        Fault(number: 11, name: "Redis' bytes drip for 5 s", repeats: ChaosSystem.batch) { system, _ in
            system.redisProxy.set(.dripping)
            try await Task.sleep(for: .seconds(5))
            system.redisProxy.set(.none)
        },
        Fault(number: 12, name: "Redis out of memory for 5 s", isQuick: true, repeats: ChaosSystem.batch) { system, _ in
            try await system.redisCommand(["CONFIG", "SET", "maxmemory", "1"])
            try await Task.sleep(for: .seconds(5))
            try await system.redisCommand(["CONFIG", "SET", "maxmemory", "0"])
        },
        Fault(number: 13, name: "PostgreSQL away 5 s", isQuick: true) { system, _ in
            await system.postgres.stop()
            try await Task.sleep(for: .seconds(5))
            try await system.postgres.start()
        },
        Fault(number: 13, name: "PostgreSQL stalls 5 s, then slow") { system, _ in
            system.postgresProxy.set(.stalled)
            try await Task.sleep(for: .seconds(5))
            system.postgresProxy.set(.delayed(100))
            try await Task.sleep(for: .seconds(5))
            system.postgresProxy.set(.none)
        },
        Fault(number: 14, name: "PostgreSQL's disk full for 5 s", isQuick: true, needs: .smallDisk) { system, _ in
            let before = system.logged("No space left", by: .observability)
            try system.disk?.fill()
            let isFull = await eventually(within: .seconds(30)) {
                !system.postgres.isRunning || system.logged("No space left", by: .observability) > before
            }
            try await Task.sleep(for: .seconds(5))
            system.disk?.free()
            if !isFull { throw ChaosFinding(description: "no write failed for want of room") }
            // It ends where it cannot write its log, and whoever makes room starts it again.
            if !system.postgres.isRunning { try await system.postgres.start() }
        },
        Fault(number: 16, name: "hostile endpoints beside") { system, _ in try await HostileEndpoints.run(on: system) },
        Fault(
            number: 17, name: "3 of 10 endpoints away 20 s", rate: 30,
            endpoints: (1...7).map { .init(path: "/steady-\($0)", behaviour: .steady) }
                + (1...3).map { .init(path: "/leaving-\($0)", behaviour: .leaving) },
            // What was held back is let go by rounds of a request's time limit, not all at once.
            patience: 300
        ) { _, receiver in
            receiver.setAway(true)
            try await Task.sleep(for: .seconds(20))
            receiver.setAway(false)
        },
        Fault(number: 18, name: "names that turn, fail and are slow", isQuick: true, needs: .names) { system, _ in
            try await system.names?.run(on: system)
        },
        Fault(number: 19, name: "few file descriptors", isQuick: true) { system, _ in
            try await FewDescriptors.run(on: system)
        },
        Fault(number: 20, name: "records that nobody can parse", isQuick: true) { system, _ in
            try await UnreadableRecords.produce(on: system)
        },
        Fault(number: 21, name: "transactions leave gaps between offsets", isQuick: true, needs: .realKafka) {
            system, _ in
            try await Transactions.produce(on: system)
        },
    ]
}

extension ChaosSystem {
    /// Makes one in-memory broker lead every partition and coordinate every group.
    func moveLeaders(to broker: Int) {
        for topic in configuration.kafka.topics.all {
            for partition in 0..<configuration.kafka.partitions {
                kafka.mock?.setLeader(of: TopicPartition(topic, Int32(partition)), broker: broker)
            }
        }
        for group in [configuration.dispatcher.group, configuration.retryManager.group] {
            kafka.mock?.setCoordinator(ofGroup: group, broker: broker)
        }
    }

    func redisCommand(_ words: [String]) async throws {
        _ = try await Tool.run("redis-cli", ["-p", "\(redis.port)"] + words)
    }
}
