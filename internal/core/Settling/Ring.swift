/// A queue in a circular buffer, whose elements keep the number they were given on entry: so a holder of the number finds
/// its element in constant time however many have left before it.
struct Ring<Element: Sendable>: Sendable {
    private var buffer: [Element?] = Array(repeating: nil, count: 16)
    /// The number of the first element.
    private(set) var start: UInt64 = 0
    /// The number that the next element will get.
    private(set) var end: UInt64 = 0

    var isEmpty: Bool { start == end }
    var count: Int { Int(end - start) }

    func contains(_ number: UInt64) -> Bool { number >= start && number < end }

    private func index(_ number: UInt64) -> Int { Int(truncatingIfNeeded: number & UInt64(buffer.count - 1)) }

    subscript(number: UInt64) -> Element {
        get {
            precondition(contains(number))
            return buffer[index(number)]!
        }
        _modify {
            precondition(contains(number))
            yield &buffer[index(number)]!
        }
    }

    var first: Element? { isEmpty ? nil : self[start] }
    var last: Element? { isEmpty ? nil : self[end - 1] }

    @discardableResult
    mutating func append(_ element: Element) -> UInt64 {
        if count == buffer.count { grow() }
        buffer[index(end)] = element
        end += 1
        return end - 1
    }

    @discardableResult
    mutating func removeFirst() -> Element {
        let element = self[start]
        buffer[index(start)] = nil
        start += 1
        return element
    }

    private mutating func grow() {
        let old = self
        buffer = Array(repeating: nil, count: old.buffer.count * 2)
        for number in old.start..<old.end { buffer[index(number)] = old[number] }
    }
}
