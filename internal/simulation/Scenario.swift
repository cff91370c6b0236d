internal import Delivering

/// What is to happen in one world, as data that follows from its seed alone. So any part of it can be left out to see whether a failure
/// needs it.
struct Scenario {
    struct Step: CustomStringConvertible {
        /// Milliseconds since the world began.
        var at: Int64
        var action: Action

        var description: String { "\(at) ms: \(action)" }
    }

    /// A service with several instances.
    enum Service: String {
        case dispatcher, manager
    }

    enum Action {
        /// So many events of one type, at once.
        case events(partition: Int, type: Int, count: Int)
        /// Offsets without records, as an aborted transaction leaves them.
        case gap(Topic, partition: Int, count: Int)
        /// Users: of the deliveries that have been in `retries`, the one with this number.
        case retryNow(Int)
        case cancel(Int)
        case resend(Int)
        case change(webhook: Int, Change)
        case behave(webhook: Int, Behaviour)
        /// - Parameters:
        ///   - steps: it does so many things more before.
        ///   - amidWork: only those count that it does while it has something under way.
        case crash(Service, Int, steps: Int, amidWork: Bool, backAfterMs: Int64)
        /// Its process gets no time; it does not know.
        case freeze(Service, Int, ms: Int64)
        /// SIGTERM, and started again.
        case stop(Service, Int, backAfterMs: Int64)
        case clock(Service, Int, byMs: Int64, forMs: Int64)
        case kafkaDown(ms: Int64)
        case kafkaSlow(byMs: Int64, forMs: Int64)
        case acknowledgementsLost(percent: Int, forMs: Int64)
        case compaction(partition: Int, dirty: Int, dropsTombstones: Bool)
        /// Takes what nobody needs any more from `events`, `deliveries` and `attempts`.
        case retention(partition: Int)
        /// Takes so many events that were not delivered yet.
        case overrun(partition: Int, count: Int)
        case redisWiped
        case redisRestarts(afterMs: Int64, isEmpty: Bool)
        case redisLosesKey(partition: Int, key: SimulatedIndex.Key)
        case redisFull(ms: Int64)
        case redisAnswersLost(percent: Int, forMs: Int64)
    }

    enum Change {
        case disable, enable, delete, pause, resume
        case takes(type: Int)
        case takesNot(type: Int)
    }

    static let types = 3

    let seed: UInt64
    var figures: Figures
    var webhooks: [SimulatedWebhook]
    var steps: [Step]
    /// Nothing but endpoints goes wrong: then the healthy ones must not notice.
    let isCalm: Bool

    /// When everything works again.
    var healsAt: Int64 { (steps.map(\.at).max() ?? 0) + 3_000 }

    /// The numbers of the webhooks that are as they are all the time, and are never switched off by their endpoints.
    var steady: Set<Int> {
        var changed: Set<Int> = []
        for (number, webhook) in webhooks.enumerated() where webhook.behaviour == .status(410) {
            changed.insert(number)
        }
        for step in steps {
            switch step.action {
            case .change(let webhook, _), .behave(let webhook, .status(410)): changed.insert(webhook)
            default: break
            }
        }
        return Set(webhooks.indices).subtracting(changed)
    }

    /// Those whose endpoints are well all the time, too.
    var healthy: Set<Int> {
        var healthy = steady.filter { webhooks[$0].behaviour.isHealthy }
        for step in steps {
            if case .behave(let webhook, let behaviour) = step.action, !behaviour.isHealthy { healthy.remove(webhook) }
        }
        return healthy
    }

    var hasWrongClocks: Bool {
        steps.contains { if case .clock = $0.action { true } else { false } }
    }

    init(seed: UInt64) {
        self.seed = seed
        var random = Generator(seed: seed)
        isCalm = random.chance(12)
        figures = Figures(&random)
        webhooks = Self.webhooks(&random)
        steps = []
        addLoad(&random)
        if isCalm { makeRoom() } else { addFaults(&random) }
        steps.sort { $0.at < $1.at }
    }

    private static func webhooks(_ random: inout Generator) -> [SimulatedWebhook] {
        (0..<1 + random.below(4)).map { number in
            var types = Set((0..<types).filter { _ in random.chance(50) })
            if types.isEmpty { types = [0] }
            return SimulatedWebhook(
                id: "wh_\(number)", types: types, limit: 1 + random.below(4),
                ratePerSecond: random.chance(20) ? UInt32(1 + random.below(20)) : 0,
                behaviour: random.chance(50) ? .well : .random(&random))
        }
    }

    private mutating func add(_ at: Int64, _ action: Action) { steps.append(Step(at: at, action: action)) }

    // MARK: Load

    private static let firstAt: Int64 = 3_000

    private mutating func addLoad(_ random: inout Generator) {
        let duration = random.within(1_000...10_000)
        for _ in 0..<2 + random.below(20) {
            let count = random.chance(15) ? 2 + random.below(8) : 1
            add(
                Self.firstAt + random.within(0...duration),
                .events(
                    partition: random.below(figures.partitions), type: random.below(Self.types), count: count))
        }
    }

    /// So much that the endpoints that are not well cannot use up what all have in common.
    private mutating func makeRoom() {
        for number in webhooks.indices where webhooks[number].behaviour.isHealthy {
            webhooks[number].limit = 1_000
            webhooks[number].ratePerSecond = 0
        }
        let others = webhooks.filter { !$0.behaviour.isHealthy }
        let running = others.reduce(0) { $0 + $1.limit }
        figures.maxOpen = running + 20
        figures.maxHeldBytes =
            Figures.payloadBytes * (running + 100) + others.count * figures.shortQueue.bytes
    }

    // MARK: Faults

    /// Each world has some kinds of fault only, each of them often: what goes wrong in one way again and again shows more than a
    /// little of everything.
    private mutating func addFaults(_ random: inout Generator) {
        let isFocused = random.chance(40)
        let kinds = isFocused ? [random.pick(FaultKind.allCases)] : FaultKind.allCases.filter { _ in random.chance(30) }
        guard !kinds.isEmpty else { return }
        let end = max(healsAt, Self.firstAt + 4_000)
        for _ in 0..<(isFocused ? 6 : 1) + random.below(10) {
            let at = random.within(500...end)
            let kind = random.pick(kinds)
            add(at, kind.action(figures, webhooks.count, &random))
            // Some things go wrong only between two faults that are near each other.
            if random.chance(30) {
                add(at + random.within(0...1_500), random.pick(kinds).action(figures, webhooks.count, &random))
            }
        }
    }
}
