import Records
import Testing

@testable import Scheduling

private let a = DeliveryID(random: 0, 1)
private let b = DeliveryID(random: 0, 2)
private let now: Int64 = 1_000
private let holdMs: Int64 = 50

private let place = LanePlace(lane: LaneID(webhook: "wh_1"), sinceMs: 800)

private func waits(
    _ generation: UInt32, of id: DeliveryID = a, at offset: Int64, due: Int64 = 5_000, in place: LanePlace? = nil
) -> RetryRecord {
    RetryRecord(
        offset: offset, timestampMs: 900, key: .delivery(id, generation: generation),
        content: .waiting(dueAtMs: due, place: place))
}

private func command(_ key: RetryKey, at offset: Int64) -> RetryRecord {
    RetryRecord(offset: offset, timestampMs: 900, key: key, content: .command)
}

private func tombstone(_ key: RetryKey) -> RetryRecord {
    RetryRecord(offset: 99, timestampMs: 900, key: key, content: .tombstone)
}

private func entry(
    _ generation: UInt32, _ offset: Int64, _ mark: IndexEntry.Mark = .none, in place: LanePlace? = nil
) -> IndexEntry {
    IndexEntry(generation: generation, offset: offset, mark: mark, place: place)
}

/// One transition of one delivery, `a`.
struct Transition: CustomTestStringConvertible, Sendable {
    var name: String
    var known: IndexEntry?
    var records: [RetryRecord]
    /// What becomes of the entry; nil: nothing is changed.
    var change: (entry: IndexEntry?, due: Int64)?
    var owed: [RetryKey] = []
    var flying: UInt32?
    /// How often the delivery comes to wait in its lane.
    var joins = 0

    var testDescription: String { name }
}

@Suite struct IndexBatchTests {
    static let waiting = [
        Transition(name: "a record waits", records: [waits(1, at: 7)], change: (entry(1, 7), 5_000)),
        Transition(
            name: "a newer generation replaces an older one", known: entry(1, 3), records: [waits(2, at: 7)],
            change: (entry(2, 7), 5_000), owed: [.delivery(a, generation: 1)]),
        Transition(
            name: "an older generation is owed its tombstone at once", known: entry(3, 3), records: [waits(2, at: 7)],
            owed: [.delivery(a, generation: 2)]),
        Transition(
            name: "the same record again", known: entry(1, 7), records: [waits(1, at: 7)],
            change: (entry(1, 7), 5_000)),
        Transition(
            name: "the same generation again, at another offset", known: entry(1, 3), records: [waits(1, at: 7)],
            change: (entry(1, 7), 5_000)),
        Transition(
            name: "a retry wanted now stays wanted for the same generation", known: entry(1, 3, .now),
            records: [waits(1, at: 7)], change: (entry(1, 7, .now), now)),
        Transition(
            name: "a retry wanted now ends with its generation", known: entry(1, 3, .now), records: [waits(2, at: 7)],
            change: (entry(2, 7), 5_000), owed: [.delivery(a, generation: 1), .retryNow(a, generation: 1)]),
        Transition(
            name: "a cancellation goes on to the next generation", known: entry(1, 3, .cancel),
            records: [waits(2, at: 7)], change: (entry(2, 7, .cancel), now), owed: [.delivery(a, generation: 1)]),
        Transition(
            name: "what a hold waited for is to be cancelled", known: entry(1, 3, .hold), records: [waits(2, at: 7)],
            change: (entry(2, 7, .cancel), now)),
        Transition(
            name: "a hold does not ask for the generation", known: entry(4, 3, .hold), records: [waits(2, at: 7)],
            change: (entry(2, 7, .cancel), now)),
    ]

