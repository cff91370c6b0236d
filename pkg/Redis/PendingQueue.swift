/// Commands that were sent, or are about to be, in the order in which their answers will come.
struct PendingQueue {
    typealias Completion = (Result<RedisReply, RedisError>) -> Void

    struct Entry {
        /// When the answer is overdue, on the monotonic clock in nanoseconds.
        var deadline: UInt64
        var completion: Completion
    }

    /// Entries before `head` are done; they are dropped together, so that taking one out moves nothing.
    private var entries: [Entry?] = []
    private var head = 0

    var count: Int { entries.count - head }
    var isEmpty: Bool { count == 0 }

    /// Every command may wait equally long, so the first one's deadline is the earliest.
    var firstDeadline: UInt64? { isEmpty ? nil : entries[head]?.deadline }

    mutating func append(_ entry: Entry) { entries.append(entry) }

    mutating func popFirst() -> Entry? {
        guard !isEmpty else { return nil }
        defer {
            entries[head] = nil
            head += 1
            if head == entries.count {
                entries.removeAll(keepingCapacity: true)
                head = 0
            } else if head >= 1_024, head * 2 > entries.count {
                entries.removeFirst(head)
                head = 0
            }
        }
        return entries[head]
    }

    mutating func removeAll() -> [Entry] {
        defer {
            entries = []
            head = 0
        }
        return entries[head...].compactMap { $0 }
    }
}
