internal import Glibc
internal import HTTPSending
internal import Kafka
internal import Records

/// What the dispatcher needs to know of a record, read from its headers in one pass, and the headers themselves, to go
/// with the payload wherever that goes.
struct RecordFields {
    var eventID = ""
    var eventType = ""
    var eventSource = ""
    var eventSubject = ""
    var tenant = defaultTenant
    /// Of a record of `deliveries`; nil in one that brings an event.
    var delivery: DeliveryFields?
    /// CloudEvents attributes and what else belongs to the event, as they came.
    var eventHeaders = RecordHeaders(reserving: 512)

    struct DeliveryFields {
        var id: DeliveryID?
        var parent: DeliveryID?
        var webhookID = ""
        var generation: UInt32 = 0
        var attempt: UInt32 = 0
        var originTopic = ""
        var originPartition: Int32 = 0
        var originOffset: Int64 = 0
        var originTimestamp: Int64 = 0
        /// Milliseconds since 1970; 0: not said.
        var since: Int64 = 0
        /// Of the last request that failed; empty and 0: none did.
        var failure = ""
        var status: UInt32 = 0
        var isCancelled = false
    }

    /// - Parameter isDelivery: whether it comes from `deliveries`. What else claims to be a delivery is an event all the same: a dead
    ///   letter, say, that someone has copied to a topic of events.
    init(_ record: borrowing Record, isDelivery: Bool) {
        if isDelivery { delivery = DeliveryFields() }
        record.forEachHeader { name, value in
            guard let value else { return }
            if name.hasPrefix("martlet-") {
                delivery?.read(name, value)
                return
            }
            eventHeaders.append(name, value)
            read(attribute: name, value)
        }
    }

    /// Why no endpoint can be sent this, nil where it can: CloudEvents requires these attributes.
    var defect: String? {
        if eventID.isEmpty { return "ce_id_missing" }
        if eventType.isEmpty { return "ce_type_missing" }
        if eventSource.isEmpty { return "ce_source_missing" }
        if let delivery, delivery.id == nil { return "delivery_id_invalid" }
        return nil
    }

    private mutating func read(attribute name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        if name.is(RecordHeader.id) {
            eventID = String(decoding: value, as: UTF8.self)
        } else if name.is(RecordHeader.type) {
            eventType = String(decoding: value, as: UTF8.self)
        } else if name.is(RecordHeader.source) {
            eventSource = String(decoding: value, as: UTF8.self)
        } else if name.is(RecordHeader.subject) {
            eventSubject = String(decoding: value, as: UTF8.self)
        } else if name.is(RecordHeader.tenant) {
            tenant = String(decoding: value, as: UTF8.self)
        }
    }

    /// Adds the lines that say to an endpoint what the headers say: CloudEvents' HTTP binding in binary mode.
    func appendRequestLines(to lines: inout HeaderLines) {
        var hasContentType = false
        eventHeaders.forEach { name, value in
            guard let value else { return }
            if name.hasPrefix("ce_") {
                withUnsafeTemporaryAllocation(byteCount: name.count, alignment: 1) { renamed in
                    renamed.copyMemory(from: name)
                    renamed[2] = UInt8(ascii: "-")
                    Self.append(UnsafeRawBufferPointer(renamed), value, encodes: true, to: &lines)
                }
            } else if name.is(RecordHeader.contentType) {
                hasContentType = true
                Self.append(name, value, encodes: false, to: &lines)
            } else if name.is(RecordHeader.traceParent) {
                Self.append(name, value, encodes: false, to: &lines)
            }
        }
        if !hasContentType { lines.append("content-type", "application/json") }
    }

    /// CloudEvents' HTTP binding percent-encodes what is no printable ASCII, and space, quote and percent; the other headers
    /// keep those. So no value can end its line; a name that is no header name is left out.
    private static func append(
        _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, encodes: Bool, to lines: inout HeaderLines
    ) {
        guard value.contains(where: { isSpecial($0, encodes: encodes) }) else {
            lines.append(name, value)
            return
        }
        var encoded: [UInt8] = []
        for byte in value { append(byte, encodes: encodes, to: &encoded) }
        encoded.withUnsafeBytes { _ = lines.append(name, $0) }
    }

    private static func isSpecial(_ byte: UInt8, encodes: Bool) -> Bool {
        if byte < 0x20 || byte >= 0x7f { return true }
        return encodes && (byte == 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "%"))
    }

    private static func append(_ byte: UInt8, encodes: Bool, to bytes: inout [UInt8]) {
        guard isSpecial(byte, encodes: encodes) else { return bytes.append(byte) }
        bytes.append(UInt8(ascii: "%"))
        for digit in [byte >> 4, byte & 15] {
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10)
        }
    }
}

extension RecordFields.DeliveryFields {
    fileprivate mutating func read(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let text = String(decoding: value, as: UTF8.self)
        if name.is(RecordHeader.delivery) {
            id = DeliveryID(text: value)
        } else if name.is(RecordHeader.parent) {
            parent = DeliveryID(text: value)
        } else if name.is(RecordHeader.webhook) {
            webhookID = text
        } else if name.is(RecordHeader.generation) {
            generation = UInt32(text) ?? 0
        } else if name.is(RecordHeader.attempt) {
            attempt = UInt32(text) ?? 0
        } else if name.is(RecordHeader.originTopic) {
            originTopic = text
        } else if name.is(RecordHeader.originPartition) {
            originPartition = Int32(text) ?? 0
        } else if name.is(RecordHeader.originOffset) {
            originOffset = Int64(text) ?? 0
        } else if name.is(RecordHeader.originTimestamp) {
            originTimestamp = Int64(text) ?? 0
        } else if name.is(RecordHeader.since) {
            since = Int64(text) ?? 0
        } else if name.is(RecordHeader.failure) {
            failure = text
        } else if name.is(RecordHeader.status) {
            status = UInt32(text) ?? 0
        } else if name.is(RecordHeader.command) {
            isCancelled = text == "cancel"
        }
    }
}

extension UnsafeRawBufferPointer {
    func `is`(_ name: StaticString) -> Bool { count == name.utf8CodeUnitCount && hasPrefix(name) }

    func hasPrefix(_ prefix: StaticString) -> Bool {
        count >= prefix.utf8CodeUnitCount && memcmp(baseAddress!, prefix.utf8Start, prefix.utf8CodeUnitCount) == 0
    }
}
