internal import HTTPServing
internal import Kafka
internal import Records

/// An event's payload and headers, read back from Kafka to be sent once more.
struct EventSource: Sendable {
    var payload: [UInt8]
    /// Those of the event, as they came.
    var headers: RecordHeaders
    var origin: RecordPlace
    /// Milliseconds since 1970.
    var originTimestamp: Int64

    /// The event's own record. Offsets outlive their log, so a record that is another event's, or another tenant's, is none.
    init?(origin record: CopiedRecord, at place: RecordPlace, of delivery: KnownDelivery, tenant: String) {
        guard record.text(RecordHeader.id) ?? "" == delivery.eventID,
            record.text(RecordHeader.tenant) ?? defaultTenant == tenant
        else { return nil }
        self.init(record, origin: place, timestamp: record.timestamp)
    }

    /// The delivery's own record, in `retries` or `dead-letters`.
    init?(own record: CopiedRecord, of delivery: KnownDelivery, tenant: String) {
        guard record.text(RecordHeader.delivery) == delivery.id.description,
            record.text(RecordHeader.tenant) ?? defaultTenant == tenant, let origin = delivery.origin
        else { return nil }
        self.init(
            record, origin: origin,
            timestamp: record.text(RecordHeader.originTimestamp).flatMap { Int64($0) } ?? record.timestamp)
    }

    private init(_ record: CopiedRecord, origin: RecordPlace, timestamp: Int64) {
        payload = record.value ?? []
        self.origin = origin
        originTimestamp = timestamp
        headers = RecordHeaders()
        for header in record.headers where !header.name.hasPrefix("martlet-") {
            var name = header.name
            name.withUTF8 { name in
                guard let value = header.value else { return headers.append(UnsafeRawBufferPointer(name), nil) }
                value.withUnsafeBytes { headers.append(UnsafeRawBufferPointer(name), $0) }
            }
        }
    }
}

extension CopiedRecord {
    fileprivate func text(_ name: StaticString) -> String? {
        header("\(name)").map { String(decoding: $0, as: UTF8.self) }
    }
}

extension SteeringKafka {
    /// Reasons for which a dead letter has no payload.
    private static let withoutPayload: Set<String> = ["payload_lost", "payload_too_large"]

    /// The payload of a delivery: of the event's record, or of the delivery's own one.
    /// - Parameter prefersOwn: Its own record is asked for first, as a dead letter's outlives the event's.
    /// Throws 410 `payload_gone` where neither is there any more.
    func source(
        of delivery: KnownDelivery, tenant: String, prefersOwn: Bool
    ) async throws(HTTPProblem) -> EventSource {
        let own = prefersOwn ? try await ownSource(delivery, tenant) : nil
        if let own, !own.payload.isEmpty { return own }
        if let place = delivery.origin, let record = try await record(place),
            let source = EventSource(origin: record, at: place, of: delivery, tenant: tenant)
        {
            return source
        }
        // What is empty there may be an empty event, or one whose payload was gone already.
        if let last = prefersOwn ? own : try await ownSource(delivery, tenant),
            !last.payload.isEmpty || !Self.withoutPayload.contains(delivery.reason)
        {
            return last
        }
        throw HTTPProblem(
            status: 410, code: "payload_gone",
            detail: "Kafka's retention has taken the payload, so this cannot be sent again; send the event anew.")
    }

    private func ownSource(_ delivery: KnownDelivery, _ tenant: String) async throws(HTTPProblem) -> EventSource? {
        guard let place = delivery.record, let record = try await record(place) else { return nil }
        return EventSource(own: record, of: delivery, tenant: tenant)
    }
}
