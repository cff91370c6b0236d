import Testing

@testable import Simulation

@Suite struct SeedTests {
    /// `make simulate` runs many more of them, optimized.
    @Test func everySeedIsClean() async {
        let reports = await Self.reports(1..<201)
        for report in reports where report.failure != nil {
            let failure = Trial(seed: report.seed).shrunk().run(records: true).failure
            Issue.record("seed \(report.seed): \(failure?.text ?? "")")
        }
        let events = reports.reduce(0) { $0 + $1.steps }
        let repeated = reports.reduce(0) { $0 + $1.repeatedRequests }
        let fired = reports.reduce(0) { $0 + $1.firedAgain }
        let deliveries = reports.reduce(0) { $0 + $1.deliveries }
        print(
            "simulated: \(reports.count) worlds, \(events) events, \(deliveries) deliveries, 0 lost, \(repeated) requests repeated, "
                + "\(fired) fired again")
        #expect(repeated > 0 && fired > 0, "worlds in which nothing is ever repeated have no faults in them")
    }

    /// On two threads.
    private static func reports(_ seeds: Range<UInt64>) async -> [Trial.Report] {
        await withTaskGroup(of: [Trial.Report].self) { group in
            for half in [UInt64(0), 1] {
                group.addTask { seeds.filter { $0 % 2 == half }.map { Trial(seed: $0).run() } }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
    }

    @Test func theSameSeedIsTheSameWorld() {
        for seed in [3, 17, 29] as [UInt64] {
            let worlds = [false, true].map { _ in
                let world = World(Scenario(seed: seed), mutation: nil, traces: true)
                world.run()
                return world
            }
            #expect(worlds[0].timeline.steps == worlds[1].timeline.steps)
            #expect(worlds[0].history.map(\.text) == worlds[1].history.map(\.text))
        }
    }
}
