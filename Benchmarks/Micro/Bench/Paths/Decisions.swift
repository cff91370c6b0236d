import Delivering

/// What a worker decides before and after a request.
let decisionBenchmarks: [Benchmark] = [
    Benchmark("gate/success", operations: 50_000) { gated(.success, failureRatio: 0.7, admits: { $0 }) },
    // Failures are counted by the breaker too, which never opens here.
    Benchmark("gate/failure", operations: 50_000) {
        gated(.failure(overloaded: false), failureRatio: .infinity, admits: { $0 })
    },
    // It opens after ten failures and stays so: nothing passes any more.
    Benchmark("gate/open", operations: 50_000) {
        gated(.failure(overloaded: false), failureRatio: 0.7, admits: { min($0, 10) })
    },
    Benchmark("retry/delivered", operations: 50_000) {
        decided(.answered(status: 204, retryAfter: nil)) { _ in 0 }
    },
    Benchmark("retry/failed", operations: 50_000) {
        // 5 s, 10 s … 320 s, each without jitter, as `random` is in the middle.
        decided(.answered(status: 503, retryAfter: nil)) { 5_000 << UInt64($0 % 8) }
    },
    Benchmark("retry/timeout", operations: 50_000) { decided(.failed(.timeout)) { 5_000 << UInt64($0 % 8) } },
]

private func gated(
    _ report: GateReport, failureRatio: Double, admits: @escaping (Int) -> Int
) -> Benchmark.Work {
    let breaker = BreakerRules(
        failureRatio: failureRatio, window: 300_000_000_000, minimumRequests: 10, openFor: 30_000_000_000, probes: 3)
    let rules = GateRules(maxInFlight: 256, breaker: breaker)
    return Benchmark.Work(
        run: { count in
            var gate = WebhookGate()
            var admitted: UInt64 = 0
            for number in 0..<count {
                let now = UInt64(number) * 10_000
                guard case .admitted(let permit) = gate.admit(rules, now: now) else { continue }
                admitted += 1
                _ = gate.ended(permit, report, rules, now: now + 5_000, nowMs: 1_795_000_000_000)
            }
            return admitted
        }, expected: { UInt64(admits($0)) })
}

/// What a request's end means, and when it is tried again.
private func decided(_ end: RequestEnd, delay: @escaping (Int) -> UInt64) -> Benchmark.Work {
    let rules = ClassificationRules.standard
    let policy = RetryPolicy(
        initialDelayMs: 5_000, multiplier: 2, maxDelayMs: 3_600_000, maxRetries: 12, jitter: 0.2)
    return Benchmark.Work(
        run: { count in
            var total: UInt64 = 0
            for number in 0..<count {
                let next = policy.next(
                    after: rules.classify(end).verdict, attempt: number % 8 + 1, parkedBefore: 0, retryAfterMs: nil,
                    random: 0.5)
                if case .again(let delayMs, _) = next { total += UInt64(delayMs) }
            }
            return total
        }, expected: { (0..<$0).reduce(UInt64(0)) { $0 + delay($1) } })
}
