import Settling

/// From a fetched record to what may be committed.
let settlingBenchmarks: [Benchmark] = [
    Benchmark("settle/in-order", operations: 20_000) { settled { $0 } },
    // Acknowledgements of a batch come from its end: nothing can be committed until the last.
    Benchmark("settle/backwards", operations: 20_000) { settled { 99 - $0 } },
    Benchmark("settle/unacknowledged", operations: 50_000) {
        let bound = CrashBound(maxOpen: 10_000, maxAge: 2_000_000_000)
        return Benchmark.Work(
            run: { count in
                var unacknowledged = Unacknowledged()
                var waiting: [Unacknowledged.Ticket] = []
                waiting.reserveCapacity(64)
                var allowed: UInt64 = 0
                for number in 0..<count {
                    let now = UInt64(number) * 1_000
                    if bound.allowsStart(open: waiting.count, oldest: unacknowledged.oldest, now: now) { allowed += 1 }
                    waiting.append(unacknowledged.add(now: now))
                    guard waiting.count == 64 else { continue }
                    for ticket in waiting { unacknowledged.remove(ticket) }
                    waiting.removeAll(keepingCapacity: true)
                }
                return allowed
            }, expected: { UInt64($0) })
    },
]

/// Batches of a hundred records with one webhook each, acknowledged in the order that `place` gives.
private func settled(_ place: @escaping (Int) -> Int) -> Benchmark.Work {
    Benchmark.Work(
        run: { count in
            let memory = SourceMemory(topic: "martlet.events", partition: 3, committed: 0)
            var settlement = PartitionSettlement(offset: 0, note: 0, memory: memory)
            var slots: [PartitionSettlement.Slot] = []
            slots.reserveCapacity(100)
            var point = CommitPoint(offset: 0, note: 0)
            for first in stride(from: 0, to: count, by: 100) {
                settlement.openBatch(attemptsEnd: Int64(first))
                for offset in first..<first + 100 {
                    if let slot = settlement.take(offset: Int64(offset), fanOut: 1),
                        !settlement.skipIfSettled(slot, offset: Int64(offset), timestamp: 1, webhook: "wh_0042")
                    {
                        slots.append(slot)
                    }
                }
                _ = settlement.closeBatch()
                for number in slots.indices { settlement.settle(slots[place(number)]) }
                slots.removeAll(keepingCapacity: true)
                point = settlement.commitPoint()
            }
            return UInt64(point.offset) + UInt64(settlement.owed)
        }, expected: { UInt64($0) })
}
