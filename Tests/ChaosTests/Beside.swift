import Glibc
import HTTPSending
import Kafka
import Logs
import ServiceSupport
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
        try await Task.sleep(for: .seconds(10))
        await load.stop()
        for webhook in webhooks { try await system.call(.delete, .gateway, "/api/v1/webhooks/\(webhook)") }
        for server in servers { server.stop() }
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
