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
///
/// Every delivery goes through one: inlinable, so that the module that uses it gets a version for its type.
public struct ShortQueue<Element> {
    @usableFromInline struct Entry {
        @usableFromInline var element: Element
        @usableFromInline var bytes: Int
        @usableFromInline var since: UInt64

        @inlinable init(element: Element, bytes: Int, since: UInt64) {
            self.element = element
            self.bytes = bytes
            self.since = since
        }
    }

    @usableFromInline let bounds: ShortQueueBounds
    @usableFromInline var entries: [Entry] = []
    @usableFromInline var head = 0
    @usableFromInline var held = 0
    public var bytes: Int { held }

    @inlinable public init(bounds: ShortQueueBounds) { self.bounds = bounds }

    @inlinable public var isEmpty: Bool { head == entries.count }
    @inlinable public var count: Int { entries.count - head }

    @inlinable public var first: Element? { isEmpty ? nil : entries[head].element }

    /// False where it does not fit.
    @inlinable public mutating func append(_ element: Element, bytes size: Int, now: UInt64) -> Bool {
        guard held + size <= bounds.bytes else { return false }
        held += size
        entries.append(Entry(element: element, bytes: size, since: now))
        return true
    }

    /// The oldest, where its webhook has room for it.
    @inlinable public mutating func popFirst() -> Element? { isEmpty ? nil : pop() }

    /// The oldest, where it has waited too long.
    @inlinable public mutating func popExpired(now: UInt64) -> Element? {
        guard !isEmpty, now >= entries[head].since + bounds.wait else { return nil }
        return pop()
    }

    @inlinable mutating func pop() -> Element {
        let entry = entries[head]
        head += 1
        held -= entry.bytes
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
