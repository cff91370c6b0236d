import Testing

@testable import Simulation

/// What failed once, in its smallest form. Steps, not seeds alone: what a seed means changes with the code.
@Suite struct MendedTests {
    struct Case: Sendable, CustomTestStringConvertible {
        /// What was wrong.
        var testDescription: String
        /// Brings it back.
        var mutation: Mutation
        var endpoint: Behaviour
        var steps: [Scenario.Step]
    }

    static let cases = [
        Case(
            testDescription: "a commit that failed was not made again while nothing else was settled",
            mutation: .commitOnce, endpoint: .well,
            steps: [
                .init(at: 4_909, action: .events(partition: 0, type: 0, count: 1)),
                .init(at: 4_979, action: .kafkaDown(ms: 11_704)),
            ]),
        Case(
            testDescription: "who was told to stop while it gave partitions back did not wait for their requests",
            mutation: .releaseUnordered, endpoint: .slow(ms: 900),
            steps: [
                .init(at: 2_631, action: .stop(.dispatcher, 0, backAfterMs: 353)),
                .init(at: 3_607, action: .events(partition: 0, type: 0, count: 1)),
                .init(at: 4_172, action: .stop(.dispatcher, 1, backAfterMs: 2_506)),
            ]),
    ]

    private func broken(_ seed: UInt64, _ mended: Case, _ mutation: Mutation?) -> String? {
        var scenario = Scenario(seed: seed)
        scenario.figures.partitions = 1
        scenario.figures.dispatchers = 2
        scenario.webhooks = [SimulatedWebhook(id: "wh_0", types: [0], limit: 1, behaviour: mended.endpoint)]
        scenario.steps = mended.steps
        let world = World(scenario, mutation: mutation, traces: false)
        world.run()
        return world.broken?.what
    }

    @Test(arguments: cases) func itStaysMended(_ mended: Case) {
        for seed in 1...60 as ClosedRange<UInt64> {
            let what = broken(seed, mended, nil)
            #expect(what == nil, "seed \(seed)")
        }
    }

    @Test(arguments: cases) func itWouldBeNoticed(_ mended: Case) {
        #expect((1...60).contains { broken($0, mended, mended.mutation) != nil })
    }
}
