import Testing

@testable import Gateway

@Suite struct LoginLimiterTests {
    private let key = LoginLimiter.Key(username: "admin", address: "10.0.0.1")
    private static let second: UInt64 = 1_000_000_000

    @Test func attemptsRunOutAndComeBack() {
        var limiter = LoginLimiter(burst: 3, secondsPerAttempt: 6)
        for _ in 0..<3 { #expect(limiter.take(key, now: 0) == nil) }
        #expect(limiter.take(key, now: 0) == 6)
        #expect(limiter.take(key, now: 5 * Self.second) == 1)
        #expect(limiter.take(key, now: 6 * Self.second) == nil)
        #expect(limiter.take(key, now: 6 * Self.second) == 6)
        // Never more than the burst, however long it was quiet.
        let later = 1_000_000 * Self.second
        for _ in 0..<3 { #expect(limiter.take(key, now: later) == nil) }
        #expect(limiter.take(key, now: later) == 6)
    }

    @Test func othersAreNotConcerned() {
        var limiter = LoginLimiter(burst: 1)
        #expect(limiter.take(key, now: 0) == nil)
        #expect(limiter.take(key, now: 0) != nil)
        #expect(limiter.take(.init(username: "admin", address: "10.0.0.2"), now: 0) == nil)
        #expect(limiter.take(.init(username: "other", address: "10.0.0.1"), now: 0) == nil)
    }

    @Test func whatSucceedsIsNotCounted() {
        var limiter = LoginLimiter(burst: 2)
        for _ in 0..<100 {
            #expect(limiter.take(key, now: 0) == nil)
            limiter.giveBack(key, now: 0)
        }
        limiter.giveBack(key, now: 0)
        for _ in 0..<2 { #expect(limiter.take(key, now: 0) == nil) }
        #expect(limiter.take(key, now: 0) != nil)
    }

    @Test func aFloodOfNamesForgetsNobody() {
        var limiter = LoginLimiter(burst: 1, secondsPerAttempt: 6, maximumBuckets: 100)
        #expect(limiter.take(key, now: 0) == nil)
        for number in 0..<200 {
            let other = LoginLimiter.Key(username: "u\(number)", address: "10.0.0.1")
            #expect(limiter.take(other, now: 0) == (number < 99 ? nil : 1))
        }
        #expect(limiter.take(key, now: 0) != nil)
        // Once their attempts are back, they are forgotten.
        #expect(limiter.take(.init(username: "new", address: "10.0.0.1"), now: 7 * Self.second) == nil)
    }
}
