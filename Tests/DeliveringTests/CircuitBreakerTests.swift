import Testing

@testable import Delivering

private let second: UInt64 = 1_000_000_000

@Suite struct CircuitBreakerTests {
    private let rules = BreakerRules(
        failureRatio: 0.7, window: 300 * second, minimumRequests: 10, openFor: 30 * second, probes: 3)

    /// Requests one after the other, one a second; returns the state after the last.
    private func after(_ results: String, _ rules: BreakerRules? = nil) -> CircuitBreaker {
        var breaker = CircuitBreaker()
        for (number, result) in results.enumerated() {
            let now = UInt64(number) * second
            guard let pass = breaker.pass(rules ?? self.rules, now: now) else { continue }
            _ = breaker.ended(pass, succeeded: result == "+", rules ?? self.rules, now: now)
        }
        return breaker
    }

    @Test(arguments: [
        ("---------", false), ("----------", true), ("+++-------", true), ("++++-------", false),
        // The third part of them succeeded, and then too few.
        ("++++++---------", false), ("++++++--------------", true), ("++++++++++", false),
        ("----------+", true),
    ])
    func itOpensAtTheRatioOfEnoughRequests(results: String, isOpen: Bool) {
        #expect((after(results).state != .closed) == isOpen)
    }

    @Test func aRatioAboveOneNeverOpensIt() {
        var never = rules
        never.failureRatio = 1.1
        #expect(after(String(repeating: "-", count: 1_000), never).state == .closed)
    }

    @Test func whatLiesBeforeTheWindowDoesNotCount() {
        var breaker = CircuitBreaker()
        func request(_ now: UInt64, _ succeeded: Bool) -> Bool {
            guard let pass = breaker.pass(rules, now: now) else { return false }
            return breaker.ended(pass, succeeded: succeeded, rules, now: now)
        }
        for _ in 0..<9 { #expect(!request(0, false)) }
        // Nine failures are 301 s old when the next nine come: they do not add up to ten.
        for _ in 0..<9 { #expect(!request(301 * second, false)) }
        #expect(request(302 * second, false))
    }

    @Test func halfOpenLetsSoManyProbesThroughAndNoMore() {
        var breaker = after(String(repeating: "-", count: 10))
        #expect(breaker.state == .open(until: 39 * second))
        #expect(breaker.pass(rules, now: 39 * second - 1) == nil)
        let probes = (0..<10).compactMap { _ in breaker.pass(rules, now: 39 * second) }
        #expect(probes.count == 3 && breaker.state == .halfOpen(running: 3, passed: 0))
        // One that succeeded makes no room for another: three is all that is asked of the endpoint.
        #expect(breaker.ended(probes[0], succeeded: true, rules, now: 40 * second) == false)
        #expect(breaker.pass(rules, now: 40 * second) == nil)
        // One that was not made does.
        breaker.withdraw(probes[1])
        let another = breaker.pass(rules, now: 41 * second)
        #expect(another != nil && breaker.pass(rules, now: 41 * second) == nil)
        #expect(breaker.ended(probes[2], succeeded: true, rules, now: 42 * second) == false)
        #expect(breaker.ended(another!, succeeded: true, rules, now: 43 * second) == true)
        #expect(breaker.state == .closed)
    }

    @Test func aFailedProbeOpensItAgainAndLateResultsSayNothing() {
        var breaker = after(String(repeating: "-", count: 9))
        let late = (0..<5).compactMap { _ in breaker.pass(rules, now: 9 * second) }
        #expect(breaker.ended(late[0], succeeded: false, rules, now: 10 * second) == true)
        #expect(breaker.ended(late[1], succeeded: false, rules, now: 11 * second) == false)
        #expect(breaker.state == .open(until: 40 * second))
        let probes = (0..<3).compactMap { _ in breaker.pass(rules, now: 50 * second) }
        #expect(breaker.ended(late[2], succeeded: true, rules, now: 51 * second) == false)
        #expect(breaker.ended(late[3], succeeded: false, rules, now: 51 * second) == false)
        breaker.withdraw(late[4])
        #expect(breaker.state == .halfOpen(running: 3, passed: 0))
        #expect(breaker.ended(probes[0], succeeded: false, rules, now: 52 * second) == false)
        #expect(breaker.state == .open(until: 82 * second))
        #expect(breaker.ended(probes[1], succeeded: true, rules, now: 53 * second) == false)
        #expect(breaker.state == .open(until: 82 * second))
    }
}
