internal import Synchronization

/// How many requests of the process run or are unacknowledged, and whether a worker's oldest is too old: shared by the workers.
final class OpenRequests: Sendable {
    private let count = Atomic<Int>(0)
    /// Workers whose oldest unacknowledged request has passed its bound: nobody starts one then.
    private let stalled = Atomic<Int>(0)

    var isStalled: Bool { stalled.load(ordering: .relaxed) > 0 }
    var value: Int { count.load(ordering: .relaxed) }

    /// Takes a place; false where `limit` are taken.
    func acquire(limit: Int) -> Bool {
        if count.add(1, ordering: .relaxed).newValue <= limit { return true }
        count.subtract(1, ordering: .relaxed)
        return false
    }

    func release() { count.subtract(1, ordering: .relaxed) }

    func worker(becameStalled: Bool) {
        if becameStalled { stalled.add(1, ordering: .relaxed) } else { stalled.subtract(1, ordering: .relaxed) }
    }
}
