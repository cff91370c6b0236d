import Records
import Scheduling
import TestSupport
import Testing

/// The retry index's protocol under random interleavings: several owners, crashes between any two steps, members that are none any
/// more and do not know it, lost answers, an index that is wiped, loses its last steps or one of its keys, compaction at any time. Each
/// seed is one world; a failure names it, and what happened to the delivery.
@Suite struct ModelTests {
    @Test func tenThousandWorldsHold() throws {
        var sums = (fires: 0, extra: 0, faults: 0, cancelled: 0, parked: 0)
        let started = ContinuousClock.now
        for seed in UInt64(0)..<10_000 {
            let world = try run(seed: seed)
            sums.fires += world.deliveries.count
            sums.extra += world.extraFires
            sums.faults += world.faultCount
            sums.cancelled += world.cancelledCount
            sums.parked += world.parkedCount
        }
        let seconds = (ContinuousClock.now - started).components.seconds
        print(
            "scheduling model: 10000 seeds, \(sums.fires) fires, \(sums.extra) of them again over \(sums.faults) faults, "
                + "\(sums.cancelled) cancelled, \(sums.parked) waits in lanes, \(seconds) s")
        #expect(
            sums.extra > 1_000 && sums.cancelled > 1_000 && sums.parked > 10_000,
            "the model's faults repeat nothing: it tests nothing")
    }

    /// A rule left out is noticed within some thousand worlds.
    @Test(arguments: Mutation.allCases.filter { $0 != .none }) func aBrokenRuleIsNoticed(mutation: Mutation) {
        for seed in UInt64(0)..<5_000 {
            do {
                var simulation = Simulation(seed: seed, mutation: mutation)
                try simulation.run()
            } catch {
                print("scheduling model: without \(mutation) seed \(seed) fails: \(error)")
                return
            }
        }
        Issue.record("\(mutation) left out, and nobody noticed")
    }

    private func run(seed: UInt64) throws -> World {
        var simulation = Simulation(seed: seed, mutation: .none)
        do {
            try simulation.run()
            return simulation.world
        } catch {
            throw Broken(Self.story(seed: seed))
        }
    }

    /// The same world again, remembering what happens.
    private static func story(seed: UInt64) -> String {
        var simulation = Simulation(seed: seed, mutation: .none, traces: true)
        do {
            try simulation.run()
            return "seed \(seed) fails, but not again"
        } catch {
            let history = (error as? Broken)?.delivery.flatMap { simulation.world.history[$0] } ?? []
            return "seed \(seed): \(error)\n" + history.joined(separator: "\n")
        }
    }
}

/// One world's course: faults at first, then none until it rests.
private struct Simulation {
    var world: World
    private var owner: Owner
    private var zombies: [Owner] = []
    private let faultRate: Int
    private let pace: Int
    private let tempo: Int

    init(seed: UInt64, mutation: Mutation, traces: Bool = false) {
        world = World(seed: seed, mutation: mutation, traces: traces)
        owner = Owner(&world)
        faultRate = 10 + world.random.below(71)
        pace = 1 + world.random.below(6)
        tempo = 1 + world.random.below(10)
    }

    mutating func run() throws {
        let total = 2 + world.random.below(7)
        var steps = 100 + world.random.below(500)
        while steps > 0 || world.ids.count < total {
            steps -= 1
            try step(total: total)
        }
        try settle()
        try world.check()
    }

    private mutating func step(total: Int) throws {
        switch world.random.below(100) {
        case ..<5: if world.ids.count < total { world.makeDelivery() }
        case ..<14: _ = world.dispatch(faulty: true)
        case ..<22: world.now += Int64(1 + world.random.below(tempo))
        case ..<24: world.compact()
        case ..<28: if world.random.below(80) < faultRate { try fault() }
        case ..<30: if world.random.chance(40) { world.command() }
        case ..<32: try orphan()
        case ..<40:
            guard !zombies.isEmpty else { return }
            let zombie = zombies[world.random.below(zombies.count)]
            for _ in 0..<[1, 8, 40][world.random.below(3)] { try zombie.step(&world, faulty: true) }
            if zombie.core.isStopped { try bury(zombie) }
        default:
            for _ in 0..<pace { try owner.step(&world, faulty: true) }
            if owner.core.isStopped { throw Broken("the member stopped") }
        }
    }

    private mutating func bury(_ zombie: Owner) throws {
        zombies.removeAll { $0 === zombie }
        zombie.crash(&world)
    }

    private mutating func orphan() throws {
        guard !world.orphans.isEmpty else { return }
        let place = world.random.below(world.orphans.count)
        var operation = world.orphans.remove(at: place)
        if try !operation.execute(&world) { world.orphans.append(operation) }
    }

    private mutating func fault() throws {
        world.faultCount += 1
        switch world.random.below(7) {
        case 0 where world.faults.crash:
            owner.crash(&world)
            replace("crash")
        case 1 where world.faults.zombie:
            zombies.append(owner)
            replace("zombie")
        case 2 where world.faults.wipe:
            world.trace(nil, "wiped")
            world.index.wipe()
        case 3 where world.faults.rollBack:
            world.trace(nil, "rolled back")
            world.rollBack(steps: 1 + world.random.below(3))
        case 4 where world.faults.loseKey:
            world.trace(nil, "a key lost")
            switch world.random.below(3) {
            case 0: world.index.loseAt()
            case 1: world.index.loseDue()
            default: world.index.loseLanes()
            }
        case 5: try handOver()
        default: world.faultCount -= 1
        }
    }

    private mutating func replace(_ how: String) {
        owner = Owner(&world)
        world.trace(nil, "\(how): the next owner is \(owner.number)")
    }

    /// As on a revocation: what flies lands, and the partition goes to another.
    private mutating func handOver() throws {
        owner.drain()
        for _ in 0..<100 where owner.core.inFlight > 0 { try owner.step(&world, faulty: true) }
        owner.crash(&world)
        replace("handed over")
    }

    private mutating func settle() throws {
        while !zombies.isEmpty { try bury(zombies[0]) }
        while !world.orphans.isEmpty { try orphan() }
        var wakes = 0
        for round in 0..<2_000 {
            var isBusy = false
            while try work() { isBusy = true }
            if owner.core.isStopped { throw Broken("the member stopped") }
            if round % 20 == 19 { world.compact() }
            if isBusy { wakes = 0 }
            guard !isBusy else { continue }
            if world.isAtRest() {
                world.compact(all: true)
                return
            }
            guard let wake = owner.core.wakeAt else { throw Broken("nothing is to come, and it does not rest") }
            wakes = wake <= world.now ? wakes + 1 : 0
            if wakes > 1 { throw Broken("woken for nothing") }
            world.now = max(world.now + 1, wake)
        }
        try world.check()
        throw Broken("does not come to rest")
    }

    private mutating func work() throws -> Bool {
        var isBusy = false
        while owner.issue(&world) { isBusy = true }
        while try owner.execute(&world) { isBusy = true }
        while owner.hear(&world, faulty: false) { isBusy = true }
        if owner.take(&world) { isBusy = true }
        return world.dispatch(faulty: false) || isBusy
    }
}
