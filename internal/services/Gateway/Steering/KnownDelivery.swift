internal import HTTPServing
internal import JSONScanning
internal import Records

/// A delivery, or the dead letter that it has become, as observability tells of it.
struct KnownDelivery: Sendable {
    enum Status: String, Sendable { case pending, retrying, parked, delivered, dead, cancelled }

    var id: DeliveryID
    var status: Status
    var explanation: String
    var generation: UInt32
    /// Of all its records.
    var partition: Int32
    var webhookID: String
    var eventID: String
    var eventType: String
    /// RFC 3339.
    var eventTime: String
    var reason: String
    var isBeingCancelled: Bool
    /// Where its event lies; nil: in its own record, which is not known yet.
    var origin: RecordPlace?
    /// The record that carries it on, or its dead letter.
    var record: RecordPlace?

    /// Throws where observability answers what it should not.
    init(_ json: JSONValue) throws(HistoryRefusal) {
        // What became a dead letter is told by that name.
        let isLetter = json["delivery_id"] != nil
        guard let id = (json["id"] ?? json["delivery_id"])?.text.flatMap({ DeliveryID($0) }),
            let status = isLetter ? .dead : json["status"]?.text.flatMap(Status.init),
            let webhookID = json["webhook_id"]?.text, let eventID = json["event_id"]?.text,
            let eventType = json["event_type"]?.text, let eventTime = json["event_time"]?.text
        else { throw HistoryRefusal(status: 200) }
        record = RecordPlace(json["record"])
        origin = RecordPlace(json["origin"])
        guard let partition = json["partition"]?.integer.flatMap(Int32.init(exactly:)) ?? record?.partition else {
            throw HistoryRefusal(status: 200)
        }
        self.id = id
        self.status = status
        self.partition = partition
        self.webhookID = webhookID
        self.eventID = eventID
        self.eventType = eventType
        self.eventTime = eventTime
        explanation = json["explanation"]?.text ?? ""
        generation = json["generation"]?.integer.flatMap(UInt32.init(exactly:)) ?? 0
        reason = (json["reason"] ?? json["last_reason"])?.text ?? ""
        isBeingCancelled = json["requested"]?["what"]?.text == "cancel"
    }
}

extension RecordPlace {
    /// nil for null.
    fileprivate init?(_ json: JSONValue?) {
        guard let topic = json?["topic"]?.text, let offset = json?["offset"]?.integer,
            let partition = json?["partition"]?.integer.flatMap(Int32.init(exactly:))
        else { return nil }
        self.init(topic: topic, partition: partition, offset: Int64(offset))
    }
}
