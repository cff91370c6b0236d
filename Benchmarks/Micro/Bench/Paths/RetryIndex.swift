import Records
import Scheduling

/// From records of `retries` to what the index gets, in batches of five hundred. The operation is one record.
let retryIndexBenchmarks: [Benchmark] = [
    Benchmark("index.add", operations: 20_000) { indexed(known: false) },
    // Each is a newer generation of one that waits, whose key is owed a tombstone.
    Benchmark("index.replace", operations: 20_000) { indexed(known: true) },
    Benchmark("retry.key", operations: 50_000) {
        let id = DeliveryID(random: 0x0123_4567_89ab_cdef, 42)
        let key = Array(RetryKey.delivery(id, generation: 3).description.utf8)
        return Benchmark.Work(
            run: { count in
                var read: UInt64 = 0
                key.withUnsafeBytes { key in
                    for _ in 0..<count {
                        if case .delivery(let id, let generation) = RetryKey(key) {
                            read += id.word + UInt64(generation)
                        }
                    }
                }
                return read
            }, expected: { UInt64($0 * 45) })
    },
]

private func indexed(known isKnown: Bool) -> Benchmark.Work {
    let size = 500
    let ids = (0..<size).map { DeliveryID(random: 0x0123_4567_89ab_cdef &* UInt64($0 + 1), UInt64($0)) }
    let records = ids.enumerated().map { number, id in
        RetryRecord(
            offset: Int64(1_000 + number), timestampMs: 900, key: .delivery(id, generation: 2),
            content: .waiting(dueAtMs: 5_000, place: nil))
    }
    let known = isKnown ? ids.map { ($0, IndexEntry(generation: 1, offset: 7)) } : []
    let entries = Dictionary(uniqueKeysWithValues: known)
    return Benchmark.Work(
        run: { count in
            var bytes = 0
            for _ in 0..<count / size {
                var batch = IndexBatch(known: entries, flying: [:], now: 1_000, holdMs: 50)
                for record in records { batch.apply(record) }
                for change in batch.changes { bytes += change.entry?.bytes.count ?? 0 }
                bytes += batch.owed.count
            }
            return UInt64(bytes)
        }, expected: { UInt64($0 * (IndexEntry.byteCount + (isKnown ? 1 : 0))) })
}
