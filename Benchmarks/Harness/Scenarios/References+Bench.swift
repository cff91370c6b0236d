import ChildProcesses
import JSONScanning

/// What a bare library took in this session.
struct ReferenceResult: Equatable, Sendable {
    var name: String
    var what: String
    var perSecond: Double
    var cpuMicroseconds: Double
}

extension Bench {
    /// The bare libraries, each in a process of its own, on the same broker and receiver as everything else.
    func references() async throws -> [ReferenceResult] {
        let brokers = system.brokers
        let topic = "bench-reference"
        try await Filling(system).makeTopic(topic, isMemory: isMemory)
        let records = isMemory ? 40_000 : Int(300_000 * scale)
        return [
            try await reference(
                "libcurl", "libcurl multi, epoll, 500 B POSTs to the receiver, 64 in flight, one thread",
                ["curl", "--url", "http://127.0.0.1:\(receiverPort)/w/0", "--count", "\(Int(200_000 * scale))"]),
            try await reference(
                "librdkafka, producing", "500 B records, idempotent, acks=all, linger 5 ms",
                ["produce", "--brokers", brokers, "--topic", topic, "--count", "\(records)"]),
            try await reference(
                "librdkafka, consuming", "the same records",
                ["consume", "--brokers", brokers, "--topic", topic, "--count", "\(records)"]),
            try await bareIngestion(brokers, topic),
        ]
    }

    private func reference(_ name: String, _ what: String, _ arguments: [String]) async throws -> ReferenceResult {
        say("reference: \(name)")
        let log = "\(directory)/reference-\(arguments[0]).txt"
        let reason = try await Child.run(
            ChildProgram(name: name, executable: executable, arguments: ["reference"] + arguments, log: log))
        guard reason == "exit code 0", let text = contents(log)?.split(separator: "\n").last,
            let said = try? JSONValue(parsing: Array(text.utf8))
        else { throw BenchError("the reference \(name) failed (\(reason)): \(contents(log) ?? "")") }
        return ReferenceResult(
            name: name, what: what, perSecond: said["per_second"]?.number ?? 0,
            cpuMicroseconds: said["cpu_us"]?.number ?? 0)
    }

    private func bareIngestion(_ brokers: String, _ topic: String) async throws -> ReferenceResult {
        say("reference: h2o and librdkafka")
        let log = "\(directory)/reference-h2o.txt"
        let server = try await Child(
            ChildProgram(
                name: "h2o", executable: executable,
                arguments: ["reference", "h2o", "--brokers", brokers, "--topic", topic], log: log))
        let port = try await Self.port(in: log)
        var plan = LoadPlan.steady(isMemory ? 8_000 : 20_000, seconds: scaled(isMemory ? 4 : 10))
        plan.hasIDs = false
        plan.port = port
        let (said, cpu) = try await load(plan, on: server)
        await server.stop(within: .seconds(10))
        let accepted = said["accepted"]?.integer ?? 0
        return ReferenceResult(
            name: "h2o with librdkafka behind it",
            what: "500 B POSTs answered when Kafka has their bodies, from Swift, one thread",
            perSecond: Double(accepted) / max(said["seconds"]?.number ?? 0, 0.001),
            cpuMicroseconds: cpu * 1e6 / Double(max(1, accepted)))
    }
}
