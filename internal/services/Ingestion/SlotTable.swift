/// Values that wait for something, each under a small number that is used again.
struct SlotTable<Value> {
    private var slots: [Value?] = []
    private var free: [Int] = []

    var count: Int { slots.count - free.count }

    mutating func insert(_ value: Value) -> UInt64 {
        guard let slot = free.popLast() else {
            slots.append(value)
            return UInt64(slots.count - 1)
        }
        slots[slot] = value
        return UInt64(slot)
    }

    /// nil where nothing waits under that number.
    mutating func remove(_ number: UInt64) -> Value? {
        let slot = Int(number)
        guard slot < slots.count, let value = slots[slot] else { return nil }
        slots[slot] = nil
        free.append(slot)
        return value
    }
}
