internal import CLinux
internal import HTTPSending
internal import Kafka
internal import Records
internal import Settling

/// One consumed record, for as long as anything is owed for it; its deliveries share it. Payload and headers are copies: a record
/// kept in librdkafka's memory would pin the whole fetch it came in, for as long as the slowest endpoint takes.
final class Source {
    let partition: OwnedPartition
    let slot: PartitionSettlement.Slot
    let offset: Int64
    let timestamp: Int64
    /// nil where the record has none: a retry whose payload is gone.
    let payload: UnsafeRawBufferPointer?
    let fields: RecordFields
    let messageID: String
    let fanOut: Int
    private let held: HeldBytes

    init(
        _ record: borrowing Record, _ fields: RecordFields, in partition: OwnedPartition,
        slot: PartitionSettlement.Slot, fanOut: Int, held: HeldBytes
    ) {
        self.partition = partition
        self.slot = slot
        self.fanOut = fanOut
        self.held = held
        self.fields = fields
        offset = record.offset
        timestamp = record.timestamp
        payload = record.value.map { value in
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: value.count, alignment: 1)
            copy.copyMemory(from: value)
            return UnsafeRawBufferPointer(copy)
        }
        messageID = webhookMessageID(tenant: fields.tenant, source: fields.eventSource, eventID: fields.eventID)
        held.bytes += size
    }

    deinit {
        held.bytes -= size
        payload?.deallocate()
    }

    /// What it takes of the worker's memory, about.
    var size: Int { (payload?.count ?? 0) + 2_048 }
}

/// Bytes of payload that a worker holds.
final class HeldBytes {
    var bytes = 0
}

/// One delivery of one record, from its admission until its outcome is acknowledged.
final class Delivery {
    let source: Source
    /// nil where there is none to send to: it was deleted, or the record names none.
    let webhook: CompiledWebhook?
    let id: DeliveryID
    let webhookID: String
    /// Requests made before this one.
    let attemptsBefore: UInt32
    /// How often it has been written to `retries`.
    let generation: UInt32
    let parent: DeliveryID?
    /// When it began, in milliseconds since 1970.
    let since: Int64
    /// Why the last request that was no success failed, and its status (0: no answer); nil where there was none.
    var failure: (reason: String, status: UInt32)?
    var progress = DeliveryProgress()
    /// What will be written to `attempts`; complete once decided.
    var outcome = Outcome()
    /// Since its request ended.
    var ticket: Unacknowledged.Ticket?
    /// The request under way.
    var request: HTTPSendID?
    /// Whether it counts among the process's open requests.
    var isOpen = false
    /// Its payload fits into no record.
    var isByReference = false

    init(_ source: Source, to webhook: CompiledWebhook?) {
        self.source = source
        self.webhook = webhook
        let fields = source.fields.delivery
        webhookID = webhook?.id ?? fields?.webhookID ?? ""
        id =
            fields?.id
            ?? source.partition.identity.id(offset: source.offset, timestamp: source.timestamp, webhook: webhookID)
        attemptsBefore = fields?.attempt ?? 0
        generation = fields?.generation ?? 0
        parent = fields?.parent
        if let fields, fields.since > 0 {
            since = fields.since
        } else if let fields, fields.originTimestamp > 0 {
            since = fields.originTimestamp
        } else {
            since = source.timestamp > 0 ? source.timestamp : clinux_realtime_ms()
        }
        if let fields, !fields.failure.isEmpty { failure = (fields.failure, fields.status) }
    }

    /// How often it has been parked: each writing to `retries` followed either that or a request.
    var parkedBefore: Int { max(0, Int(generation) - Int(attemptsBefore)) }

    /// With the request that is being made. Numbers stay at the highest, which only a foreign record can have reached.
    var attempts: UInt32 { attemptsBefore == .max ? .max : attemptsBefore + 1 }
    /// Of what is written to `retries`.
    var nextGeneration: UInt32 { generation == .max ? .max : generation + 1 }

    /// The outcome's fields that are known before the request.
    func beginOutcome(requestID: UInt64, startedAtMs: Int64) {
        let fields = source.fields
        outcome.delivery = id
        outcome.webhookID = webhookID
        outcome.webhookVersion = webhook?.version ?? 0
        outcome.tenant = fields.tenant
        outcome.eventID = fields.eventID
        outcome.eventType = fields.eventType
        outcome.sourceTopic = source.partition.name.topic
        outcome.sourcePartition = source.partition.name.partition
        outcome.sourceOffset = source.offset
        outcome.sourceTimestampMs = source.timestamp
        outcome.fanOut = UInt32(source.fanOut)
        outcome.requestID = requestID
        outcome.attempt = attemptsBefore
        outcome.generation = generation
        outcome.startedAtMs = startedAtMs
        outcome.parent = parent
        let origin = origin
        outcome.originTopic = origin.topic
        outcome.originPartition = origin.partition
        outcome.originOffset = origin.offset
        outcome.eventTimeMs = origin.timestamp
    }

    /// The outcome is that nothing more is tried.
    func giveUp(_ reason: String) {
        outcome.kind = .dead
        outcome.reason = reason
        outcome.failure = failure?.reason ?? ""
        outcome.generation = generation
        outcome.dueAtMs = 0
    }

    /// Where the event itself lies, and its time there.
    var origin: (topic: String, partition: Int32, offset: Int64, timestamp: Int64) {
        if let fields = source.fields.delivery, !fields.originTopic.isEmpty {
            return (fields.originTopic, fields.originPartition, fields.originOffset, fields.originTimestamp)
        }
        return (source.partition.name.topic, source.partition.name.partition, source.offset, source.timestamp)
    }
}
