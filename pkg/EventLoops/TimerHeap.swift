/// Names one timer of one loop.
public struct TimerID: Hashable, Sendable {
    fileprivate let sequence: UInt64
}

/// Timers by deadline: a binary heap of (deadline, sequence), the handlers beside it.
/// A cancelled timer loses its handler at once and its heap entry when that comes up, or when dead entries outnumber
/// the living: so cancelling is O(1) and memory stays bounded.
struct TimerHeap {
    private struct Entry {
        var deadline: UInt64
        var sequence: UInt64
        static func < (a: Entry, b: Entry) -> Bool {
            a.deadline != b.deadline ? a.deadline < b.deadline : a.sequence < b.sequence
        }
    }

    private var entries: [Entry] = []
    private var handlers: [UInt64: () -> Void] = [:]
    private var nextSequence: UInt64 = 0

    /// The earliest deadline, of a live or a cancelled timer.
    var nextDeadline: UInt64? { entries.first?.deadline }

    mutating func insert(deadline: UInt64, _ handler: @escaping () -> Void) -> TimerID {
        nextSequence += 1
        handlers[nextSequence] = handler
        entries.append(Entry(deadline: deadline, sequence: nextSequence))
        siftUp(from: entries.count - 1)
        return TimerID(sequence: nextSequence)
    }

    mutating func remove(_ timer: TimerID) {
        guard handlers.removeValue(forKey: timer.sequence) != nil else { return }
        if entries.count > 64, entries.count > 2 * handlers.count { compact() }
    }

    /// The handler of the earliest live timer whose deadline has come, taken out; nil when none is due.
    mutating func popDue(now: UInt64) -> (() -> Void)? {
        while let first = entries.first, first.deadline <= now {
            removeFirst()
            if let handler = handlers.removeValue(forKey: first.sequence) { return handler }
        }
        return nil
    }

    private mutating func compact() {
        entries = entries.filter { handlers[$0.sequence] != nil }.sorted(by: <)
    }

    private mutating func siftUp(from start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child] < entries[parent] else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func removeFirst() {
        let last = entries.removeLast()
        guard !entries.isEmpty else { return }
        entries[0] = last
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < entries.count && entries[child] < entries[smallest] {
                smallest = child
            }
            guard smallest != parent else { return }
            entries.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
