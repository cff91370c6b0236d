internal import Delivering
internal import Scheduling
internal import Settling

/// The figures of one world. Far smaller than a real system's, so that bounds are met often.
struct Figures {
    var partitions: Int
    var dispatchers: Int
    var managers: Int
    var isStatic: Bool
    var maxOpen: Int
    var shortQueue: ShortQueueBounds
    /// Bytes that one dispatcher holds.
    var maxHeldBytes: Int
    var batch: Int
    var cachedPayloads: Int
    var maxAgeMs: Int64
    var limits: IndexOwner.Limits
    var retries: RetryPolicy
    var requestTimeoutMs: Int64
    var breaker: BreakerRules
    /// Of each fetch.
    var fetch: Int

    static let payloadBytes = 1_000
    static let commitIntervalMs: Int64 = 250
    static let heartbeatMs: Int64 = 50
    static let revokeGraceMs: Int64 = 1_000
    static let revokeAcknowledgementMs: Int64 = 2_000
    static let drainMs: Int64 = 1_500
    static let maxSleepMs: Int64 = 3_000
    static let maxUnacknowledgedMs: Int64 = 2_000
    static let messageTimeoutMs: Int64 = 10_000
    static let retryMs: Int64 = 500
    static let rewriteMs: Int64 = 100
    static let maxReady = 64

    init(_ random: inout Generator) {
        partitions = 1 + random.below(2)
        dispatchers = 1 + random.below(3)
        managers = 1 + random.below(2)
        isStatic = random.chance(30)
        maxOpen = 2 + random.below(8)
        shortQueue = ShortQueueBounds(
            bytes: Self.payloadBytes * (1 + random.below(4)), wait: UInt64(random.within(100...1_000)) * 1_000_000)
        maxHeldBytes = Self.payloadBytes * (4 + random.below(20))
        batch = 1 + random.below(4)
        cachedPayloads = random.below(6)
        // Holds last as long as a delivery may.
        maxAgeMs = random.chance(30) ? 20_000 : 300_000
        limits = IndexOwner.Limits(leaseMs: random.within(4_000...15_000), holdMs: maxAgeMs)
        limits.checkIntervalMs = random.within(1_000...4_000)
        retries = RetryPolicy(
            initialDelayMs: random.within(50...1_000), multiplier: 2, maxDelayMs: 4_000,
            maxRetries: 2 + random.below(3),
            jitter: 0.2, maxRetriesWhenUnknown: 1 + random.below(2), parkedDelayMs: 200, maxParkedDelayMs: 3_000)
        requestTimeoutMs = random.within(300...2_000)
        limits.roundMs = requestTimeoutMs
        limits.maxAgeMs = maxAgeMs
        fetch = 1 + random.below(8)
        breaker = BreakerRules(
            failureRatio: random.chance(20) ? .infinity : 0.7,
            window: UInt64(random.within(2_000...10_000)) * 1_000_000,
            minimumRequests: 2 + random.below(6), openFor: UInt64(random.within(200...3_000)) * 1_000_000,
            probes: 1 + random.below(3))
    }

    /// Young requests at a time: fewer than the bound lets run, so that it holds some back.
    var window: Int { (maxOpen + 1) / 2 }

    var bound: CrashBound {
        CrashBound(maxOpen: maxOpen, maxAge: UInt64(Self.maxUnacknowledgedMs) * 1_000_000)
    }
}
