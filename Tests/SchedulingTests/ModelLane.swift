import Records

/// A lane's deliveries by age, and of one age by their bytes. A million of them are taken from the front and put back near it in
/// a moment, so that a test with as many ends.
struct ModelLane {
    private struct Item {
        var since: Int64
        var id: DeliveryID

        func isBefore(_ other: Item) -> Bool {
            since != other.since ? since < other.since : id.bytes.lexicographicallyPrecedes(other.id.bytes)
        }
    }

    private var items: [Item] = []
    private var head = 0

    var count: Int { items.count - head }
    var isEmpty: Bool { count == 0 }
    var first: Int64? { isEmpty ? nil : items[head].since }

    func count(where isOld: (Int64) -> Bool) -> Int {
        var place = head
        while place < items.count, isOld(items[place].since) { place += 1 }
        return place - head
    }

    mutating func insert(_ since: Int64, _ id: DeliveryID) {
        let item = Item(since: since, id: id)
        let place = place(of: item)
        if place < items.count, items[place].since == since, items[place].id == id { return }
        guard head > 0, place - head < items.count - place else { return items.insert(item, at: place) }
        for index in head..<place { items[index - 1] = items[index] }
        items[place - 1] = item
        head -= 1
    }

    mutating func remove(_ since: Int64, _ id: DeliveryID) {
        let place = place(of: Item(since: since, id: id))
        if place < items.count, items[place].id == id { items.remove(at: place) }
    }

    mutating func removeFirst(_ count: Int) -> [DeliveryID] {
        let taken = items[head..<min(items.count, head + count)].map(\.id)
        head += taken.count
        return taken
    }

    /// Of the first one that is not before it.
    private func place(of item: Item) -> Int {
        var (low, high) = (head, items.count)
        while low < high {
            let middle = (low + high) / 2
            if items[middle].isBefore(item) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
