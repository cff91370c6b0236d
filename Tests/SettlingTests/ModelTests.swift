import TestSupport
import Testing

@testable import Settling

/// The dispatcher's protocol under random interleavings: several owners, crashes between any two steps, lost and late
/// acknowledgements, rebalances, gaps. Each seed is one world; a failure names it.
@Suite struct ModelTests {
    @Test func tenThousandWorldsHold() throws {
        var repeated = 0
        var faults = 0
        for seed in UInt64(0)..<10_000 {
            let world = try run(seed: seed, mutation: .none)
            repeated += world.requests.values.reduce(0) { $0 + $1 - 1 }
            faults += world.faults
        }
        print(
            "settling model: 10000 seeds, \(repeated) requests repeated over \(faults) crashes and takeovers, bound 3")
        #expect(repeated > 1_000, "the model's faults repeat nothing: it tests nothing")
    }

    /// A rule left out is noticed within a few hundred worlds.
    @Test(arguments: Mutation.allCases.filter { $0 != .none }) func aBrokenRuleIsNoticed(mutation: Mutation) {
        let noticed = (UInt64(0)..<3_000).first { seed in
            do {
                _ = try run(seed: seed, mutation: mutation)
                return false
            } catch {
                return true
            }
        }
        #expect(noticed != nil, "\(mutation) left out, and nobody noticed")
        if let noticed { print("settling model: without \(mutation) seed \(noticed) fails") }
    }

    private func run(seed: UInt64, mutation: Mutation) throws -> World {
        do {
            var simulation = try Simulation(seed: seed, mutation: mutation)
            return try simulation.run()
        } catch {
            throw Broken("seed \(seed): \(error)")
        }
    }
}

/// One world's course: faults at first, then none until it rests.
private struct Simulation {
    private var world: World
    private var owner: Owner
    private var zombies: [Owner] = []

    init(seed: UInt64, mutation: Mutation) throws {
        // In every fourth world the webhooks change between owners.
        world = World(seed: seed, mutation: mutation, remaps: seed % 4 == 3)
        world.generation = 1
        owner = try Owner(&world)
    }

    mutating func run() throws -> World {
        let total = 4 + world.random.below(10)
        var steps = 40 + world.random.below(360)
        while steps > 0 || world.events.count < total {
            steps -= 1
            try step(total: total, faults: steps > 0)
        }
        try settle()
        try world.check()
        return world
    }

    private mutating func step(total: Int, faults: Bool) throws {
        switch world.random.below(1_000) {
        case ..<100: if world.events.count < total { world.publishEvent() }
        case ..<150: _ = world.fireRetry()
        case ..<190: try deliverCommit()
        case ..<205: if faults { try changeOwner() }
        case ..<300:
            guard !zombies.isEmpty else { return }
            let index = world.random.below(zombies.count)
            try zombies[index].step(&world)
            if world.random.chance(3) { zombies.remove(at: index) }
        default: try owner.step(&world)
        }
    }

    /// A commit under way arrives. One from before a rebalance may have been sent with the new generation: Kafka does not
    /// check who owns the partition.
    private mutating func deliverCommit() throws {
        guard !world.pendingCommits.isEmpty else { return }
        let commit = world.pendingCommits.remove(at: world.random.below(world.pendingCommits.count))
        try world.apply(commit, late: world.random.chance(50))
    }

    private mutating func changeOwner() throws {
        switch world.random.below(100) {
        case ..<40: world.faults += 1
        case ..<75:
            world.faults += 1
            owner.isZombie = true
            zombies.append(owner)
        default:
            try owner.revoke(&world)
            owner.isZombie = true
        }
        world.generation += 1
        if world.remaps, world.random.chance(50) {
            world.table = Set([0, 1, 2].filter { _ in world.random.chance(60) }).union([world.random.below(3)])
        }
        owner = try Owner(&world)
    }

    private mutating func settle() throws {
        for _ in 0..<100_000 {
            var busy = world.fireRetry()
            for topic in 0...1 { busy = owner.fetch(&world, topic, limit: 4) || busy }
            while owner.start(&world) { busy = true }
            while owner.answer(&world) { busy = true }
            while owner.append(&world) { busy = true }
            while owner.acknowledge(&world) { busy = true }
            for topic in 0...1 { try world.apply(owner.commit(topic)) }
            if !busy { return }
        }
        throw Broken("does not come to rest")
    }
}
