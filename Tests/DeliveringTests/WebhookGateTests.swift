import Testing

@testable import Delivering

private let second: UInt64 = 1_000_000_000

@Suite struct WebhookGateTests {
    private let breaker = BreakerRules(
        failureRatio: 0.7, window: 300 * second, minimumRequests: 10, openFor: 30 * second, probes: 3)

    private func rules(_ change: (inout GateRules) -> Void = { _ in }) -> GateRules {
        var rules = GateRules(maxInFlight: 64, breaker: breaker)
        change(&rules)
        return rules
    }

    private var unbreakable: GateRules { rules { $0.breaker.failureRatio = 2 } }

    private func admit(_ gate: inout WebhookGate, _ rules: GateRules, _ now: UInt64 = 0) -> WebhookGate.Permit? {
        guard case .admitted(let permit) = gate.admit(rules, now: now) else { return nil }
        return permit
    }

    private func hold(_ gate: inout WebhookGate, _ rules: GateRules, _ now: UInt64 = 0) -> WebhookHold? {
        guard case .held(let hold, _) = gate.admit(rules, now: now) else { return nil }
        return hold
    }

    /// As many requests as may run, all with the same end. Returns how many there were.
    private func round(_ gate: inout WebhookGate, _ rules: GateRules, _ report: GateReport, at now: UInt64 = 0) -> Int {
        var permits: [WebhookGate.Permit] = []
        while let permit = admit(&gate, rules, now) { permits.append(permit) }
        for permit in permits { _ = gate.ended(permit, report, rules, now: now, nowMs: 0) }
        return permits.count
    }

    // MARK: Limit

    @Test func theLimitIsHalvedOncePerRoundAndGrowsByOne() {
        var gate = WebhookGate()
        let overloaded = (0..<9).map { _ in round(&gate, unbreakable, .failure(overloaded: true)) }
        #expect(overloaded == [64, 32, 16, 8, 4, 2, 1, 1, 1])
        let recovering = (0..<140).map { _ in round(&gate, unbreakable, .success) }
        #expect(zip(recovering, recovering.dropFirst()).allSatisfy { $0 <= $1 && $1 <= $0 + 1 }, "\(recovering)")
        #expect(recovering.first == 1 && recovering.last == 64)
    }

    @Test func otherFailuresAndEndsThatSayNothingLeaveTheLimitAlone() {
        var gate = WebhookGate()
        #expect(round(&gate, unbreakable, .failure(overloaded: false)) == 64)
        #expect(round(&gate, unbreakable, .nothing) == 64)
        #expect(round(&gate, unbreakable, .success) == 64 && gate.running == 0)
    }

    /// A success among few requests does not show that the endpoint could take more.
    @Test func theLimitDoesNotGrowWithoutBeingUsed() {
        var gate = WebhookGate()
        for _ in 0..<2 { _ = round(&gate, unbreakable, .failure(overloaded: true)) }
        for _ in 0..<1_000 {
            let permit = admit(&gate, unbreakable)
            _ = gate.ended(permit!, .success, unbreakable, now: 0, nowMs: 0)
        }
        #expect(gate.limit(unbreakable) == 16)
    }

    @Test func aWebhooksOwnMaximumHoldsAtOnce() {
        var gate = WebhookGate()
        let permits = (0..<64).compactMap { _ in admit(&gate, rules()) }
        #expect(permits.count == 64 && hold(&gate, rules()) == .busy)
        let smaller = rules { $0.maxInFlight = 2 }
        for permit in permits.dropLast(2) { _ = gate.ended(permit, .success, smaller, now: 0, nowMs: 0) }
        #expect(gate.running == 2 && hold(&gate, smaller) == .busy)
        _ = gate.ended(permits[62], .success, smaller, now: 0, nowMs: 0)
        #expect(admit(&gate, smaller) != nil)
    }

    // MARK: Rate

    @Test(arguments: [UInt32(1), 7, 50, 1_000]) func theRateHoldsHoweverOftenItIsAsked(rate: UInt32) {
        var gate = WebhookGate()
        let limited = unbreakable.with { ($0.ratePerSecond, $0.maxInFlight) = (rate, 10_000) }
        var started = 0
        // 10 s in steps of 7 ms, which no rate here divides.
        for step in 0..<UInt64(1_429) {
            while let permit = admit(&gate, limited, 5 * second + step * 7_000_000) {
                started += 1
                _ = gate.ended(permit, .success, limited, now: 0, nowMs: 0)
            }
        }
        let room = max(1, Int(rate) / 10)
        #expect((Int(rate) * 10 - 1...Int(rate) * 10 + room).contains(started), "\(started)")
        #expect(hold(&gate, limited, 5 * second) == .rateLimited)
    }

