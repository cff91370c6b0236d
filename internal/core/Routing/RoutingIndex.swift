/// Which of one tenant's webhooks an event type goes to. Immutable: a change builds another one.
///
/// Exact types and prefixes lie in one hash table over their bytes (a prefix with its final dot, so the two cannot be taken
/// for each other), `*` in a list. An event type is looked up once whole and once for each dot in it, so the cost follows
/// from the type's length, not from the number of webhooks.
///
///     order.item.added  →  "order."  "order.item."  "order.item.added"  and the list
public struct RoutingIndex: Sendable {
    private struct Slot {
        var hash: UInt64
        /// Into `keys`; 0 length: free.
        var keyStart: UInt32
        var keyLength: UInt32
        /// Into `subscribers`.
        var first: UInt32
        var count: UInt32
    }

    private var slots: [Slot]
    private let mask: Int
    private var keys: [UInt8] = []
    private var subscribers: [UInt32] = []
    private let everything: [UInt32]

    /// - Parameter patterns: per webhook, by position, its `event_types`. What `match` yields are these positions.
    public init(patterns: [[String]]) {
        var lists: [String: [UInt32]] = [:]
        var everything: [UInt32] = []
        for (position, entry) in patterns.enumerated() {
            for filter in EventTypeFilter.reduced(entry.map(EventTypeFilter.init)) {
                switch filter {
                case .all: everything.append(UInt32(position))
                case .exact(let key), .prefix(let key): lists[key, default: []].append(UInt32(position))
                }
            }
        }
        self.everything = everything
        var capacity = 8
        while capacity < lists.count * 2 { capacity *= 2 }
        mask = capacity - 1
        slots = Array(
            repeating: Slot(hash: 0, keyStart: 0, keyLength: 0, first: 0, count: 0), count: capacity)
        for (key, list) in lists where !key.isEmpty { insert(key, list) }
    }

    private mutating func insert(_ key: String, _ list: [UInt32]) {
        let bytes = Array(key.utf8)
        let hash = bytes.reduce(Self.seed, Self.mix)
        var index = Int(truncatingIfNeeded: Self.spread(hash)) & mask
        while slots[index].keyLength != 0 { index = (index + 1) & mask }
        slots[index] = Slot(
            hash: hash, keyStart: UInt32(keys.count), keyLength: UInt32(bytes.count),
            first: UInt32(subscribers.count), count: UInt32(list.count))
        keys += bytes
        subscribers += list
    }

    /// Calls `found` once with the position of each webhook that takes events of `type` (UTF-8).
    public func match(_ type: UnsafeRawBufferPointer, _ found: (Int) -> Void) {
        for position in everything { found(Int(position)) }
        guard !type.isEmpty, !keys.isEmpty else { return }
        var hash = Self.seed
        for index in 0..<type.count {
            hash = Self.mix(hash, type[index])
            // A type that ends in a dot is nobody's exact filter, and a prefix takes only what is longer than itself.
            let isDot = type[index] == UInt8(ascii: ".")
            let isEnd = index + 1 == type.count
            guard isDot != isEnd else { continue }
            lookUp(UnsafeRawBufferPointer(rebasing: type[...index]), hash, found)
        }
    }

    private func lookUp(_ key: UnsafeRawBufferPointer, _ hash: UInt64, _ found: (Int) -> Void) {
        var index = Int(truncatingIfNeeded: Self.spread(hash)) & mask
        while slots[index].keyLength != 0 {
            let slot = slots[index]
            if slot.hash == hash, Int(slot.keyLength) == key.count, holds(key, at: Int(slot.keyStart)) {
                for entry in Int(slot.first)..<Int(slot.first + slot.count) { found(Int(subscribers[entry])) }
                return
            }
            index = (index + 1) & mask
        }
    }

    private func holds(_ key: UnsafeRawBufferPointer, at start: Int) -> Bool {
        for index in 0..<key.count where keys[start + index] != key[index] { return false }
        return true
    }

    // FNV-1a, which can be carried on from one dot to the next. Filters come from webhooks, whose number is limited per
    // tenant, so a crafted set of colliding filters costs its own tenant alone.
    private static let seed: UInt64 = 0xcbf2_9ce4_8422_2325
    private static func mix(_ hash: UInt64, _ byte: UInt8) -> UInt64 { (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    private static func spread(_ hash: UInt64) -> UInt64 { hash ^ hash >> 29 }
}
