internal import Records

/// Names the lane of a webhook within a partition: 47 bits hashed from the webhook's id. Two webhooks that happen to share a
/// name share a lane, which makes them slower and nothing else.
public struct LaneID: Hashable, Sendable {
    /// The highest of the 48 bits is set, so that no name begins as the index's header does.
    private let bits: UInt64

    public init(webhook: String) {
        var hash = SipHash128(key0: 0x746c_6572_7472_616d, key1: 0x7365_6e61_6c5f_5f5f)
        hash.update(webhook)
        bits = hash.finish().0 >> 16 | 1 << 47
    }

    public static let byteCount = 6

    public var bytes: [UInt8] { bigEndian(bits) }

    /// nil for what names none.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, bytes[0] & 0x80 != 0 else { return nil }
        bits = number(bytes)
    }
}

/// Where a delivery waits in a lane: the lane, and since when there was this delivery, which orders them.
public struct LanePlace: Equatable, Sendable {
    public var lane: LaneID
    /// Milliseconds since 1970; 48 bits are kept.
    public private(set) var sinceMs: Int64

    public init(lane: LaneID, sinceMs: Int64) {
        self.lane = lane
        self.sinceMs = min(max(0, sinceMs), 1 << 48 - 2)
    }

    public static let byteCount = 12

    /// Lane and time, so that the bytes order a lane's deliveries by age, followed by the delivery's own.
    public var bytes: [UInt8] { lane.bytes + Self.bytes(sinceMs: sinceMs) }

    /// The time's part of them.
    public static func bytes(sinceMs: Int64) -> [UInt8] { bigEndian(UInt64(max(0, sinceMs))) }

    /// nil for what is none.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, let lane = LaneID(bytes: Array(bytes[..<6])) else { return nil }
        self.init(lane: lane, sinceMs: Int64(number(bytes[6...])))
    }
}

private func bigEndian(_ number: UInt64) -> [UInt8] {
    stride(from: 40, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> $0) }
}

private func number(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
