import Records
import TestSupport

@testable import Settling

/// One process that owns the partition for one assignment. It carries out what the real core decides; its writes reach the
/// logs, and their acknowledgements reach it, in steps of their own.
final class Owner {
    private struct Item {
        var slot: PartitionSettlement.Slot
        var fanOut: Int
        var progress = DeliveryProgress()
        var verdict = Outcome.Kind.unspecified
        var ticket: Unacknowledged.Ticket?
    }

    private enum Write {
        case retry(Key)
        case outcome(Key, Outcome.Kind)
        case coverage(topic: Int, [PartitionSettlement.Coverage])
    }

    private let generation: Int
    /// Out of the group without knowing it: its requests are limited by what a synchronous commit would still allow.
    var isZombie = false
    private var settlements: [PartitionSettlement] = []
    private var waiting: [Key] = []
    private var running: [Key] = []
    private var items: [Key: Item] = [:]
    private var produced: [Write] = []
    /// With the end of `attempts` that each one's acknowledgement will tell.
    private var inLog: [(write: Write, end: Int)] = []
    /// Per topic, what the batches' notes would be if none were inherited.
    private var freshNotes: [[(first: Int64, note: Int64)]] = [[], []]
    private var acknowledgedEnd: Int
    private let bound: CrashBound
    private let mutation: Mutation

    /// Takes the partition over, as a dispatcher does on assignment.
    init(_ world: inout World) throws {
        generation = world.generation
        mutation = world.mutation
        bound = CrashBound(maxOpen: world.mutation == .bound ? .max : world.maxOpen, maxAge: .max)
        let cut = world.mutation == .end ? world.random.below(4) : 0
        acknowledgedEnd = max(0, world.attempts.count - cut)
        for topic in 0...1 {
            let resume = Resume(
                committed: world.committed[topic], source: .init(start: 0, end: Int64(world.end(topic))),
                attempts: .init(start: 0, end: Int64(world.attempts.count)))
            var memory = SourceMemory(topic: World.topics[topic], partition: 0, committed: resume.offset)
            if resume.note < acknowledgedEnd {
                for outcome in world.attempts[Int(resume.note)..<acknowledgedEnd] {
                    memory.learn(
                        world.mutation == .skip && outcome.kind != .covered ? Self.forgotten(outcome) : outcome)
                }
            }
            settlements.append(PartitionSettlement(offset: resume.offset, note: resume.note, memory: memory))
            if resume.commitsFirst {
                try world.apply(
                    .init(topic: topic, point: .init(offset: resume.offset, note: resume.note), generation: generation))
            }
        }
    }

    /// The same outcome for a webhook that does not exist: its offset counts, what it settles does not.
    private static func forgotten(_ outcome: Outcome) -> Outcome {
        var outcome = outcome
        outcome.webhookID = "-1"
        return outcome
    }

    var isIdle: Bool { produced.isEmpty && inLog.isEmpty }

    // MARK: Steps

    func step(_ world: inout World) throws {
        let topic = world.random.below(2)
        switch world.random.below(100) {
        case ..<15: if !isZombie { fetch(&world, topic, limit: 1 + world.random.below(4)) }
        case ..<40: _ = start(&world)
        case ..<55: answer(&world)
        case ..<75: append(&world)
        case ..<90: acknowledge(&world, lost: world.random.chance(5))
        case ..<97: world.pendingCommits.append(commit(topic))
        default: try world.apply(commit(topic))
        }
    }

    @discardableResult
    func fetch(_ world: inout World, _ topic: Int, limit: Int) -> Bool {
        let end = min(world.end(topic), Int(settlements[topic].position) + limit)
        let offsets = Int(settlements[topic].position)..<end
        guard !offsets.isEmpty else { return false }
        // From its own acknowledgements, or asked for just now: both are safe.
        let attemptsEnd = Int64(world.random.chance(50) ? acknowledgedEnd : world.attempts.count)
        freshNotes[topic].append((settlements[topic].position, attemptsEnd))
        settlements[topic].openBatch(attemptsEnd: attemptsEnd)
        for offset in offsets {
            guard let webhooks = world.webhooks(topic, offset) else { continue }
            guard let slot = settlements[topic].take(offset: Int64(offset), fanOut: webhooks.count) else { continue }
            for webhook in webhooks {
                let key = Key(topic: topic, offset: offset, webhook: webhook)
                let isSettled = settlements[topic].skipIfSettled(
                    slot, offset: Int64(offset), timestamp: Int64(offset), webhook: String(webhook))
                if isSettled { continue }
                items[key] = Item(slot: slot, fanOut: webhooks.count)
                waiting.append(key)
            }
        }
        settlements[topic].skip(to: Int64(offsets.upperBound))
        let coverages = settlements[topic].closeBatch()
        if !coverages.isEmpty { produced.append(.coverage(topic: topic, coverages)) }
        return true
    }

