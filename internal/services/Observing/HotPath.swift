package import Records

/// What is done with each outcome before it goes to PostgreSQL: opened for `Benchmarks/Micro`, which measures it.
package struct ObservingHotPath: Sendable {
    private let entries: [HistoryEntry]

    /// - Parameter outcomes: of one batch, each with its time.
    package init(_ outcomes: [Outcome]) {
        entries = outcomes.enumerated().map { offset, outcome in
            HistoryEntry(partition: 3, offset: Int64(offset), content: .outcome(outcome, at: outcome.startedAtMs))
        }
    }

    /// Makes the rows of the batch, as COPY takes them. Returns their bytes.
    package func rows() -> Int { HistoryRows(entries).copies().reduce(0) { $0 + $1.data.count } }
}
