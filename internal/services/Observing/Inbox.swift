internal import Synchronization

/// Where the intake's loop leaves what it has read, and the writer takes it: one batch that grows while the writer is busy. Any thread.
final class Inbox: Sendable {
    private struct State {
        var batch = HistoryBatch(epoch: 0)
        var isWriting = false
    }

    private let state = Mutex(State())
    private let maxEntries: Int
    private let maxBytes: Int
    /// Has an element when something may have come.
    let arrivals: AsyncStream<Void>
    private let arrived: AsyncStream<Void>.Continuation

    init(maxEntries: Int, maxBytes: Int) {
        self.maxEntries = maxEntries
        self.maxBytes = maxBytes
        (arrivals, arrived) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// The batch has reached a bound: leave what Kafka has there for now.
    var isFull: Bool {
        state.withLock { $0.batch.entries.count >= maxEntries || $0.batch.size >= maxBytes }
    }

    var count: Int { state.withLock { $0.batch.entries.count } }

    /// Something is being stored.
    var isWriting: Bool { state.withLock { $0.isWriting } }

    /// Nothing waits and nothing is being stored.
    var isIdle: Bool { state.withLock { $0.batch.isEmpty && !$0.isWriting } }

    func append(_ entries: [HistoryEntry], partition: Int32, expected: Int64, next: Int64) {
        state.withLock { $0.batch.append(entries, partition: partition, expected: expected, next: next) }
        arrived.yield()
    }

    /// Throws away what waits, and begins with another assignment's batches.
    func begin(epoch: Int) { state.withLock { $0.batch = HistoryBatch(epoch: epoch) } }

    /// What waits, for the writer, which says `written` when it is done with it; nil where there is nothing.
    func take() -> HistoryBatch? {
        state.withLock { state in
            guard !state.batch.isEmpty else { return nil }
            state.isWriting = true
            defer { state.batch = HistoryBatch(epoch: state.batch.epoch) }
            return state.batch
        }
    }

    func written() { state.withLock { $0.isWriting = false } }

    /// Whether batches of this epoch still count.
    func isCurrent(_ epoch: Int) -> Bool { state.withLock { $0.batch.epoch == epoch } }

    /// Ends `arrivals`.
    func close() { arrived.finish() }
}
