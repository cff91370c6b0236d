import ChildProcesses
import EventLoops
import Glibc
import HTTPSending
import JSONScanning

/// A session: one Martlet, one receiver, and the generator started anew for each run. Scenarios are written with `run`.
final class Bench {
    let system: BenchSystem
    let receiverPort: UInt16
    /// Shortens or lengthens every scenario; 1 is as committed results were made.
    let scale: Double
    let directory: String
    private let receiver: Child
    let executable: String
    private let client: HTTPClient
    let say: (String) -> Void
    private var runs = 0
    var prepared: Prepared?
    private var dispatchers: [Child] = []
    /// The folder of all programs.
    let programs: String
    let soakMinutes: Double
    /// librdkafka's in-memory broker, which keeps 5 MiB of a partition.
    var isMemory: Bool { system.kafka == "memory" }

    init(_ options: BenchOptions, say: @escaping (String) -> Void) async throws {
        self.say = say
        scale = options.scale
        soakMinutes = options.soakMinutes
        programs = options.programs
        directory = options.directory
        executable = options.executable
        client = try HTTPClient()
        say("starting a system of its own in \(directory)")
        system = try await BenchSystem(
            martlet: "\(options.programs)/martlet", directory: directory, environment: options.environment)
        let log = "\(directory)/receiver.txt"
        receiver = try await Child(
            ChildProgram(name: "receiver", executable: executable, arguments: ["receive"], log: log))
        receiverPort = try await Self.port(in: log)
    }

