import Records
import Testing

@testable import Delivering

@Suite struct RetryPolicyTests {
    private let policy = RetryPolicy(
        initialDelayMs: 5_000, multiplier: 2, maxDelayMs: 3_600_000, maxRetries: 12, jitter: 0.2)

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
            initialDelayMs: 100, multiplier: 1, maxDelayMs: 100, maxRetries: 0, jitter: 0)
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
            next(policy, WebhookHold.disabled.verdict, 0, parkedBefore: parkedBefore)
                == .again(delayMs: 60_000, spent: false))
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
            initialDelayMs: 100, multiplier: 2, maxDelayMs: 20_000, maxRetries: 12, scheduleMs: [10_000, 30_000],
            jitter: 0)
        #expect(explicit.retries == 2)
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

    // MARK: A webhook's own

    private func overridden(_ system: RetryPolicy? = nil, _ change: (inout WebhookRetry) -> Void) -> RetryPolicy {
        var retry = WebhookRetry()
        change(&retry)
        return (system ?? policy).overridden(by: retry)
    }

    @Test func whatAWebhookDoesNotSayIsTheSystems() {
        #expect(policy.overridden(by: nil) == policy)
        #expect(overridden { _ in } == policy)
        var expected = policy
        expected.maxRetries = 0
        #expect(overridden { $0.maxRetries = 0 } == expected)
        expected = policy
        expected.multiplier = 3
        expected.maxDelayMs = 1_000
        let changed = overridden {
            $0.backoffMultiplier = 3
            $0.maxDelayMs = 1_000
        }
        #expect(changed == expected)
        #expect(changed.baseDelay(1) == 1_000)
    }

    @Test func eitherKindReplacesTheOther() {
        let scheduled = overridden { $0.scheduleMs = [7_000] }
        #expect(scheduled.retries == 1 && scheduled.baseDelay(1) == 7_000)
        let exponential = overridden(scheduled) { $0.maxRetries = 5 }
        #expect(exponential.retries == 5 && exponential.baseDelay(1) == 5_000)
    }

    @Test func aLongFirstDelayIsNotCutByTheSystemsLongest() {
        let patient = overridden { $0.initialDelayMs = 7_200_000 }
        #expect((1...2).map(patient.baseDelay) == [7_200_000, 7_200_000])
        #expect(overridden { $0.initialDelayMs = 1_000 }.maxDelayMs == 3_600_000)
    }

    /// The registry lets none of these through; a foreign record must not end the process.
    @Test func whatIsOutOfBoundsIsBounded() {
        let wild = overridden {
            $0.initialDelayMs = .max
            $0.backoffMultiplier = .nan
            $0.maxDelayMs = .min
            $0.maxRetries = .max
        }
        #expect(wild.maxRetries == 100 && wild.multiplier == 1)
        #expect(next(wild, .retryable(reason: "x"), 100) == .again(delayMs: 100, spent: true))
        let long = overridden { $0.scheduleMs = [.min] + Array(repeating: .max, count: 99) }
        #expect(long.retries == 50 && long.baseDelay(1) == 100)
        #expect(next(long, .retryable(reason: "x"), 50) == .again(delayMs: 604_800_000, spent: true))
    }
}
