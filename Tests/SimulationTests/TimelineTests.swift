import Testing

@testable import Simulation

@Suite struct TimelineTests {
    private let timeline = Timeline()

    private final class Seen {
        var words: [String] = []
    }
    private let seen = Seen()

    private func say(_ word: String, after ms: Int64, _ host: Host? = nil) {
        timeline.after(ms, host) { [seen] in seen.words.append(word) }
    }

    private func run() { while timeline.step() {} }

    @Test func whatIsPlannedHappensInOrder() {
        say("c", after: 20)
        say("a", after: 10)
        say("d", after: 20)
        say("b", after: 10)
        run()
        #expect(seen.words == ["a", "b", "c", "d"])
        #expect(timeline.now == 20 && timeline.steps == 4)
    }

    @Test func aProcessThatDiedDoesNothingMore() {
        let host = Host("h")
        timeline.start(host)
        say("before", after: 5, host)
        say("after", after: 15, host)
        timeline.after(10) { [timeline] in
            timeline.kill(host)
            timeline.start(host)
        }
        run()
        #expect(seen.words == ["before"])
    }

    @Test func anAnswerIsForWhoAsked() {
        let host = Host("h")
        timeline.start(host)
        let asked = host.incarnation
        timeline.kill(host)
        timeline.start(host)
        timeline.at(5, host, incarnation: asked) { [seen] in seen.words.append("to the one that died") }
        say("to the next", after: 5, host)
        run()
        #expect(seen.words == ["to the next"])
    }

    @Test func aFrozenProcessDoesItLater() {
        let host = Host("h")
        timeline.start(host)
        timeline.freeze(host)
        say("first", after: 5, host)
        say("second", after: 6, host)
        timeline.after(50) { [timeline] in timeline.thaw(host) }
        run()
        #expect(seen.words == ["first", "second"])
        #expect(timeline.now == 50)
    }

    @Test func aCrashComesAfterSoManyStepsMore() {
        let host = Host("h")
        timeline.start(host)
        timeline.crash(host, afterSteps: 2)
        timeline.onCountedCrash = { [timeline, seen] in
            seen.words.append("crash")
            timeline.kill($0)
        }
        for number in 1...4 { say("\(number)", after: Int64(number), host) }
        run()
        #expect(seen.words == ["1", "2", "crash"])
    }
}
