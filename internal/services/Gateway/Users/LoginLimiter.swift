/// Bounds how often a password can be tried for one name from one address: a bucket of attempts each, refilled steadily. Attempts that
/// succeed are given back. Pure: the time is passed in, in monotonic nanoseconds.
///
///     10 at once, then one every 6 s: 14,400 guesses a day
struct LoginLimiter {
    struct Key: Hashable {
        var username: String
        var address: String
    }

    private struct Bucket {
        var attempts: Double
        var since: UInt64
    }

    private let burst: Double
    private let nanosecondsPerAttempt: UInt64
    private let maximumBuckets: Int
    private var buckets: [Key: Bucket] = [:]
    private var sweptAt: UInt64?

    init(burst: Int = 10, secondsPerAttempt: UInt64 = 6, maximumBuckets: Int = 16_384) {
        self.burst = Double(burst)
        nanosecondsPerAttempt = secondsPerAttempt * 1_000_000_000
        self.maximumBuckets = maximumBuckets
    }

    /// Takes an attempt. nil: go on; else the seconds after which there is one again.
    mutating func take(_ key: Key, now: UInt64) -> Int? {
        if buckets[key] == nil, buckets.count >= maximumBuckets {
            sweep(now)
            // Too many names at once are a flood: forgetting one of them would help it.
            guard buckets.count < maximumBuckets else { return 1 }
        }
        let attempts = buckets[key].map { filled($0, now) } ?? burst
        guard attempts >= 1 else {
            buckets[key] = Bucket(attempts: attempts, since: now)
            return max(1, Int(((1 - attempts) * Double(nanosecondsPerAttempt) / 1e9).rounded(.up)))
        }
        buckets[key] = Bucket(attempts: attempts - 1, since: now)
        return nil
    }

    /// Gives an attempt back that was none.
    mutating func giveBack(_ key: Key, now: UInt64) {
        guard let bucket = buckets[key] else { return }
        let attempts = filled(bucket, now) + 1
        buckets[key] = attempts < burst ? Bucket(attempts: attempts, since: now) : nil
    }

    /// Forgets who has every attempt again; at most once a second, for it looks at all of them.
    private mutating func sweep(_ now: UInt64) {
        if let sweptAt, now &- sweptAt < 1_000_000_000 { return }
        sweptAt = now
        buckets = buckets.filter { filled($0.value, now) < burst }
    }

    private func filled(_ bucket: Bucket, _ now: UInt64) -> Double {
        min(burst, bucket.attempts + Double(now &- bucket.since) / Double(nanosecondsPerAttempt))
    }
}
