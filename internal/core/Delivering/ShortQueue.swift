/// How much waits in a `ShortQueue`, and how long (nanoseconds).
public struct ShortQueueBounds: Equatable, Sendable {
    public var bytes: Int
    public var wait: UInt64

    public init(bytes: Int, wait: UInt64) {
        self.bytes = bytes
        self.wait = wait
    }
}

/// What waits a moment for its webhook's limit, so that a burst is smoothed: bounded in time and bytes. What does not fit or
/// has waited too long is parked, so a partition never waits for an endpoint. Times are monotonic nanoseconds.
public struct ShortQueue<Element> {
    fileprivate struct Entry {
        var element: Element
        var bytes: Int
        var since: UInt64
    }

    private let bounds: ShortQueueBounds
    private var entries: [Entry] = []
    private var head = 0
    public private(set) var bytes = 0

    public init(bounds: ShortQueueBounds) { self.bounds = bounds }

    public var isEmpty: Bool { head == entries.count }
    public var count: Int { entries.count - head }

    public var first: Element? { isEmpty ? nil : entries[head].element }

    /// False where it does not fit.
    public mutating func append(_ element: Element, bytes size: Int, now: UInt64) -> Bool {
        guard bytes + size <= bounds.bytes else { return false }
        bytes += size
        entries.append(Entry(element: element, bytes: size, since: now))
        return true
    }

    /// The oldest, where its webhook has room for it.
    public mutating func popFirst() -> Element? { isEmpty ? nil : pop() }

    /// The oldest, where it has waited too long.
    public mutating func popExpired(now: UInt64) -> Element? {
        guard !isEmpty, now >= entries[head].since + bounds.wait else { return nil }
        return pop()
    }

    private mutating func pop() -> Element {
        let entry = entries[head]
        head += 1
        bytes -= entry.bytes
        if isEmpty {
            entries.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 64, head * 2 >= entries.count {
            entries.removeFirst(head)
            head = 0
        }
        return entry.element
    }
}

extension ShortQueue: Sendable where Element: Sendable {}
extension ShortQueue.Entry: Sendable where Element: Sendable {}
