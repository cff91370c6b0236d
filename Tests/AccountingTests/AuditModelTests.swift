import TestSupport
import Testing

@testable import Accounting

@Suite struct AuditModelTests {
    /// Audits at any moment, with the system at work between any two questions, accuse nobody.
    @Test func aSystemAtWorkIsNeverAccused() {
        var (audits, suspected, crashes, repeats) = (0, 0, 0, 0)
        for seed in 0..<200 as Range<UInt64> {
            var world = AuditWorld(seed: seed)
            var random = SplitMix64(seed: seed &+ 1_000)
            for _ in 0..<12 {
                for _ in 0..<random.below(120) { world.step() }
                let found = world.audit { world in for _ in 0..<random.below(25) { world.step() } }
                audits += 1
                suspected += found.suspected
                #expect(found.missing == [], "seed \(seed)")
            }
            world.settle()
            let atRest = world.audit()
            #expect(atRest.missing == [] && world.truth == [], "seed \(seed)")
            crashes += world.crashes
            repeats += world.repeats
        }
        #expect(suspected > 0)
        print(
            "audit of systems at work: \(audits) in 200 worlds, \(crashes) crashes, \(repeats) repeats found, "
                + "\(suspected) suspicions, 0 accusations")
    }

    @Test(arguments: AuditWorld.Loss.allCases) func whatIsLostIsFoundAndNothingElse(loss: AuditWorld.Loss) {
        var (broken, found) = (0, 0)
        for seed in 0..<150 as Range<UInt64> {
            var world = AuditWorld(seed: seed)
            for _ in 0..<300 { world.step() }
            world.loss = loss
            for _ in 0..<300 { world.step() }
            world.loss = nil
            world.settle()
            broken += world.lost
            let told = world.audit().missing
            // A rule that was broken may have done no harm: a crash came, and all was done again.
            #expect(told == world.truth, "seed \(seed)")
            found += told.count
        }
        #expect(found > 50)
        print("audit, \(loss): a rule broken in \(broken) worlds, \(found) losses, each found, and nothing else")
    }
}