    static let tombstones = [
        Transition(
            name: "a tombstone ends the wait", known: entry(1, 3),
            records: [tombstone(.delivery(a, generation: 1))], change: (nil, now)),
        Transition(
            name: "a tombstone ends a retry wanted now, and its command", known: entry(1, 3, .now),
            records: [tombstone(.delivery(a, generation: 1))], change: (nil, now), owed: [.retryNow(a, generation: 1)]),
        Transition(
            name: "a late tombstone does not touch the successor", known: entry(2, 3),
            records: [tombstone(.delivery(a, generation: 1))]),
        Transition(name: "a tombstone of what is unknown", records: [tombstone(.delivery(a, generation: 1))]),
        Transition(
            name: "fired though cancelled: held for the next generation", known: entry(1, 3, .cancel),
            records: [tombstone(.delivery(a, generation: 1))], change: (entry(1, 3, .hold), now + holdMs)),
        Transition(
            name: "a hold outlives the delivery's tombstone", known: entry(1, 3, .hold),
            records: [tombstone(.delivery(a, generation: 1))]),
        Transition(
            name: "a hold ends with its command", known: entry(0, 3, .hold), records: [tombstone(.cancel(a))],
            change: (nil, now)),
        Transition(
            name: "what is to be cancelled stays so", known: entry(1, 3, .cancel), records: [tombstone(.cancel(a))]),
        Transition(
            name: "the end of a command leaves the entry due", known: entry(1, 3, .now),
            records: [tombstone(.retryNow(a, generation: 1))]),
    ]

    static let commands = [
        Transition(
            name: "retry now", known: entry(1, 3), records: [command(.retryNow(a, generation: 1), at: 7)],
            change: (entry(1, 3, .now), now)),
        Transition(
            name: "retry now, twice", known: entry(1, 3, .now),
            records: [command(.retryNow(a, generation: 1), at: 7)], change: (entry(1, 3, .now), now)),
        Transition(
            name: "retry now of what is fired already", known: entry(1, 3),
            records: [command(.retryNow(a, generation: 1), at: 7)], owed: [.retryNow(a, generation: 1)], flying: 1),
        Transition(
            name: "retry now while an older generation is in flight", known: entry(2, 3),
            records: [command(.retryNow(a, generation: 2), at: 7)], change: (entry(2, 3, .now), now), flying: 1),
        Transition(
            name: "retry now of another generation", known: entry(2, 3),
            records: [command(.retryNow(a, generation: 1), at: 7)], owed: [.retryNow(a, generation: 1)]),
        Transition(
            name: "retry now of what does not wait", records: [command(.retryNow(a, generation: 1), at: 7)],
            owed: [.retryNow(a, generation: 1)]),
        Transition(
            name: "retry now of what is to be cancelled", known: entry(1, 3, .cancel),
            records: [command(.retryNow(a, generation: 1), at: 7)], owed: [.retryNow(a, generation: 1)]),
        Transition(
            name: "retry now of a hold", known: entry(1, 3, .hold),
            records: [command(.retryNow(a, generation: 1), at: 7)], owed: [.retryNow(a, generation: 1)]),
        Transition(
            name: "cancel", known: entry(1, 3), records: [command(.cancel(a), at: 7)],
            change: (entry(1, 3, .cancel), now)),
        Transition(
            name: "cancel after retry now", known: entry(1, 3, .now), records: [command(.cancel(a), at: 7)],
            change: (entry(1, 3, .cancel), now), owed: [.retryNow(a, generation: 1)]),
        Transition(
            name: "cancel, twice", known: entry(1, 3, .cancel), records: [command(.cancel(a), at: 7)]),
        Transition(
            name: "a hold goes on with another command", known: entry(1, 3, .hold),
            records: [command(.cancel(a), at: 7)], change: (entry(1, 7, .hold), now + holdMs)),
        Transition(
            name: "cancel before there is anything: counted from the command's time",
            records: [command(.cancel(a), at: 7)], change: (entry(0, 7, .hold), 900 + holdMs)),
    ]

