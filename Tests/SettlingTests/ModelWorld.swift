import Records
import TestSupport

@testable import Settling

/// A promise the model saw broken.
struct Broken: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A rule left out on purpose, by feeding the real code what it would see without the rule.
enum Mutation: CaseIterable {
    case none
    /// Outcomes are written beside what they name, not after it.
    case orderOfWrites
    /// Batches with settled offsets get fresh notes.
    case inheritance
    /// What `attempts` says is settled is delivered again.
    case skip
    /// Requests start without regard to what is unacknowledged.
    case bound
    /// The new owner reads `attempts` not quite to its end.
    case end
}

/// Where a delivery's record lies: a source topic, an offset in it, a webhook.
struct Key: Hashable {
    var topic: Int
    var offset: Int
    var webhook: Int
}

/// One delivery, over all its records.
struct Identity: Hashable {
    var event: Int
    var webhook: Int
}

struct Retry: Hashable {
    var identity: Identity
    var generation: Int
}

/// The logs of one partition number, the consumer group, and whoever owns it.
struct World {
    static let topics = ["events", "deliveries"]
    let mutation: Mutation
    let maxOpen = 3
    let remaps: Bool
    var random: SplitMix64
    /// nil: an offset without a record. Otherwise the webhooks that existed for it.
    var events: [[Int]?] = []
    var deliveries: [Retry] = []
    var attempts: [Outcome] = []
    var retries: [Retry] = []
    var fired = 0
    var firedBefore: Set<Retry> = []
    var committed: [Int: (offset: Int64, metadata: String)] = [:]
    var pendingCommits: [Commit] = []
    var table: Set<Int> = [0, 1, 2]
    var generation = 0
    var requests: [Key: Int] = [:]
    var faults = 0

    struct Commit {
        var topic: Int
        var point: CommitPoint
        var generation: Int
    }

    init(seed: UInt64, mutation: Mutation, remaps: Bool) {
        random = SplitMix64(seed: seed)
        self.mutation = mutation
        self.remaps = remaps
    }

    func end(_ topic: Int) -> Int { topic == 0 ? events.count : deliveries.count }

    func webhooks(_ topic: Int, _ offset: Int) -> [Int]? {
        topic == 0 ? events[offset].map { $0.filter(table.contains) } : [deliveries[offset].identity.webhook]
    }

    func identity(_ key: Key) -> Identity {
        key.topic == 0 ? Identity(event: key.offset, webhook: key.webhook) : deliveries[key.offset].identity
    }

    func generation(_ key: Key) -> Int { key.topic == 0 ? 0 : deliveries[key.offset].generation }

    mutating func publishEvent() {
        if random.chance(10) {
            events.append(nil)
        } else {
            events.append([0, 1, 2].filter { _ in random.chance(60) })
        }
    }

    /// A faultless retry-manager: what is in `retries` comes back once.
    mutating func fireRetry() -> Bool {
        guard fired < retries.count else { return false }
        defer { fired += 1 }
        if firedBefore.insert(retries[fired]).inserted { deliveries.append(retries[fired]) }
        return true
    }

    /// What the endpoint says; later generations always succeed, so that the world comes to rest.
    mutating func verdict(_ key: Key) -> Outcome.Kind {
        if generation(key) >= 2 { return .delivered }
        return [.delivered, .delivered, .failed, .parked][random.below(4)]
    }

    // MARK: Commits

    /// The broker takes a commit. A stale one is refused, unless it was sent with the new generation (`late`).
    mutating func apply(_ commit: Commit, late: Bool = false) throws {
        guard commit.generation == generation || late else { return }
        if !remaps { try checkSettled(below: commit.point.offset, topic: commit.topic) }
        committed[commit.topic] = (commit.point.offset, commit.point.metadata)
    }

    private func checkSettled(below offset: Int64, topic: Int) throws {
        let start = Int(committed[topic]?.offset ?? 0)
        guard start < Int(offset) else { return }
        let settled = Set(
            attempts.lazy.filter { $0.sourceTopic == Self.topics[topic] && $0.kind != .covered }
                .map { Key(topic: topic, offset: Int($0.sourceOffset), webhook: Int($0.webhookID)!) })
        for passed in start..<Int(offset) {
            for webhook in webhooks(topic, passed) ?? [] {
                guard settled.contains(Key(topic: topic, offset: passed, webhook: webhook)) else {
                    throw Broken("commit \(topic):\(offset) passes unsettled \(passed)/\(webhook)")
                }
            }
        }
    }

    // MARK: At the end

    func check() throws {
        if !remaps { try checkNothingLost() }
        try checkLedger()
        let repeated = requests.values.reduce(0) { $0 + $1 - 1 }
        if repeated > maxOpen * faults {
            throw Broken("\(repeated) requests repeated, \(faults) crashes or takeovers with a bound of \(maxOpen)")
        }
    }

    private func checkNothingLost() throws {
        let delivered = Set(
            attempts.filter { $0.kind == .delivered }.map {
                identity(
                    Key(
                        topic: Self.topics.firstIndex(of: $0.sourceTopic)!, offset: Int($0.sourceOffset),
                        webhook: Int($0.webhookID)!))
            })
        for (event, webhooks) in events.enumerated() {
            for webhook in webhooks ?? [] where !delivered.contains(Identity(event: event, webhook: webhook)) {
                throw Broken("lost: event \(event), webhook \(webhook)")
            }
        }
    }

    /// Each offset below the commit is covered, or has the outcomes of a whole fan-out.
    private func checkLedger() throws {
        for topic in 0...1 {
            var covered: Set<Int64> = []
            var outcomes: [Int64: (webhooks: Set<String>, fanOut: UInt32)] = [:]
            for outcome in attempts where outcome.sourceTopic == Self.topics[topic] {
                if outcome.kind == .covered {
                    for span in outcome.spans { covered.formUnion(span.first...span.last) }
                } else {
                    var entry = outcomes[outcome.sourceOffset] ?? ([], .max)
                    entry.webhooks.insert(outcome.webhookID)
                    entry.fanOut = min(entry.fanOut, outcome.fanOut)
                    outcomes[outcome.sourceOffset] = entry
                }
            }
            for offset in 0..<(committed[topic]?.offset ?? 0) where !covered.contains(offset) {
                guard let entry = outcomes[offset], entry.webhooks.count >= Int(entry.fanOut) else {
                    throw Broken("ledger: \(Self.topics[topic]) \(offset) is below the commit and not accounted for")
                }
            }
        }
    }
}