    func start(_ world: inout World) -> Bool {
        let open = running.count + items.values.count { $0.progress.isUnacknowledged }
        guard !waiting.isEmpty, !isZombie, bound.allowsStart(open: open, oldest: nil, now: 0) else { return false }
        let key = waiting.remove(at: world.random.below(min(6, waiting.count)))
        running.append(key)
        world.requests[key, default: 0] += 1
        return true
    }

    @discardableResult
    func answer(_ world: inout World, parks: Bool = false) -> Bool {
        guard !running.isEmpty else { return false }
        let key = running.remove(at: world.random.below(running.count))
        let verdict = parks ? .parked : world.verdict(key)
        items[key]!.verdict = verdict
        let step = items[key]!.progress.decided(carriesOn: verdict != .delivered)
        write(step, key)
        // Without the order of writes the outcome does not wait for the record it names.
        if world.mutation == .orderOfWrites, step == .writeRecord { write(items[key]!.progress.acknowledged(), key) }
        return true
    }

    private func write(_ step: DeliveryProgress.Step, _ key: Key) {
        switch step {
        case .writeRecord: produced.append(.retry(key))
        case .writeOutcome: produced.append(.outcome(key, items[key]!.verdict))
        case .settle:
            settlements[key.topic].settle(items[key]!.slot)
            items[key] = nil
        }
    }

    /// Kafka takes a write. Topics do not wait for each other, so any of the first few may be it.
    @discardableResult
    func append(_ world: inout World) -> Bool {
        guard !produced.isEmpty else { return false }
        let write = produced.remove(at: world.random.below(min(3, produced.count)))
        switch write {
        case .retry(let key):
            world.retries.append(Retry(identity: world.identity(key), generation: world.generation(key) + 1))
        case .outcome(let key, let verdict): world.attempts.append(outcome(key, verdict))
        case .coverage(let topic, let coverages):
            var outcome = Outcome()
            outcome.kind = .covered
            outcome.sourceTopic = World.topics[topic]
            outcome.spans = coverages.map(\.span)
            world.attempts.append(outcome)
        }
        inLog.append((write, world.attempts.count))
        return true
    }

    private func outcome(_ key: Key, _ verdict: Outcome.Kind) -> Outcome {
        var outcome = Outcome()
        outcome.kind = verdict
        outcome.sourceTopic = World.topics[key.topic]
        outcome.sourceOffset = Int64(key.offset)
        outcome.sourceTimestampMs = Int64(key.offset)
        outcome.webhookID = String(key.webhook)
        outcome.fanOut = UInt32(items[key]?.fanOut ?? 1)
        return outcome
    }

    /// An acknowledgement arrives, in any order, or the producer gives up on it though the record is in the log.
    @discardableResult
    func acknowledge(_ world: inout World, lost: Bool = false) -> Bool {
        guard !inLog.isEmpty else { return false }
        let (write, end) = inLog.remove(at: world.random.below(min(3, inLog.count)))
        switch write {
        case .retry(let key):
            if world.mutation == .orderOfWrites { break }
            self.write(lost ? items[key]!.progress.refused() : items[key]!.progress.acknowledged(), key)
        case .outcome(let key, _):
            if !lost { acknowledgedEnd = max(acknowledgedEnd, end) }
            self.write(lost ? items[key]!.progress.refused() : items[key]!.progress.acknowledged(), key)
        case .coverage(let topic, let coverages):
            if lost {
                produced.append(write)
            } else {
                for coverage in coverages { settlements[topic].settle(coverage.slot) }
            }
        }
        return true
    }

    func commit(_ topic: Int) -> World.Commit {
        var point = settlements[topic].commitPoint()
        if mutation == .inheritance, let batch = freshNotes[topic].last(where: { $0.first <= point.offset }) {
            point.note = batch.note
        }
        return .init(topic: topic, point: point, generation: generation)
    }

    /// Everything written is in the logs and acknowledged, then the commit: how a partition is handed over.
    func revoke(_ world: inout World) throws {
        while !running.isEmpty { answer(&world, parks: world.random.chance(50)) }
        while !isIdle {
            while append(&world) {}
            while acknowledge(&world) {}
        }
        for topic in 0...1 { try world.apply(commit(topic)) }
    }
}
