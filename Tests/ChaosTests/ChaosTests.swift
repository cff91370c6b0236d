import Glibc
import HTTPSending
import JSONScanning
import Synchronization
import TestSupport
import Testing

/// Faults on real processes under load; each ends with the books: what was accepted has arrived, and how often too often.
/// `CHAOS=all` (`make chaos`) runs all of them, `CHAOS="7 14"` these rows, and without it those that take seconds.
@Suite(.serialized) struct ChaosTests {
    private static func isChosen(_ fault: Fault) -> Bool {
        let chosen = getenv("CHAOS").map { String(cString: $0) } ?? ""
        return chosen.isEmpty
            ? fault.isQuick : chosen == "all" || chosen.split(separator: " ").contains("\(fault.number)")
    }

    @Test func whatWasAcceptedArrivesWhateverFails() async throws {
        var report = ChaosReport()
        let chosen = Fault.all.filter(Self.isChosen)
        let system = try await ChaosSystem()
        for fault in chosen where fault.needs != .memoryBrokers && Self.canRun(fault, on: system) {
            try await Self.run(fault, on: system, &report)
        }
        try await Self.audit(system)
        await system.close()
        if chosen.contains(where: { $0.needs == .memoryBrokers }) {
            let moving = try await ChaosSystem(memoryBrokers: 3)
            for fault in chosen where fault.needs == .memoryBrokers { try await Self.run(fault, on: moving, &report) }
            try await Self.audit(moving)
            await moving.close()
        }
        try report.write()
    }

    /// What the receiver counted, once more from Kafka's side.
    private static func audit(_ system: ChaosSystem) async throws {
        let audit = try await system.audit()
        say("audit: \(audit.report.split(separator: "\n").joined(separator: "; "))")
        #expect(audit.status == 0, "martlet audit: \(audit.report)")
    }

    private static func canRun(_ fault: Fault, on system: ChaosSystem) -> Bool {
        let lacking: String? =
            switch fault.needs {
            case .realKafka where system.kafka.kind != .real: "needs KAFKA_HOME"
            case .smallDisk where system.disk == nil: "needs root, to mount a disk"
            case .names where system.names == nil:
                "needs root, for a name server and a resolv.conf of the dispatcher's own"
            default: nil
            }
        if let lacking { say("skipped: fault \(fault.number) (\(fault.name)) \(lacking)") }
        return lacking == nil
    }

    private static func run(_ fault: Fault, on system: ChaosSystem, _ report: inout ChaosReport) async throws {
        let result = try await Trial(fault, system).run()
        report.add(result)
        say(result.line)
        #expect(result.problems.isEmpty, "\(fault.name): \(result.problems.joined(separator: "; "))")
    }
}

/// At once: a run of minutes is watched.
private func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(STDOUT_FILENO, bytes, bytes.count)
}

/// What a fault saw that must not be, beyond what its trial counts.
struct ChaosFinding: Error {
    var description: String
}

/// One fault under load.
struct Trial {
    private let fault: Fault
    private let system: ChaosSystem

    init(_ fault: Fault, _ system: ChaosSystem) {
        self.fault = fault
        self.system = system
    }

    func run() async throws -> TrialResult {
        let receiver = try await ChaosReceiver(fault.endpoints)
        let type = KafkaBroker.uniqueName("fault\(fault.number)")
        var webhooks: [(endpoint: ChaosReceiver.Endpoint, id: String)] = []
        for endpoint in fault.endpoints {
            webhooks.append((endpoint, try await system.makeWebhook(url: receiver.url(endpoint), type: type)))
        }
        let load = ChaosLoad(system, type: type)
        load.start(rate: fault.rate)
        var findings: [String] = []
        do {
            try await load.awaitAccepted(2 * fault.rate)
            try await fault.make(system, receiver)
            try await load.awaitAccepted(2 * fault.rate)
        } catch let finding as ChaosFinding {
            findings.append(finding.description)
        }
        await load.stop()
        for service in ChaosSystem.Service.allCases { try await system.awaitReady(service) }
        await awaitDeliveries(of: load.accepted, receiver)
        var result = TrialResult(fault)
        result.problems = findings
        result.accepted = load.accepted.count
        result.refused = load.refused
        result.unanswered = load.unanswered
        for endpoint in fault.endpoints { result.count(receiver.taken(endpoint), of: load.accepted) }
        result.repeats = receiver.repeats
        try ChaosReport.keep(receiver.rawData(of: load.accepted), of: fault)
        result.peakAfterReturn = receiver.peakAfterReturn
        for (endpoint, webhook) in webhooks {
            let letters = try await system.get("/api/v1/dead-letters?webhook_id=\(webhook)&limit=100")
            result.deadLetters += letters["data"]?.elements?.count ?? 0
            let seen = receiver.requests(endpoint)
            result.unrecorded += max(0, seen - (await recorded(webhook, atLeast: seen)))
            try await system.call(.delete, .gateway, "/api/v1/webhooks/\(webhook)")
        }
        await receiver.stop()
        result.judge()
        return result
    }

    private func awaitDeliveries(of accepted: [String: Int64], _ receiver: ChaosReceiver) async {
        _ = await eventually(within: .seconds(fault.patience)) {
            fault.endpoints.allSatisfy { endpoint in
                let taken = receiver.taken(endpoint)
                return accepted.keys.allSatisfy { taken[$0] != nil }
            }
        }
    }

    /// Requests to a webhook that the history knows, once it has caught up: some seconds where it never will.
    private func recorded(_ webhook: String, atLeast count: Int) async -> Int {
        let last = Mutex(0)
        _ = await eventually(within: .seconds(fault.repeats > 0 ? 8 : 20)) {
            let stats = try? await system.get("/api/v1/webhooks/\(webhook)/stats")
            let requests = stats?["requests"]?.integer ?? 0
            last.withLock { $0 = requests }
            return requests >= count
        }
        return last.withLock { $0 }
    }
}
