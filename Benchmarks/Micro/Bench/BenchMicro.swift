import EventLoops
import Flags

/// Measures the hot paths: nanoseconds of CPU and allocations for each operation.
struct BenchMicro: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure the hot paths: CPU time and allocations of one operation each.",
        discussion:
            "More allocations than the thresholds allow, or a wrong result, end it with code 1; times are only compared. "
            + "Nanoseconds are CPU time of the one thread, the median of the rounds.")

    @Flag(help: "One round each: for the allocations alone.") var allocations = false
    @Option(help: "Rounds of each benchmark.") var rounds = 7
    @Flag(help: "Only say what is measured.") var list = false
    @Option(help: "Only benchmarks with so many webhooks at most.") var webhooks = 1_000_000
    @Option(help: "Only benchmarks whose name begins so.") var only = ""
    @Option(help: "Write the figures to this file as JSON.") var json: FilePath?
    @Option(help: "Compare with this file, instead of the one in the checkout.") var thresholds: FilePath?

    func validate() throws {
        guard (1...1_000).contains(rounds) else {
            throw ValidationError("--rounds must be 1 to 1000, and is \(rounds)")
        }
    }

    func run() async throws {
        let chosen = Benchmark.all.filter { $0.name.hasPrefix(only) && $0.webhooks <= webhooks }
        guard !chosen.isEmpty else { throw ValidationError("no benchmark is named like that") }
        if list { return chosen.forEach { print($0.name) } }
        let run = MicroRun(
            benchmarks: chosen, rounds: allocations ? 1 : rounds, json: json?.path, thresholds: thresholds?.path)
        // On a thread of its own, where nothing else runs.
        let failures = try await withCheckedThrowingContinuation { continuation in
            NativeThread.start(name: "bench") { continuation.resume(with: Result { try run.measureAll() }) }
        }
        for failure in failures { print("✘ \(failure)") }
        guard failures.isEmpty else { throw ExitCode.failure }
    }
}
