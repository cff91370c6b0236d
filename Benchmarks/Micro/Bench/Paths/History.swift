import Observing
import Records

/// From an outcome to a row of PostgreSQL.
let historyBenchmarks: [Benchmark] = [
    Benchmark("history.rows", operations: 20_000) {
        // Batches of a thousand; the operation is one outcome.
        let path = ObservingHotPath((0..<1_000).map { Sample.outcome(requestID: UInt64($0 + 1)) })
        let each = path.rows()
        return Benchmark.Work(
            run: { count in (0..<count / 1_000).reduce(0) { sum, _ in sum + UInt64(path.rows()) } },
            expected: { UInt64($0 / 1_000 * each) })
    }
]