    static let parked = [
        Transition(
            name: "what is parked waits in its lane", records: [waits(1, at: 7, in: place)],
            change: (entry(1, 7, in: place), 5_000), joins: 1),
        Transition(
            name: "parked after a failure", known: entry(1, 3), records: [waits(2, at: 7, in: place)],
            change: (entry(2, 7, in: place), 5_000), owed: [.delivery(a, generation: 1)], joins: 1),
        Transition(
            name: "failed after it was parked", known: entry(1, 3, in: place), records: [waits(2, at: 7)],
            change: (entry(2, 7), 5_000), owed: [.delivery(a, generation: 1)]),
        Transition(
            name: "retry now does not queue", known: entry(1, 3, in: place),
            records: [command(.retryNow(a, generation: 1), at: 7)], change: (entry(1, 3, .now), now)),
        Transition(
            name: "nor does cancel", known: entry(1, 3, in: place), records: [command(.cancel(a), at: 7)],
            change: (entry(1, 3, .cancel), now)),
        Transition(
            name: "nor what is parked though it is to be cancelled", known: entry(1, 3, .cancel),
            records: [waits(2, at: 7, in: place)], change: (entry(2, 7, .cancel), now),
            owed: [.delivery(a, generation: 1)]),
        Transition(
            name: "parked after a retry wanted now", known: entry(1, 3, .now), records: [waits(2, at: 7, in: place)],
            change: (entry(2, 7, in: place), 5_000), owed: [.delivery(a, generation: 1), .retryNow(a, generation: 1)],
            joins: 1),
        Transition(
            name: "a tombstone ends the wait in a lane", known: entry(1, 3, in: place),
            records: [tombstone(.delivery(a, generation: 1))], change: (nil, now)),
    ]

    static let batches = [
        Transition(
            name: "record, cancel: cancelled", records: [waits(1, at: 7), command(.cancel(a), at: 8)],
            change: (entry(1, 7, .cancel), now)),
        Transition(
            name: "cancel, record: cancelled", records: [command(.cancel(a), at: 7), waits(1, at: 8)],
            change: (entry(1, 8, .cancel), now)),
        Transition(
            name: "record, tombstone: nothing", records: [waits(1, at: 7), tombstone(.delivery(a, generation: 1))],
            change: (nil, now)),
        Transition(
            name: "tombstone, record: waits", known: entry(1, 3),
            records: [tombstone(.delivery(a, generation: 1)), waits(1, at: 8)], change: (entry(1, 8), 5_000)),
        Transition(
            name: "three generations at once: the last waits",
            records: [waits(1, at: 7), waits(2, at: 8), waits(3, at: 9)],
            change: (entry(3, 9), 5_000), owed: [.delivery(a, generation: 1), .delivery(a, generation: 2)]),
        Transition(
            name: "retry now, then a newer one", known: entry(1, 3),
            records: [command(.retryNow(a, generation: 1), at: 7), waits(2, at: 8)], change: (entry(2, 8), 5_000),
            owed: [.delivery(a, generation: 1), .retryNow(a, generation: 1)]),
        Transition(name: "a fence", known: entry(1, 3), records: [command(.fence, at: 7)]),
        Transition(
            name: "what means nothing is owed its tombstone",
            records: [
                command(.delivery(a, generation: 1), at: 7),
                RetryRecord(offset: 8, timestampMs: 0, key: .cancel(a), content: .waiting(dueAtMs: 1, place: nil)),
                RetryRecord(
                    offset: 9, timestampMs: 0, key: .retryNow(a, generation: 2),
                    content: .waiting(dueAtMs: 1, place: nil)),
            ], owed: [.delivery(a, generation: 1), .cancel(a), .retryNow(a, generation: 2)]),
    ]

    @Test(arguments: waiting + tombstones + commands + parked + batches) func aTransition(_ transition: Transition) {
        var batch = IndexBatch(
            known: transition.known.map { [a: $0] } ?? [:], flying: transition.flying.map { [a: $0] } ?? [:], now: now,
            holdMs: holdMs)
        for record in transition.records { batch.apply(record) }
        let expected = transition.change.map { IndexBatch.Change(delivery: a, entry: $0.entry, dueAtMs: $0.due) }
        #expect(batch.changes == (expected.map { [$0] } ?? []))
        #expect(batch.owed == transition.owed)
        let join = IndexBatch.Join(lane: place.lane, delivery: a, dueAtMs: 5_000)
        #expect(batch.joins == [IndexBatch.Join](repeating: join, count: transition.joins))
    }

    @Test func deliveriesDoNotTouchEachOther() {
        var batch = IndexBatch(known: [b: entry(5, 1)], flying: [:], now: now, holdMs: holdMs)
        for record in [waits(6, of: b, at: 7), waits(1, at: 8), command(.cancel(b), at: 9)] { batch.apply(record) }
        #expect(
            batch.changes == [
                .init(delivery: b, entry: entry(6, 7, .cancel), dueAtMs: now),
                .init(delivery: a, entry: entry(1, 8), dueAtMs: 5_000),
            ])
        #expect(batch.owed == [.delivery(b, generation: 5)])
    }
}
