/// The ids of the last outcomes of one partition: tells one that was appended twice. Bounded: the oldest is forgotten for the newest.
struct RecentRequests {
    private var ring: [UInt64] = []
    private var oldest = 0
    private var known: Set<UInt64> = []
    private let capacity: Int

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Remembers an id; false where it is known already. 0 stands for none and is always new.
    mutating func insert(_ id: UInt64) -> Bool {
        guard id != 0 else { return true }
        guard known.insert(id).inserted else { return false }
        if ring.count < capacity {
            ring.append(id)
        } else {
            known.remove(ring[oldest])
            ring[oldest] = id
            oldest = oldest + 1 == capacity ? 0 : oldest + 1
        }
        return true
    }
}
