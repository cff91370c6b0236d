import Testing

@testable import Simulation

/// What does not notice a broken rule tests nothing.
@Suite struct MutationTests {
    /// How many worlds it may take.
    private static let most: UInt64 = 1_000

    /// But for those that have steps of their own.
    private static let mutations = Mutation.allCases.filter { mutation in
        !MendedTests.cases.contains { $0.mutation == mutation }
    }

    @Test(arguments: mutations) func isNoticed(_ mutation: Mutation) throws {
        let failing = (1...Self.most).lazy.map { Trial(seed: $0, mutation: mutation).run() }.first { $0.failure != nil }
        let report = try #require(failing, "nobody noticed \(mutation) in \(Self.most) worlds")
        print("\(mutation): noticed with seed \(report.seed): \(report.failure?.what ?? "")")
    }

    @Test func aFailureShrinksToWhatItNeedsAndTellsItsStory() throws {
        let trial = try #require(
            (1...Self.most).lazy.map { Trial(seed: $0, mutation: .commitsPosition) }.first { $0.run().failure != nil })
        let before = try #require(trial.run().failure)
        let after = try #require(trial.shrunk().run(records: true).failure)
        #expect(after.isLike(before))
        #expect(after.plan.count < before.plan.count)
        #expect(after.history.last?.contains("BROKEN: \(after.what)") == true)
        // What is left is needed: without any one step it is another world.
        #expect(after.plan.count >= 1)
        #expect(after.text.contains(after.plan[0]))
    }
}
