internal import JSONScanning
internal import Kafka
internal import Records

/// The record that carries an event to topic `events`: CloudEvents' Kafka binding in binary mode, the body that endpoints will get as
/// its value. Filling it again uses its memory again.
struct EventRecord {
    private(set) var key: [UInt8] = []
    private(set) var value: [UInt8] = []
    private(set) var headers = RecordHeaders()
    /// Whether its key alone decides its partition: the event has an ordering key.
    private(set) var isOrdered = false
    private var idEnd = 0

    /// The event's id, given or drawn, as JSON: the first member of the value.
    var idJSON: ArraySlice<UInt8> { value[Self.idStart..<idEnd] }

    private static let idStart = 6

    /// Memory that it keeps.
    var heldBytes: Int { value.capacity }

    /// - Parameters:
    ///   - body: what the event was parsed from.
    ///   - traceParent: the request's, where it is one.
    mutating func build(
        _ event: ParsedEvent, body: UnsafeRawBufferPointer, tenant: String, traceParent: UnsafeRawBufferPointer?,
        stamp: inout EventStamp
    ) {
        key.removeAll(keepingCapacity: true)
        value.removeAll(keepingCapacity: true)
        headers.removeAll()
        isOrdered = event.orderingKey != nil
        value.reserveCapacity(body.count + 128)
        // These two are needed as text; the others are copied as they stand.
        let drawnID = event.id == nil ? stamp.drawID() : []
        buildValue(event, body, drawnID, stamp.timeText)
        buildHeaders(event, body, tenant, drawnID, stamp.timeText)
        if let traceParent, isTraceParent(traceParent) { headers.append(RecordHeader.traceParent, traceParent) }
        key.append(contentsOf: tenant.utf8)
        key.append(0)
        if let chosen = event.orderingKey ?? event.id {
            chosen.withBytes(of: body) { key.append(contentsOf: $0) }
        } else {
            key.append(contentsOf: drawnID)
        }
    }

    /// Strings and `data` go through byte for byte, escapes included.
    private mutating func buildValue(
        _ event: ParsedEvent, _ body: UnsafeRawBufferPointer, _ drawnID: [UInt8], _ time: [UInt8]
    ) {
        value.append(contentsOf: #"{"id":"#.utf8)
        append(event.id?.json, of: body, orQuoted: drawnID)
        idEnd = value.count
        value.append(contentsOf: #","type":"#.utf8)
        append(event.type.json, of: body)
        value.append(contentsOf: #","source":"#.utf8)
        append(event.source.json, of: body)
        value.append(contentsOf: #","timestamp":"#.utf8)
        append(event.timestamp?.json, of: body, orQuoted: time)
        value.append(contentsOf: #","data":"#.utf8)
        if let data = event.data { append(data, of: body) } else { value.append(contentsOf: "null".utf8) }
        value.append(UInt8(ascii: "}"))
    }

    private mutating func append(_ range: Range<Int>, of body: UnsafeRawBufferPointer) {
        value.append(contentsOf: UnsafeRawBufferPointer(rebasing: body[range]))
    }

    private mutating func append(_ range: Range<Int>?, of body: UnsafeRawBufferPointer, orQuoted text: [UInt8]) {
        if let range { return append(range, of: body) }
        value.append(UInt8(ascii: "\""))
        value.append(contentsOf: text)
        value.append(UInt8(ascii: "\""))
    }

    private mutating func buildHeaders(
        _ event: ParsedEvent, _ body: UnsafeRawBufferPointer, _ tenant: String, _ drawnID: [UInt8], _ time: [UInt8]
    ) {
        append(RecordHeader.id, event.id, of: body, or: drawnID)
        event.type.withBytes(of: body) { headers.append(RecordHeader.type, $0) }
        event.source.withBytes(of: body) { headers.append(RecordHeader.source, $0) }
        append(RecordHeader.time, event.timestamp, of: body, or: time)
        headers.append(RecordHeader.specVersion, "1.0")
        headers.append(RecordHeader.contentType, "application/json")
        headers.append(RecordHeader.tenant, tenant)
        event.orderingKey?.withBytes(of: body) { headers.append(RecordHeader.orderingKey, $0) }
    }
}

extension EventRecord {
    private mutating func append(
        _ name: StaticString, _ text: EventText?, of body: UnsafeRawBufferPointer, or other: [UInt8]
    ) {
        guard let text else { return headers.append(name, other) }
        text.withBytes(of: body) { headers.append(name, $0) }
    }
}

/// W3C Trace Context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`, neither id all zeros.
func isTraceParent(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count == 55, UnsafeRawBufferPointer(rebasing: bytes[..<3]).isText("00-") else { return false }
    var isZero = true
    for index in 3..<55 {
        switch bytes[index] {
        case UInt8(ascii: "-"):
            guard index == 35 || index == 52, !isZero else { return false }
            isZero = true
        case UInt8(ascii: "0"): continue
        case UInt8(ascii: "1")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): isZero = false
        default: return false
        }
    }
    return bytes[35] == UInt8(ascii: "-") && bytes[52] == UInt8(ascii: "-")
}
