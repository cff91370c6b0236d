import Testing

@testable import Delivering

@Suite struct RetryPolicyTests {
    private let policy = RetryPolicy(
        schedule: .exponential(initialDelayMs: 5_000, multiplier: 2, maxRetries: 12), maxDelayMs: 3_600_000, jitter: 0.2
    )

    private func next(
        _ policy: RetryPolicy, _ verdict: Verdict = .retryable(reason: "x"), _ attempt: Int = 1, parkedBefore: Int = 0,
        retryAfterMs: Int64? = nil, random: Double = 0.5
    ) -> RetryPolicy.Next {
        policy.next(
            after: verdict, attempt: attempt, parkedBefore: parkedBefore, retryAfterMs: retryAfterMs, random: random)
    }

    @Test func delaysDoubleUpToTheirBound() {
        #expect(
            (1...12).map(policy.baseDelay) == [
                5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 3_600_000,
                3_600_000,
            ])
        #expect(policy.baseDelay(1_000_000) == 3_600_000)
    }

    @Test(arguments: [(0.0, Int64(4_000)), (0.5, 5_000), (0.999_999, 5_999)])
    func jitterSpreadsBothWays(random: Double, delay: Int64) {
        #expect(next(policy, random: random) == .again(delayMs: delay, spent: true))
    }

    @Test func jitterNeverPassesTheLongestDelay() {
        #expect(next(policy, .retryable(reason: "x"), 12, random: 0.9) == .again(delayMs: 3_600_000, spent: true))
    }

    @Test func itEnds() {
        #expect(next(policy, .delivered) == .delivered)
        #expect(next(policy, .retryable(reason: "x"), 12) == .again(delayMs: 3_600_000, spent: true))
        #expect(next(policy, .retryable(reason: "x"), 13) == .giveUp(reason: "attempts_exhausted"))
        #expect(next(policy, .unknown(reason: "x"), 4) == .again(delayMs: 40_000, spent: true))
        #expect(next(policy, .unknown(reason: "x"), 5) == .giveUp(reason: "attempts_exhausted"))
        #expect(next(policy, .permanent(reason: "status_410")) == .giveUp(reason: "status_410"))
    }

    @Test func noRetriesMeansOneRequest() {
        let once = RetryPolicy(
            schedule: .exponential(initialDelayMs: 100, multiplier: 1, maxRetries: 0), maxDelayMs: 100, jitter: 0)
        #expect(next(once) == .giveUp(reason: "attempts_exhausted"))
        #expect(next(once, .parked(reason: "x"), 0) == .again(delayMs: 1_000, spent: false))
    }

    /// How often before, and the delay.
    private static let parkings: [(Int, Int64)] = [
        (0, 1_000), (1, 2_000), (2, 4_000), (5, 32_000), (6, 60_000), (7, 60_000), (Int.max, 60_000), (-1, 1_000),
    ]

    @Test(arguments: parkings)
    func whatIsParkedAgainAndAgainWaitsLonger(parkedBefore: Int, delay: Int64) {
        #expect(
            next(policy, .parked(reason: "webhook_busy"), 99, parkedBefore: parkedBefore)
                == .again(delayMs: delay, spent: false))
        // Nothing is gained by asking often whether somebody has enabled it.
        #expect(
            next(policy, .webhookDisabled, 0, parkedBefore: parkedBefore) == .again(delayMs: 60_000, spent: false))
    }

    /// Asked for, attempt, delay: never before the policy's own delay, never beyond the longest one.
    private static let wishes: [(Int64, Int, Int64)] = [
        (0, 1, 5_000), (4_999, 1, 5_000), (60_000, 1, 60_000), (60_000, 6, 160_000), (3_600_001, 1, 3_600_000),
        (.max, 1, 3_600_000),
    ]

    @Test(arguments: wishes)
    func anEndpointsWishIsHonouredWithinBounds(wish: Int64, attempt: Int, delay: Int64) {
        #expect(
            next(policy, .retryable(reason: "status_429"), attempt, retryAfterMs: wish)
                == .again(delayMs: delay, spent: true))
    }

    @Test func anEndpointsWishGrantsNoFurtherAttempt() {
        #expect(
            next(policy, .retryable(reason: "status_429"), 13, retryAfterMs: 1)
                == .giveUp(reason: "attempts_exhausted"))
    }

    @Test func anExplicitScheduleIsFollowed() {
        let explicit = RetryPolicy(
            schedule: .explicit(delaysMs: [10_000, 30_000]), maxDelayMs: 20_000, jitter: 0)
        #expect(explicit.maxRetries == 2)
        // The second delay is the user's own, and holds beyond the longest one that an endpoint may ask for.
        #expect(
            (1...3).map { next(explicit, .retryable(reason: "x"), $0) } == [
                .again(delayMs: 10_000, spent: true), .again(delayMs: 30_000, spent: true),
                .giveUp(reason: "attempts_exhausted"),
            ])
        #expect(next(explicit, retryAfterMs: 60_000) == .again(delayMs: 20_000, spent: true))
        #expect(
            next(explicit, .retryable(reason: "x"), 2, retryAfterMs: 60_000) == .again(delayMs: 30_000, spent: true))
    }
}
