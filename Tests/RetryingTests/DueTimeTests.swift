import Glibc
import Kafka
import Records
import TestSupport
import Testing

/// How late what is due is fired. The bounds are wide, for the machine may be busy; the figures are printed.
@Suite(.serialized) struct DueTimeTests {
    @Test(arguments: KafkaBroker.available) func tenThousandPendingAreFiredOnTime(kind: KafkaBroker.Kind) async throws {
        let harness = try await Harness(kind, partitions: 4)
        let manager = try await harness.startManager()
        let count = 10_000
        let start = nowMs() + 12_000
        try await harness.putWaiting(0..<count) { start + Int64($0 % 5_000) * 2 }
        let isIndexed = await eventually(within: .seconds(10)) {
            (try? await harness.metric("webhook_retries_pending", of: manager)) == Double(count)
        }
        #expect(isIndexed && nowMs() < start)
        let fired = try await harness.awaitFired(count, within: .seconds(40))
        var late: [Int64] = []
        for number in 0..<count {
            guard let record = fired[Harness.id(number).description]?.first else { continue }
            late.append(record.timestamp - (start + Int64(number % 5_000) * 2))
        }
        late.sort()
        try #require(late.count == count)
        let (p50, p99) = (late[count / 2], late[count * 99 / 100])
        print("10,000 pending on \(kind): fired \(p50) ms late at p50, \(p99) at p99, \(late[count - 1]) at most")
        #expect(late[0] >= 0)
        #expect(p50 <= 250 && p99 <= 1_000)
        await harness.close()
    }

    /// Payloads that are not at hand are read from the log in sweeps.
    @Test(.requiresRealKafka) func aSmallCacheIsEnough() async throws {
        let harness = try await Harness(.real, ["MARTLET_RETRY_MANAGER_MEMORY": "1MiB"])
        let start = nowMs() + 4_000
        try await harness.putWaiting(0..<6_000) { start + Int64($0 % 1_000) }
        let manager = try await harness.startManager()
        let fired = try await harness.awaitFired(6_000, within: .seconds(60))
        let sweeps = try await harness.metric("webhook_retry_sweeps_total", of: manager) ?? 0
        let misses = try await harness.metric("webhook_retry_cache_misses_total", of: manager) ?? 0
        print("6,000 payloads through 1 MiB: \(Int(sweeps)) sweeps, \(Int(misses)) of them not at hand when due")
        #expect(fired.count == 6_000)
        #expect(sweeps > 0)
        #expect(fired.allSatisfy { $0.value.count == 1 })
        await harness.close()
    }
}
