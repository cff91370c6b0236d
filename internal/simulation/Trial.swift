/// One world from its seed, from the first event until everything in it has come to its end. The same seed and code give the same world,
/// step for step, on every machine.
public struct Trial: Sendable {
    /// What was seen.
    public struct Report: Sendable {
        public let seed: UInt64
        /// Things that happened.
        public let steps: Int
        /// How long it took in the world's own time.
        public let virtualMs: Int64
        public let deliveries: Int
        public let requests: Int
        public let repeatedRequests: Int
        public let firedAgain: Int
        public let dead: Int
        /// Events that retention took before they were delivered.
        public let lostEvents: Int
        /// The longest that a healthy endpoint waited where nothing but endpoints went wrong; nil in other worlds.
        public let worstHealthyMs: Int64?
        public let failure: Failure?
    }

    /// A promise that was seen broken.
    public struct Failure: Sendable {
        public let what: String
        public let atMs: Int64
        /// What was planned to happen, in order.
        public let plan: [String]
        /// What became of the delivery that went wrong, beside what concerned all of them; empty where it was not recorded.
        public let history: [String]
    }

    public let seed: UInt64
    public let mutation: Mutation?
    private let left: Set<Int>

    /// - Parameter mutation: a rule to be broken on purpose.
    public init(seed: UInt64, mutation: Mutation? = nil) {
        self.init(seed: seed, mutation: mutation, without: [])
    }

    private init(seed: UInt64, mutation: Mutation?, without left: Set<Int>) {
        self.seed = seed
        self.mutation = mutation
        self.left = left
    }

    private var scenario: Scenario {
        var scenario = Scenario(seed: seed)
        scenario.steps = scenario.steps.enumerated().filter { !left.contains($0.offset) }.map(\.element)
        return scenario
    }

    /// - Parameter records: whether a failure brings its history, which takes time and memory.
    public func run(records: Bool = false) -> Report {
        let world = World(scenario, mutation: mutation, traces: records)
        world.run()
        let counts = world.ledger.figures
        let failure = world.broken.map { broken in
            Failure(
                what: broken.what, atMs: broken.atMs, plan: world.scenario.steps.map(\.description),
                history: world.history.filter { $0.delivery == nil || $0.delivery == broken.delivery }
                    .map { "\($0.atMs) ms: \($0.delivery == nil ? "" : "• ")\($0.text)" })
        }
        return Report(
            seed: seed, steps: world.timeline.steps, virtualMs: world.timeline.now, deliveries: counts.deliveries,
            requests: counts.requests, repeatedRequests: counts.repeatedRequests, firedAgain: counts.firedAgain,
            dead: counts.dead, lostEvents: counts.lostEvents,
            worstHealthyMs: world.scenario.isCalm ? counts.worstHealthyMs : nil, failure: failure)
    }

    /// Of a trial that fails, one with as little in it as can be that still fails in the same way: steps are left out by halves, quarters and
    /// so on, down to single ones, as long as it goes on failing.
    public func shrunk() -> Trial {
        guard let first = run().failure else { return self }
        var best = self
        let count = Scenario(seed: seed).steps.count
        var size = max(1, (count - left.count) / 2)
        while true {
            let kept = (0..<count).filter { !best.left.contains($0) }
            var hasShrunk = false
            for start in stride(from: 0, to: kept.count, by: size) {
                let chunk = kept[start..<min(kept.count, start + size)]
                let smaller = Trial(seed: seed, mutation: mutation, without: best.left.union(chunk))
                guard let failure = smaller.run().failure, failure.isLike(first) else { continue }
                best = smaller
                hasShrunk = true
            }
            if size == 1, !hasShrunk { return best }
            size = hasShrunk && size == 1 ? 1 : max(1, size / 2)
        }
    }
}

extension Trial.Failure {
    /// Whether the same promise is broken, whatever the numbers.
    func isLike(_ other: Trial.Failure) -> Bool { what.filter(\.isLetter) == other.what.filter(\.isLetter) }

    /// All there is to read.
    public var text: String {
        """
        \(what), at \(atMs) ms
        The \(plan.count) steps that it takes:
        \(plan.map { "  \($0)" }.joined(separator: "\n"))
        What happened (• to the delivery that it is about):
        \(history.map { "  \($0)" }.joined(separator: "\n"))
        """
    }
}
