import Foundation
import Glibc
import HTTPSending
import Kafka
import Logs
import ServiceSupport
import Synchronization
import TestSupport

/// Endpoints that do what they can to take a sender's time, connections and memory, and that get events all the while.
enum HostileEndpoints {
    private static let behaviours: [@Sendable (RawConnection) -> Void] = [
        // Hangs after the request.
        { $0.awaitClose() },
        // Hangs in its head.
        { connection in
            _ = connection.request()
            connection.write("HTTP/1.1 200 OK\r\nX-Begun: ")
            connection.awaitClose()
        },
        // Drips a byte a second.
        { connection in
            _ = connection.request()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while connection.write("x") { usleep(1_000_000) }
        },
        // An answer without end.
        { connection in
            _ = connection.request()
            connection.write("HTTP/1.1 200 OK\r\n\r\n")
            let piece = [UInt8](repeating: 0x78, count: 1 << 16)
            while connection.write(piece) {}
        },
        // Headers without end.
        { connection in
            _ = connection.request()
            connection.write("HTTP/1.1 200 OK\r\n")
            let line = "X-Line: " + String(repeating: "x", count: 1_000) + "\r\n"
            while connection.write(line) {}
        },
        // No HTTP.
        { connection in
            _ = connection.request()
            connection.write("\u{0}\u{1}\u{2} not HTTP at all \r\n\r\n")
        },
    ]

    static func run(on system: ChaosSystem) async throws {
        let servers = behaviours.map { behave in RawServer { connection, _ in behave(connection) } }
        let type = KafkaBroker.uniqueName("hostile")
        var webhooks: [String] = []
        for server in servers {
            webhooks.append(try await system.makeWebhook(url: server.url("/hook"), type: type))
        }
        let load = ChaosLoad(system, type: type)
        load.start(rate: 50, senders: 4)
        // Long enough for each of them to hold as many connections as it gets.
        let areHit = await eventually(within: .seconds(60)) {
            load.accepted.count >= 500 && servers.allSatisfy { $0.connections > 0 }
        }
        await load.stop()
        if !areHit { throw ChaosFinding(description: "an endpoint got no request") }
        for webhook in webhooks { try await system.call(.delete, .gateway, "/api/v1/webhooks/\(webhook)") }
        for server in servers { server.stop() }
    }
}

/// A dispatcher that may open no more descriptors, and an endpoint that closes its connections, so that it wants some all the while.
enum FewDescriptors {
    static func run(on system: ChaosSystem) async throws {
        let arrived = Mutex<Set<String>>([])
        let server = RawServer { connection, _ in
            guard let (head, _) = connection.request() else { return }
            let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("webhook-id:") }
            if let id = line?.split(separator: " ").last { arrived.withLock { _ = $0.insert(String(id)) } }
            connection.write("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        }
        let type = KafkaBroker.uniqueName("closing")
        let webhook = try await system.makeWebhook(url: server.url("/hook"), type: type)
        let load = ChaosLoad(system, type: type)
        load.start(rate: 50, senders: 4)
        let pid = system.process(.dispatcher)?.pid ?? 0
        let parked = #"webhook_delivery_failures_total{verdict="parked"}"#
        let before = try await system.metric(parked, .dispatcher) ?? 0
        // It leaves the last 32 to others (MultiDriver.isSparable). Connections that come and go hold the highest low numbers.
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").compactMap { Int($0) }
        let firstFree = (0...).first { !open.contains($0) } ?? 0
        try await Tool.run("prlimit", ["--pid", "\(pid)", "--nofile=\(firstFree + 32 - 10):"])
        let accepted = load.accepted.count
        let goesOn = await eventually(within: .seconds(30)) { load.accepted.count >= accepted + 200 }
        try await Tool.run("prlimit", ["--pid", "\(pid)", "--nofile=1024:"])
        let isLacking = await eventually(within: .seconds(30)) {
            ((try? await system.metric(parked, .dispatcher)) ?? before) > before
        }
        await load.stop()
        let isComplete = await eventually(within: .seconds(90)) {
            let arrived = arrived.withLock { $0 }
            return load.accepted.keys.allSatisfy { arrived.contains($0) }
        }
        try await system.call(.delete, .gateway, "/api/v1/webhooks/\(webhook)")
        server.stop()
        if !goesOn { throw ChaosFinding(description: "nothing was accepted meanwhile") }
        if !isLacking { throw ChaosFinding(description: "no delivery was put aside for want of descriptors") }
        if !isComplete {
            throw ChaosFinding(description: "not every event came to the endpoint that closes its connections")
        }
    }
}

/// What a foreign producer may write: no CloudEvents headers, text that is no UTF-8, NUL, which PostgreSQL refuses in text.
enum UnreadableRecords {
    static func produce(on system: ChaosSystem) async throws {
        let logger = Logger(label: "chaos", output: LogOutput(service: "chaos") { _ in })
        let producer = try await AsyncProducer.start(system.configuration.producer("chaos", logger: logger))
        let topic = system.configuration.kafka.topics.events
        let names = ["ce_id", "ce_type", "ce_source", "ce_time", "content-type", "tenant"]
        for number in 0..<20 {
            var headers = RecordHeaders()
            for name in names.dropFirst(number % names.count) {
                headers.append(name, number.isMultiple(of: 2) ? "a\u{0}b" : "\u{FFFD}\u{10FFFF}")
            }
            try await producer.send(
                to: topic, key: [0xff, 0x00, UInt8(number)], value: [0x00, 0xff, 0xfe, UInt8(number)], headers: headers)
        }
        await producer.close()
    }
}

/// Transactions that commit while the load goes on: each leaves a marker in its partitions, which takes an offset and is no record.
enum Transactions {
    static func produce(on system: ChaosSystem) async throws {
        let home = getenv("KAFKA_HOME").map { String(cString: $0) } ?? ""
        try await Tool.run(
            "\(home)/bin/kafka-run-class.sh",
            [
                "org.apache.kafka.tools.ProducerPerformance", "--topic", system.configuration.kafka.topics.events,
                "--num-records", "400", "--record-size", "20", "--throughput", "100", "--transactional-id", "chaos",
                "--transaction-duration-ms", "50", "--producer-props",
                "bootstrap.servers=\(system.kafka.bootstrapServers)",
            ])
    }
}
