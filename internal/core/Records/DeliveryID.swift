/// One event for one webhook. As text: `dlv_` and 32 hexadecimal digits.
public struct DeliveryID: Hashable, Sendable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    fileprivate init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// From its 16 bytes; nil for another number of them.
    public init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 16 else { return nil }
        high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    public init?(bytes: [UInt8]) {
        guard let id = bytes.withUnsafeBytes({ DeliveryID(bytes: $0) }) else { return nil }
        self = id
    }

    /// A delivery that no record brings about but a user; from random words.
    public init(random high: UInt64, _ low: UInt64) {
        self.init(high: high, low: low)
    }

    /// From its text; nil where that is none.
    public init?(text: UnsafeRawBufferPointer) {
        guard text.count == 36, text.starts(with: "dlv_".utf8) else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        for (index, byte) in text.dropFirst(4).enumerated() {
            guard let digit = hexDigit(byte) else { return nil }
            if index < 16 { words.0 = words.0 << 4 | digit } else { words.1 = words.1 << 4 | digit }
        }
        (high, low) = words
    }

    public init?(_ text: String) {
        var text = text
        guard let id = text.withUTF8({ DeliveryID(text: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = id
    }

    /// The 16 bytes, as they stand in `Outcome.delivery_id` and in the retry index.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16)
        for word in [high, low] {
            for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        return bytes
    }

    /// 64 of its bits, for tables whose size counts and where taking one delivery for another costs little.
    public var word: UInt64 { low }

    public var description: String { withText { String(decoding: $0, as: UTF8.self) } }

    /// Calls `body` with the text's bytes, which are valid during the call.
    public func withText<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeTemporaryAllocation(byteCount: 36, alignment: 1) { text in
            text.copyBytes(from: "dlv_".utf8)
            fillHex(UnsafeMutableRawBufferPointer(rebasing: text[4..<20]), high)
            fillHex(UnsafeMutableRawBufferPointer(rebasing: text[20..<36]), low)
            return body(UnsafeRawBufferPointer(text))
        }
    }
}

/// Makes the ids of the deliveries of one partition. They follow from what the log itself holds, so a record read again
/// gives the same id, and a record of a recreated topic or another cluster gives another.
public struct DeliveryIdentity: Sendable {
    private let prefix: SipHash128

    public init(logID: String, topic: String, partition: Int32) {
        var hash = SipHash128(key0: 0x746c_6572_7472_616d, key1: 0x7972_6576_696c_6564)
        hash.update(logID)
        hash.update(topic)
        hash.update(Int64(partition))
        prefix = hash
    }

    /// - Parameter timestamp: the record's, in milliseconds since 1970.
    public func id(offset: Int64, timestamp: Int64, webhook: String) -> DeliveryID {
        var hash = prefix
        hash.update(offset)
        hash.update(timestamp)
        hash.update(webhook)
        let (high, low) = hash.finish()
        return DeliveryID(high: high, low: low)
    }
}

/// What an endpoint gets as `webhook-id`: the event's id where it is `[A-Za-z0-9_-]{1,128}`, else `evt_` and a hash of tenant,
/// source and id, so that it is the same in every attempt and safe in a header.
public func webhookMessageID(tenant: String, source: String, eventID: String) -> String {
    let isPlain = eventID.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
    if isPlain, (1...128).contains(eventID.utf8.count) { return eventID }
    var hash = SipHash128(key0: 0x746c_6572_7472_616d, key1: 0x6576_656e_7469_6473)
    hash.update(tenant)
    hash.update(source)
    hash.update(eventID)
    let (high, low) = hash.finish()
    return "evt_" + hexText(high) + hexText(low)
}

/// Sixteen lower-case hexadecimal digits.
func hexText(_ word: UInt64) -> String {
    String(unsafeUninitializedCapacity: 16) { buffer in
        fillHex(UnsafeMutableRawBufferPointer(buffer), word)
        return 16
    }
}

private func fillHex(_ digits: UnsafeMutableRawBufferPointer, _ word: UInt64) {
    for index in 0..<16 {
        let digit = UInt8(truncatingIfNeeded: word >> (60 - 4 * index)) & 15
        digits[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
}

private func hexDigit(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a")) + 10
    default: nil
    }
}
