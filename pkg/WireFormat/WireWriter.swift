/// Writes one Protobuf message (https://protobuf.dev/programming-guides/encoding/). As in proto3, a field that holds its
/// default value is left out; for `optional` ones use the `present:` forms.
public struct WireWriter {
    /// What has been written so far.
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// Empties it; the memory stays.
    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    public mutating func reserve(_ count: Int) { bytes.reserveCapacity(count) }

    /// uint32, uint64, bool, enum.
    @inlinable public mutating func varint(_ field: UInt32, _ value: UInt64) {
        if value != 0 { varint(field, present: value) }
    }

    /// int32 and int64: negative values take ten bytes, as the encoding has it.
    @inlinable public mutating func int64(_ field: UInt32, _ value: Int64) { varint(field, UInt64(bitPattern: value)) }

    @inlinable public mutating func bool(_ field: UInt32, _ value: Bool) { varint(field, value ? 1 : 0) }

    @inlinable public mutating func string(_ field: UInt32, _ value: String) {
        if !value.isEmpty { string(field, present: value) }
    }

    @inlinable public mutating func bytes(_ field: UInt32, _ value: some Collection<UInt8>) {
        if !value.isEmpty { bytes(field, present: value) }
    }

    @inlinable public mutating func fixed64(_ field: UInt32, _ value: UInt64) {
        if value != 0 { fixed64(field, present: value) }
    }

    public mutating func varint(_ field: UInt32, present value: UInt64) {
        raw(UInt64(field) << 3)
        raw(value)
    }

    /// A repeated uint32, uint64, int64 or enum, packed.
    public mutating func varints(_ field: UInt32, _ values: [UInt64]) {
        guard !values.isEmpty else { return }
        var inner = WireWriter()
        for value in values { inner.raw(value) }
        bytes(field, present: inner.bytes)
    }

    public mutating func string(_ field: UInt32, present value: String) { bytes(field, present: value.utf8) }

    public mutating func bytes(_ field: UInt32, present value: some Collection<UInt8>) {
        raw(UInt64(field) << 3 | 2)
        raw(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    public mutating func fixed64(_ field: UInt32, present value: UInt64) {
        raw(UInt64(field) << 3 | 1)
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    /// One embedded message; repeated messages are several calls with the same field.
    public mutating func message(_ field: UInt32, _ write: (inout WireWriter) -> Void) {
        var inner = WireWriter()
        write(&inner)
        bytes(field, present: inner.bytes)
    }

    private mutating func raw(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}
