/// What a crash can repeat: the requests that run or whose outcome Kafka has not acknowledged. A request starts only while
/// both their number and the age of the oldest finished one are below their bounds.
public struct CrashBound: Equatable, Sendable {
    /// Requests of the whole process, running or unacknowledged.
    public var maxOpen: Int
    /// Nanoseconds since the oldest unacknowledged request ended.
    public var maxAge: UInt64

    public init(maxOpen: Int, maxAge: UInt64) {
        self.maxOpen = maxOpen
        self.maxAge = maxAge
    }

    /// - Parameters:
    ///   - open: requests running or unacknowledged, without the one that asks.
    ///   - oldest: when the oldest unacknowledged one ended (monotonic nanoseconds); nil where all are acknowledged.
    public func allowsStart(open: Int, oldest: UInt64?, now: UInt64) -> Bool {
        guard open < maxOpen else { return false }
        guard let oldest else { return true }
        return now < oldest || now - oldest < maxAge
    }
}

/// When the requests whose outcome is unacknowledged ended, oldest first. Acknowledgements come in any order.
public struct Unacknowledged: Sendable {
    public struct Ticket: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    private struct Entry {
        var ended: UInt64
        var done: Bool
    }

    private var entries = Ring<Entry>()

    public init() {}

    /// - Parameter now: monotonic nanoseconds, never less than before.
    public mutating func add(now: UInt64) -> Ticket { Ticket(number: entries.append(Entry(ended: now, done: false))) }

    public mutating func remove(_ ticket: Ticket) {
        entries[ticket.number].done = true
        while let first = entries.first, first.done { entries.removeFirst() }
    }

    /// When the oldest of them ended.
    public var oldest: UInt64? { entries.first?.ended }
}