    @Test func whatTheBreakerRefusesCostsNoToken() {
        var gate = WebhookGate()
        let limited = rules { $0.ratePerSecond = 100 }
        for _ in 0..<10 {
            _ = gate.ended(admit(&gate, limited)!, .failure(overloaded: false), limited, now: 0, nowMs: 0)
        }
        for _ in 0..<1_000 { #expect(hold(&gate, limited, second) == .breakerOpen) }
        for _ in 0..<3 { #expect(admit(&gate, limited, 31 * second) != nil) }
        for _ in 0..<1_000 { #expect(hold(&gate, limited, 31 * second) == .breakerOpen) }
    }

    // MARK: Pause and breaker

    @Test func aPausedWebhookGetsNothingWhateverElseHolds() {
        var gate = WebhookGate()
        #expect(hold(&gate, rules { $0.isPaused = true }) == .paused)
        #expect(admit(&gate, rules()) != nil)
    }

    @Test func anOpenBreakerSaysUntilWhen() {
        var gate = WebhookGate()
        var news: [GateNews] = []
        for now in 0..<10 {
            let permit = admit(&gate, rules(), UInt64(now) * second)
            news.append(gate.ended(permit!, .failure(overloaded: true), rules(), now: UInt64(now) * second, nowMs: 0))
        }
        #expect(news.dropLast().allSatisfy { $0 == GateNews() })
        #expect(news[9].isOpen == true && news[9].failingSince == 0)
        guard case .held(.breakerOpen, let until) = gate.admit(rules(), now: 20 * second) else {
            Issue.record("admitted")
            return
        }
        #expect(until == 39 * second)
    }

    // MARK: What is told

    /// One request a minute, each with its end: `-` failed, `+` succeeded, `0` said nothing. Too few to open the breaker.
    @Test(arguments: [
        ("------", "....f0f0"), ("-----+", "....f0r"), ("+----+", "......"),
        ("-+-----", "......f2"), ("--0---", "....f0f0"),
        // Told again until the registry has heeded it, and for each stretch of failures.
        ("---------", "....f0f0f0f0f0"), ("------+------", "....f0f0r.....f7f7"),
    ])
    func lastingFailureAndItsEndAreTold(ends: String, told: String) {
        var gate = WebhookGate()
        let rules = rules { ($0.breaker.minimumRequests, $0.breaker.window) = (1_000, 240 * second) }
        var heard = ""
        for (minute, end) in ends.enumerated() {
            let now = UInt64(minute) * 60 * second
            let report: GateReport = end == "-" ? .failure(overloaded: false) : end == "+" ? .success : .nothing
            let news = gate.ended(admit(&gate, rules, now)!, report, rules, now: now, nowMs: 0)
            heard += news.failingSince.map { "f\($0 / second / 60)" } ?? (news.hasRecovered ? "r" : ".")
        }
        // The table's dots only make it readable.
        #expect(heard.filter { $0 != "." } == told.filter { $0 != "." })
    }

    @Test func theFirstSuccessOfAnyProcessAfterAReportEndsIt() {
        var gate = WebhookGate()
        let reported = rules { $0.reportedFailing = 1_000 }
        func end(_ report: GateReport, _ rules: GateRules) -> GateNews {
            gate.ended(admit(&gate, rules)!, report, rules, now: 0, nowMs: 0)
        }
        #expect(end(.success, rules()) == GateNews())
        #expect(end(.success, reported).hasRecovered)
        // The table still says so for a moment.
        #expect(!end(.success, reported).hasRecovered)
        #expect(end(.success, rules { $0.reportedFailing = 2_000 }).hasRecovered)
    }

    /// The registry knows that it fails; it is told again once that has lasted too long, and only then.
    @Test func tooLongAFailureIsToldAgain() {
        var gate = WebhookGate()
        let rules = rules {
            ($0.breaker.minimumRequests, $0.reportedFailing, $0.disableAfterMs) = (1_000, 1_000, 100_000)
        }
        func fail(_ seconds: UInt64, _ rules: GateRules) -> Bool {
            let permit = admit(&gate, rules, seconds * second)
            let news = gate.ended(
                permit!, .failure(overloaded: false), rules, now: seconds * second, nowMs: Int64(seconds) * 1_000)
            return news.failingSince != nil
        }
        #expect([10, 50, 100].map { fail($0, rules) } == [false, false, false])
        #expect([101, 102, 160, 161].map { fail($0, rules) } == [true, false, false, true])
        var forEver = rules
        forEver.disableAfterMs = 0
        #expect(!fail(10_000, forEver))
    }

    @Test func aChangedWebhookStartsAfresh() {
        var gate = WebhookGate()
        let old = (0..<20).compactMap { _ in admit(&gate, rules()) }
        for permit in old.prefix(10) { _ = gate.ended(permit, .failure(overloaded: true), rules(), now: 0, nowMs: 0) }
        #expect(hold(&gate, rules()) == .breakerOpen)
        gate.reset()
        #expect(gate.breakerState == .closed && gate.limit(rules()) == 64 && gate.running == 10)
        for permit in old.suffix(10) {
            #expect(gate.ended(permit, .failure(overloaded: true), rules(), now: 0, nowMs: 0) == GateNews())
        }
        #expect(gate.running == 0 && gate.limit(rules()) == 64 && gate.breakerState == .closed)
    }
}

extension GateRules {
    fileprivate func with(_ change: (inout GateRules) -> Void) -> GateRules {
        var rules = self
        change(&rules)
        return rules
    }
}
