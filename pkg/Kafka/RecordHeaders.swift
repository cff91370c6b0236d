/// The headers of a record to produce, packed into one reusable buffer: filling it again allocates nothing.
public struct RecordHeaders: Sendable {
    /// See `ckafka_record.headers` for the layout.
    private(set) var bytes: [UInt8] = []
    public private(set) var count = 0

    public init() {}

    public static let none = RecordHeaders()

    /// With room for so many bytes.
    public init(reserving bytes: Int) { self.bytes.reserveCapacity(bytes) }

    /// What they take in memory.
    public var byteCount: Int { bytes.count }

    public var isEmpty: Bool { count == 0 }

    /// Empties it and keeps the memory.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        count = 0
    }

    /// Adds a header; one name may come several times. A nil value is Kafka's null. Neither may be 4 GiB or longer.
    public mutating func append(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?) {
        appendLength(UInt32(name.count))
        appendLength(value.map { UInt32($0.count) } ?? .max)
        bytes.append(contentsOf: name)
        if let value { bytes.append(contentsOf: value) }
        count += 1
    }

    public mutating func append(_ name: StaticString, _ value: UnsafeRawBufferPointer?) {
        append(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), value)
    }

    public mutating func append(_ name: StaticString, _ value: [UInt8]) {
        value.withUnsafeBytes { append(name, $0) }
    }

    public mutating func append(_ name: StaticString, _ value: String) {
        var value = value
        value.withUTF8 { append(name, UnsafeRawBufferPointer($0)) }
    }

    public mutating func append(_ name: String, _ value: String) {
        var name = name
        var value = value
        name.withUTF8 { name in value.withUTF8 { append(UnsafeRawBufferPointer(name), UnsafeRawBufferPointer($0)) } }
    }

    /// Adds every header of a consumed record that `isIncluded` accepts by name.
    public mutating func append(
        from record: borrowing Record, where isIncluded: (UnsafeRawBufferPointer) -> Bool = { _ in true }
    ) {
        record.forEachHeader { name, value in
            if isIncluded(name) { append(name, value) }
        }
    }

    /// Visits the headers in order. The buffers are valid during the call.
    public func forEach(_ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?) -> Void) {
        bytes.withUnsafeBytes { bytes in
            var index = 0
            for _ in 0..<count {
                let nameLength = Int(bytes.loadUnaligned(fromByteOffset: index, as: UInt32.self))
                let valueLength = bytes.loadUnaligned(fromByteOffset: index + 4, as: UInt32.self)
                let name = UnsafeRawBufferPointer(rebasing: bytes[(index + 8)..<(index + 8 + nameLength)])
                index += 8 + nameLength
                guard valueLength != .max else {
                    body(name, nil)
                    continue
                }
                body(name, UnsafeRawBufferPointer(rebasing: bytes[index..<(index + Int(valueLength))]))
                index += Int(valueLength)
            }
        }
    }

    private mutating func appendLength(_ length: UInt32) {
        withUnsafeBytes(of: length) { bytes.append(contentsOf: $0) }
    }
}
