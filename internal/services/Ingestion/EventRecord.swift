public import Cryptography
internal import JSONScanning
public import Kafka
internal import Records

/// The record that carries an event to topic `events`: CloudEvents' Kafka binding in binary mode, the body that endpoints will get as
/// its value. Its buffers are reused: one per thread.
public struct EventRecord {
    public private(set) var key: [UInt8] = []
    public private(set) var value: [UInt8] = []
    public private(set) var headers = RecordHeaders()
    /// The event's id, given or drawn.
    public private(set) var id = ""

    public init() {}

    /// - Parameters:
    ///   - body: what the event was parsed from.
    ///   - traceParent: the request's, where it is one.
    ///   - nowMs: milliseconds since 1970.
    public mutating func build(
        _ event: ParsedEvent, body: UnsafeRawBufferPointer, tenant: String, traceParent: UnsafeRawBufferPointer?,
        nowMs: Int64,
        random: BufferedRandom
    ) {
        id = event.id ?? uuid7(nowMs, random)
        let time = event.timestamp ?? rfc3339(nowMs)
        buildValue(event, body, time)
        headers.removeAll()
        headers.append(RecordHeader.id, id)
        headers.append(RecordHeader.type, event.type)
        headers.append(RecordHeader.source, event.source)
        headers.append(RecordHeader.time, time)
        headers.append(RecordHeader.specVersion, "1.0")
        headers.append(RecordHeader.contentType, "application/json")
        headers.append(RecordHeader.tenant, tenant)
        if let orderingKey = event.orderingKey { headers.append(RecordHeader.orderingKey, orderingKey) }
        if let traceParent, isTraceParent(traceParent) { headers.append(RecordHeader.traceParent, traceParent) }
        key.removeAll(keepingCapacity: true)
        key.append(contentsOf: tenant.utf8)
        key.append(0)
        key.append(contentsOf: (event.orderingKey ?? id).utf8)
    }

    /// `data` goes through byte for byte.
    private mutating func buildValue(_ event: ParsedEvent, _ body: UnsafeRawBufferPointer, _ time: String) {
        var writer = JSONWriter(reserving: body.count + 128)
        writer.object { writer in
            writer.member("id", id)
            writer.member("type", event.type)
            writer.member("source", event.source)
            writer.member("timestamp", time)
            writer.key("data")
            if let data = event.data {
                writer.raw(UnsafeRawBufferPointer(rebasing: body[data]))
            } else {
                writer.null()
            }
        }
        value = writer.bytes
    }
}

/// A UUID of version 7 (RFC 9562, 5.7): milliseconds, then random bits.
func uuid7(_ nowMs: Int64, _ random: BufferedRandom) -> String {
    let first = UInt64(bitPattern: nowMs) << 16 | 0x7000 | random.next() & 0xfff
    let second = random.next() >> 2 | 1 << 63
    let digits = hexDigits(first) + hexDigits(second)
    var text = ""
    text.reserveCapacity(36)
    for (index, digit) in digits.enumerated() {
        if [8, 12, 16, 20].contains(index) { text.append("-") }
        text.append(digit)
    }
    return text
}

private func hexDigits(_ word: UInt64) -> String {
    let digits = String(word, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

/// W3C Trace Context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
func isTraceParent(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count == 55, bytes.starts(with: "00-".utf8), bytes[35] == UInt8(ascii: "-"),
        bytes[52] == UInt8(ascii: "-")
    else {
        return false
    }
    for index in 3..<55 where index != 35 && index != 52 {
        switch bytes[index] {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): continue
        default: return false
        }
    }
    return true
}
