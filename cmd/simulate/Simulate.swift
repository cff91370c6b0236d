import Flags
import Simulation

/// Runs simulated worlds, each from its seed, and tells what was seen.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the dispatcher's and the retry-manager's decisions in simulated worlds full of faults.",
        discussion:
            "A seed that fails is named with its smallest form and what became of the delivery concerned. "
            + "The same seed and code give the same world.")

    @Option(help: "How many worlds.") var seeds = 1_000
    @Option(help: "The first seed.") var from = 1
    @Option(help: "Only this seed, with everything that happened.") var seed: Int?
    @Option(help: "Break a rule on purpose, to see whether it is noticed.") var mutation: BrokenRule?
    @Option(help: "Worlds at a time.") var threads = 2

    func validate() throws {
        guard seeds > 0 else { throw ValidationError("--seeds must be 1 or more, and is \(seeds)") }
        guard from >= 0 else { throw ValidationError("--from must be 0 or more, and is \(from)") }
        guard seed.map({ $0 >= 0 }) != false else { throw ValidationError("--seed must be 0 or more") }
        guard (1...256).contains(threads) else {
            throw ValidationError("--threads must be 1 to 256, and is \(threads)")
        }
    }

    func run() async throws {
        if let seed { return try replay(UInt64(seed)) }
        var tally = Tally()
        let clock = ContinuousClock()
        let began = clock.now
        var lastSaid = began
        // In blocks, so that the first failure is that of the lowest seed whatever thread is quicker.
        let block = 64
        for start in stride(from: from, to: from + seeds, by: block) {
            let numbers = start..<min(start + block, from + seeds)
            for report in await reports(numbers) {
                tally.add(report)
                guard report.failure == nil else {
                    print(tally.text(clock.now - began))
                    return try explain(Trial(seed: report.seed, mutation: mutation?.rule))
                }
            }
            if clock.now - lastSaid > .seconds(5) {
                lastSaid = clock.now
                print(tally.text(clock.now - began))
            }
        }
        print(tally.text(clock.now - began))
    }

    private func reports(_ numbers: Range<Int>) async -> [Trial.Report] {
        let (rule, threads) = (mutation?.rule, threads)
        return await withTaskGroup(of: [Trial.Report].self) { group in
            for thread in 0..<threads {
                group.addTask {
                    stride(from: numbers.lowerBound + thread, to: numbers.upperBound, by: threads)
                        .map { Trial(seed: UInt64($0), mutation: rule).run() }
                }
            }
            return await group.reduce(into: []) { $0 += $1 }.sorted { $0.seed < $1.seed }
        }
    }

    private func replay(_ seed: UInt64) throws {
        let trial = Trial(seed: seed, mutation: mutation?.rule)
        let report = trial.run()
        guard report.failure == nil else { return try explain(trial) }
        print(
            "seed \(seed) is clean: \(report.steps) events in \(report.virtualMs) simulated ms, \(report.deliveries) deliveries, "
                + "\(report.requests) requests")
    }

    /// The smallest form of a trial that fails.
    private func explain(_ trial: Trial) throws {
        let report = trial.shrunk().run(records: true)
        print("seed \(trial.seed) fails: \(report.failure?.text ?? "")")
        let rule = mutation.map { " MUTATION=\($0.argumentText)" } ?? ""
        print("\nThe same again: make simulate SEED=\(trial.seed)\(rule)")
        throw ExitCode.failure
    }
}

/// A `Mutation` as a word.
struct BrokenRule: ExpressibleByArgument {
    let rule: Mutation

    init?(argument: String) {
        guard let rule = Mutation(rawValue: argument) else { return nil }
        self.rule = rule
    }

    var argumentText: String { rule.rawValue }
    static var choices: [String] { Mutation.allCases.map(\.rawValue) }
}
