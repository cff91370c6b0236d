import Flags
import Glibc
import JSONScanning

/// The generator by itself: one plan, told about in JSON, a line a second and one at the end.
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Send events at a constant rate, or at one after the other (open loop).",
        discussion: """
            Prints a JSON object a second and a last one with the latencies, counted from when each request was due. A receiver \
            (`receive`) finds the numbers in the events.
            """)

    @Option(help: "event-ingestion's port on 127.0.0.1.") var port = 8082
    @Option(valueName: "list", help: "Rates in events a second and for how many seconds: 1000x10,2000x10.")
    var steps = "1000x10"
    @Option(help: "At most so many connections.") var connections = 1_024
    @Option(help: "Bytes of each event as it is sent.") var bytes = 500
    @Option(help: "Events of a request.") var batch = 1
    @Option(help: "Event types, in turn: bench.t000000, …") var types = 1
    @Option(help: "Told to the receiver in each event.") var run = 0
    @Flag(help: "Without ids of the events' own.") var noIds = false

    func validate() throws { _ = try plan() }

    func plan() throws -> LoadPlan {
        var plan = LoadPlan()
        guard let port = UInt16(exactly: port), port > 0 else { throw ValidationError("--port \(port): 1 to 65535") }
        for (name, value, range) in [
            ("connections", connections, 1...20_000), ("bytes", bytes, 200...1_000_000), ("batch", batch, 1...1_000),
            ("types", types, 1...999_999), ("run", run, 0...9_999),
        ] where !range.contains(value) {
            throw ValidationError("--\(name) \(value): \(range.lowerBound) to \(range.upperBound)")
        }
        plan.port = port
        plan.connections = connections
        plan.eventBytes = bytes
        plan.batch = batch
        plan.types = types
        plan.run = run
        plan.hasIDs = !noIds
        plan.steps = try steps.split(separator: ",").map { step in
            let parts = step.split(separator: "x").compactMap { Double($0) }
            guard parts.count == 2, parts[0] > 0, parts[1] > 0 else {
                throw ValidationError("--steps \(step): a rate and seconds, such as 1000x10")
            }
            return LoadPlan.Step(rate: parts[0], seconds: parts[1])
        }
        guard plan.events >= batch else { throw ValidationError("--steps \(steps): not one request") }
        return plan
    }

    func run() async throws {
        let plan = try plan()
        let result = try await onThread("generator") {
            try LoadGenerator(plan).run { result, waiting in
                printLine(
                    jsonText { writer in
                        writer.member("sent", result.sent)
                        writer.member("accepted", result.accepted)
                        writer.member("waiting", waiting)
                    })
            }
        }
        printLine(result.json)
    }
}

struct ReceiveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "receive", abstract: "Be every webhook's endpoint: count what arrives, misbehave when told to.")

    @Option(help: "Port on 127.0.0.1; 0: any, which is printed.") var port = 0

    func run() async throws {
        guard let port = UInt16(exactly: port) else { throw ValidationError("--port \(port): 0 to 65535") }
        try await onThread("receiver") {
            let receiver = try Receiver(port: port)
            printLine(jsonText { $0.member("port", receiver.port) })
            receiver.run()
        }
    }
}