    /// What the receiver says first.
    static func port(in log: String) async throws -> UInt16 {
        for _ in 0..<100 {
            if let line = contents(log)?.split(separator: "\n").first,
                let port = (try? JSONValue(parsing: Array(line.utf8)))?["port"]?.integer
            {
                return UInt16(clamping: port)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw BenchError("the receiver does not start: \(contents(log) ?? "")")
    }

    func stop() async {
        await receiver.stop(within: .seconds(5))
        await system.stop()
    }

    // MARK: The receiver

    private func tellReceiver(_ method: HTTPSendMethod, _ path: String) async throws -> JSONValue? {
        let answer = await client.send(method, to: try Endpoint("http://127.0.0.1:\(receiverPort)\(path)"))
        guard answer.status == 200 else {
            throw BenchError("the receiver, \(path): \(answer.status) \(answer.message)")
        }
        return try? JSONValue(parsing: answer.body)
    }

    func arrivals() async throws -> JSONValue {
        guard let arrivals = try await tellReceiver(.get, "/arrivals") else {
            throw BenchError("the receiver's answer")
        }
        return arrivals
    }

    func misbehave(_ behaviour: String, permille: Int) async throws {
        _ = try await tellReceiver(.post, "/behaviour?is=\(behaviour)&permille=\(permille)")
    }

    // MARK: Runs

    /// Sends a plan, waits until everything accepted has been delivered, and says what it took.
    /// - Parameters:
    ///   - fanOut: deliveries that each event must have; 0: none, what counts is that it is accepted.
    ///   - patience: seconds without any progress after which what has not been delivered is called lost.
    ///   - drains: the dispatcher stands still until all has been sent; what is measured begins then.
    ///   - meanwhile: done while the load runs.
    func run(
        _ name: String, _ what: String, _ plan: LoadPlan, fanOut: Int = 1, patience: Double = 30,
        drains: Bool = false,
        meanwhile: (() async throws -> Void)? = nil
    ) async throws -> ScenarioResult {
        runs += 1
        var plan = plan
        plan.run = runs
        plan.port = system.port("event-ingestion")
        _ = try await tellReceiver(.post, "/run?run=\(runs)&fan-out=\(max(1, fanOut))")
        var before = meter()
        var start = EventLoop.monotonicNanoseconds()
        let generator = try await Child(program(plan))
        var result = ScenarioResult(name: name, what: what)
        result.offered = drains ? 0 : Double(plan.events) / plan.seconds
        try await meanwhile?()
        if drains {
            await generator.waitForEnd()
            before = meter()
            start = EventLoop.monotonicNanoseconds()
            freezeDispatchers(false)
        }
        try await follow(name, plan, generator, fanOut, patience, start, &result)
        try finish(plan, &result)
        if drains { result.processes = [] }
        let arrived = try await arrivals()
        result.delivered = arrived["delivered"]?.integer ?? 0
        result.duplicates = arrived["duplicates"]?.integer ?? 0
        result.delivery = Percentiles(arrived["latency"])
        result.events = fanOut == 0 ? result.accepted : result.delivered
        if fanOut > 0 { result.lost = try await lost(plan) }
        let last = UInt64(arrived["last_arrival"]?.integer ?? 0)
        result.seconds = fanOut == 0 || last < start ? result.seconds : Double(last - start) / 1e9
        charge(before, meter(), &result)
        return result
    }

    /// Until a process has done what was left to it, so that it is not charged to the next scenario.
    func settle(_ process: String = "webhook-dispatcher") async throws {
        var quiet = 0
        var before = system.usage()[process]?.cpuSeconds ?? 0
        for _ in 0..<600 where quiet < 2 {
            try await Task.sleep(for: .seconds(1))
            let now = system.usage()[process]?.cpuSeconds ?? 0
            quiet = now - before < 0.05 ? quiet + 1 : 0
            before = now
        }
    }

    private func program(_ plan: LoadPlan) -> ChildProgram {
        let log = log(plan)
        return ChildProgram(
            name: "generator", executable: executable,
            arguments: [
                "generate", "--port", "\(plan.port)", "--connections", "\(plan.connections)", "--bytes",
                "\(plan.eventBytes)", "--batch", "\(plan.batch)", "--types", "\(plan.types)", "--run", "\(plan.run)",
                "--steps", plan.steps.map { "\($0.rate)x\($0.seconds)" }.joined(separator: ","),
            ] + (plan.hasIDs ? [] : ["--no-ids"]), log: log)
    }

    /// Sends a plan to another server than the system's. Returns what the generator says, and the server's CPU seconds.
    func load(_ plan: LoadPlan, on server: Child) async throws -> (said: JSONValue, cpuSeconds: Double) {
        runs += 1
        var plan = plan
        plan.run = runs
        func cpu() -> Double {
            server.pid.map { ProcessTable.usage(of: $0).values.reduce(0) { $0 + $1.cpuSeconds } } ?? 0
        }
        let before = cpu()
        let reason = try await Child.run(program(plan))
        guard reason == "exit code 0", let said = told(plan) else {
            throw BenchError("the generator failed (\(reason)): \(contents(log(plan)) ?? "")")
        }
        return (said, cpu() - before)
    }

    private func log(_ plan: LoadPlan) -> String { "\(directory)/generator-\(plan.run).txt" }

    /// The generator's last line.
    private func told(_ plan: LoadPlan) -> JSONValue? {
        let lines = (contents(log(plan)) ?? "").split(separator: "\n")
        return lines.last { $0.hasPrefix("{") }.flatMap { try? JSONValue(parsing: Array($0.utf8)) }
    }

    /// Once a second until all is delivered, or nothing moves any more.
    private func follow(
        _ name: String, _ plan: LoadPlan, _ generator: Child, _ fanOut: Int, _ patience: Double, _ start: UInt64,
        _ result: inout ScenarioResult
    ) async throws {
        var lastProgress = start
        var lastDelivered = -1
        while true {
            try await Task.sleep(for: .milliseconds(1_000))
            let now = EventLoop.monotonicNanoseconds()
            let said = told(plan)
            let delivered = try await arrivals()["delivered"]?.integer ?? 0
            let moment = Moment(
                seconds: Double(now - start) / 1e9, sent: said?["sent"]?.integer ?? 0,
                accepted: said?["accepted"]?.integer ?? 0, delivered: delivered)
            result.course.append(moment)
            say(
                "\(name): \(Int(moment.seconds)) s, \(moment.sent) sent, \(moment.accepted) accepted, \(delivered) delivered"
            )
            if delivered != lastDelivered || generator.endReason == nil { lastProgress = now }
            lastDelivered = delivered
            guard let reason = generator.endReason else { continue }
            guard reason == "exit code 0" else {
                throw BenchError("the generator failed (\(reason)): \(contents(log(plan))?.suffix(2_000) ?? "")")
            }
            let isComplete = delivered >= moment.accepted * fanOut
            if isComplete || Double(now - lastProgress) / 1e9 > patience { return }
        }
    }

    private func finish(_ plan: LoadPlan, _ result: inout ScenarioResult) throws {
        guard let said = told(plan), said["latency"] != nil else { throw BenchError("the generator said nothing") }
        result.sent = said["sent"]?.integer ?? 0
        result.accepted = said["accepted"]?.integer ?? 0
        result.acknowledgement = Percentiles(said["latency"])
        result.seconds = said["seconds"]?.number ?? 0
        if case .object(let refused)? = said["refused"] {
            for (status, count) in refused.members {
                result.refused[status == "0" ? "no answer" : status] = count.integer
            }
        }
        result.processes = [
            ProcessShare(name: "load generator", cpuSeconds: said["cpu_seconds"]?.number ?? 0, memoryBytes: 0)
        ]
    }

    /// Events that were accepted and have not come.
    private func lost(_ plan: LoadPlan) async throws -> Int {
        let missing = try await tellReceiver(.get, "/missing?first=\(plan.firstNumber)&events=\(plan.events)")
        let unaccepted = Set(told(plan)?["unaccepted"]?.elements?.compactMap(\.integer) ?? [])
        return (missing?["missing"]?.elements?.compactMap(\.integer) ?? []).count { !unaccepted.contains($0) }
    }

    /// Waits until a counter of a service has grown by `more`, and says what that took. The service stands still before.
    func count(_ name: String, _ what: String, _ counter: String, of service: String, more: Int) async throws
        -> ScenarioResult
    {
        var result = ScenarioResult(name: name, what: what)
        let before = meter()
        let start = EventLoop.monotonicNanoseconds()
        system.freeze(service, false)
        let first = try await system.metric(counter, of: service) ?? 0
        try await self.await(counter) { [self] in
            result.events = Int((try await system.metric(counter, of: service) ?? 0) - first)
            return result.events >= more
        }
        result.seconds = Double(EventLoop.monotonicNanoseconds() - start) / 1e9
        charge(before, meter(), &result)
        return result
    }

    // MARK: More dispatchers

    /// Starts so many beside the system's own, with its environment.
    func startDispatchers(_ count: Int) async throws {
        guard let pid = system.pids(of: "webhook-dispatcher").first else { throw BenchError("no dispatcher runs") }
        var environment: [String: String] = [:]
        for entry in (contents("/proc/\(pid)/environ") ?? "").split(separator: "\0") where entry.hasPrefix("MARTLET_") {
            let parts = entry.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { environment[String(parts[0])] = String(parts[1]) }
        }
        while dispatchers.count < count {
            environment["MARTLET_DISPATCHER_LISTEN"] = "127.0.0.1:\(try unusedPort())"
            dispatchers.append(
                try await Child(
                    ChildProgram(
                        name: "dispatcher", executable: "\(programs)/webhook-dispatcher", environment: environment,
                        log: "\(directory)/dispatcher-\(dispatchers.count).txt")))
        }
        // A join, an assignment, and the first fetches.
        try await Task.sleep(for: .seconds(8))
        for (index, dispatcher) in dispatchers.enumerated() {
            guard let reason = dispatcher.endReason else { continue }
            throw BenchError(
                "a dispatcher ended (\(reason)): \(contents("\(directory)/dispatcher-\(index).txt") ?? "")")
        }
    }

    /// All of them stand still, or go on.
    func freezeDispatchers(_ isFrozen: Bool) {
        system.freeze("webhook-dispatcher", isFrozen)
        for dispatcher in dispatchers { dispatcher.signal(isFrozen ? SIGSTOP : SIGCONT) }
    }

    func stopDispatchers() async {
        for dispatcher in dispatchers { await dispatcher.stop(within: .seconds(45)) }
        dispatchers = []
    }

    /// CPU seconds that each has used so far, the system's own first.
    func cpuOfDispatchers() -> [Double] {
        let others = dispatchers.map { dispatcher in
            dispatcher.pid.map { ProcessTable.usage(of: $0).values.reduce(0) { $0 + $1.cpuSeconds } } ?? 0
        }
        return [system.usage()["webhook-dispatcher"]?.cpuSeconds ?? 0] + others
    }

    // MARK: CPU

    private struct Meter {
        var usage: [String: Usage]
        var machine: Double
    }

    private func meter() -> Meter {
        var usage = system.usage()
        for dispatcher in dispatchers {
            for more in dispatcher.pid.map(ProcessTable.usage(of:))?.values.map({ $0 }) ?? [] {
                usage["webhook-dispatcher", default: Usage()].cpuSeconds += more.cpuSeconds
                usage["webhook-dispatcher", default: Usage()].memoryBytes += more.memoryBytes
            }
        }
        if let pid = receiver.pid { usage.merge(ProcessTable.usage(of: pid).map { ("receiver", $0.value) }) { $1 } }
        return Meter(usage: usage, machine: ProcessTable.machineSeconds())
    }

    private func charge(_ before: Meter, _ after: Meter, _ result: inout ScenarioResult) {
        for (name, usage) in after.usage.sorted(by: { $0.key < $1.key }) {
            result.processes.append(
                ProcessShare(
                    name: name, cpuSeconds: usage.cpuSeconds - (before.usage[name]?.cpuSeconds ?? 0),
                    memoryBytes: usage.memoryBytes))
        }
        result.machineSeconds = after.machine - before.machine
    }
}
