import Glibc
import Kafka
import Records
import ServiceSupport
import TestSupport
import Testing

/// A dispatcher and a retry-manager with more deliveries of one endpoint than it takes.
@Suite struct BacklogTests {
    private static let settings = [
        "MARTLET_DISPATCHER_MAX_IN_FLIGHT_PER_WEBHOOK": "16", "MARTLET_DISPATCHER_SHORT_QUEUE_SIZE": "4KiB",
        "MARTLET_DISPATCHER_REQUEST_TIMEOUT": "2s",
    ]

    @Test func aBacklogDrainsInOrderAndLittleComesBack() async throws {
        let count = 20_000
        let receiver = try await Receiver(paths: ["/slow"], delayMs: 40, keeps: count * 2)
        let harness = try await Harness(KafkaBroker.available.last ?? .inMemory, partitions: 1, Self.settings)
        try await harness.putWebhook("wh_slow", url: receiver.url("/slow"))
        try await harness.putEvents(count)
        try await harness.startDispatcher()
        let isTaken = await eventually(within: .seconds(120)) { (try? await harness.outcomes().count) == count }
        let parked = Set(try await harness.outcomes().filter { $0.value == [.parked] }.keys)
        #expect(isTaken && parked.count > count / 2)
        let taken = receiver.requests.count
        let started = ContinuousClock.now
        let manager = try await harness.startManager()
        let isDrained = await eventually(within: .seconds(300)) { receiver.distinct == count }
        let seconds = (ContinuousClock.now - started).components.seconds
        let settled = await eventually(within: .seconds(30)) { (try? await harness.liveKeys()) == ["fence"] }
        let released = try await harness.metric("webhook_retry_lanes_released_total", of: manager) ?? 0
        let counted = try await harness.metric("webhook_retry_lanes_returned_total", of: manager) ?? 0
        let outcomes = try await harness.outcomes()
        let back = outcomes.values.reduce(0) { $0 + $1.count { $0 == .parked } } - parked.count
        let (mean, most) = try await Self.disorder(receiver.requests.dropFirst(taken), harness)
        print(
            "backlog of \(parked.count) on real processes: drained in \(seconds) s, \(Int(released)) let go, \(back) came back (\(Double(back * 1_000 / max(1, Int(released))) / 10) %), \(mean) places from their turn on average, \(most) at most"
        )
        #expect(isDrained && settled, "\(receiver.distinct) of \(count): \(harness.log(manager).suffix(4_000))")
        #expect(receiver.repeats == 0)
        #expect(Int(released) == parked.count + back && Int(counted) <= back)
        #expect(back * 10 <= Int(released))
        #expect(mean <= 200)
        await harness.close()
        await receiver.stop()
    }

    /// By how many places requests came before or after their events' turn: on average, and at most.
    private static func disorder(
        _ requests: some Collection<Receiver.Request>, _ harness: Harness
    ) async throws -> (mean: Int, most: Int) {
        var offsets: [String: Int64] = [:]
        for record in try await harness.records(harness.topics.events) {
            offsets[String(decoding: record.header("ce_id") ?? [], as: UTF8.self)] = record.offset
        }
        let came = requests.compactMap { $0.header("webhook-id").flatMap { offsets[$0] } }
        var turns: [Int64: Int] = [:]
        for (turn, offset) in came.sorted().enumerated() { turns[offset] = turn }
        let places = came.enumerated().map { abs($0.offset - (turns[$0.element] ?? 0)) }
        return (places.reduce(0, +) / max(1, places.count), places.max() ?? 0)
    }
}
