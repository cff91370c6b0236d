internal import Delivering
internal import Records
internal import Settling

/// A source partition while a dispatcher owns it.
final class OwnedPartition {
    let place: Place
    /// Counts the ownerships of one world.
    let number: Int
    let identity: DeliveryIdentity
    var settlement: PartitionSettlement
    /// Where the consumer reads next.
    var position: Int64
    var committed: CommitPoint?
    var isClosing = false
    var isLost = false
    var hasUnread = true
    /// Requests and writes that have not come to their end.
    var busy = 0
    /// `attempts` was read up to here when the partition was taken over.
    let attemptsEnd: Int64
    /// What batches' notes would be if none were inherited.
    var freshNotes: [(first: Int64, note: Int64)] = []

    init(_ place: Place, number: Int, settlement: PartitionSettlement, attemptsEnd: Int64) {
        self.number = number
        self.attemptsEnd = attemptsEnd
        self.place = place
        self.settlement = settlement
        position = settlement.position
        identity = DeliveryIdentity(logID: "log", topic: place.topic.name, partition: Int32(place.partition))
    }
}

/// One delivery of one record, from its admission until its outcome is acknowledged.
final class Delivery {
    let partition: OwnedPartition
    let slot: PartitionSettlement.Slot
    let offset: Int64
    let timestamp: Int64
    let fanOut: Int
    let webhookID: String
    /// In the dispatcher's table, nil where it is not.
    let webhook: SimulatedWebhook?
    let fields: DeliveryFields
    let isEvent: Bool
    var progress = DeliveryProgress()
    var outcome = Outcome()
    var dueAtMs: Int64 = 0
    var ticket: Unacknowledged.Ticket?
    var isOpen = false
    private let held: HeldBytes

    init(
        _ record: Record, in partition: OwnedPartition, slot: PartitionSettlement.Slot, fanOut: Int,
        webhook: SimulatedWebhook?, held: HeldBytes
    ) {
        self.partition = partition
        self.slot = slot
        self.fanOut = fanOut
        self.webhook = webhook
        self.held = held
        offset = record.offset
        timestamp = record.timestamp
        if case .delivery(let fields) = record.value {
            self.fields = fields
            webhookID = webhook?.id ?? fields.webhook
            isEvent = false
        } else {
            webhookID = webhook?.id ?? ""
            let id = partition.identity.id(offset: record.offset, timestamp: record.timestamp, webhook: webhookID)
            fields = DeliveryFields(
                id: id, webhook: webhookID, generation: 0, attempt: 0, originOffset: record.offset,
                originTimestamp: record.timestamp, since: record.timestamp)
            isEvent = true
        }
        held.bytes += Figures.payloadBytes
    }

    deinit { held.bytes -= Figures.payloadBytes }

    var id: DeliveryID { fields.id }
    var attempts: UInt32 { fields.attempt + 1 }
    var parkedBefore: Int { max(0, Int(fields.generation) - Int(fields.attempt)) }

    /// The outcome's fields that are known before the request.
    func beginOutcome(requestID: UInt64) {
        outcome.delivery = id
        outcome.webhookID = webhookID
        outcome.sourceTopic = partition.place.topic.name
        outcome.sourcePartition = Int32(partition.place.partition)
        outcome.sourceOffset = offset
        outcome.sourceTimestampMs = timestamp
        outcome.fanOut = UInt32(fanOut)
        outcome.requestID = requestID
        outcome.attempt = fields.attempt
        outcome.generation = fields.generation
        outcome.originOffset = fields.originOffset
    }

    /// What goes to `retries` or `dead-letters` once the outcome is decided.
    var carriedOn: DeliveryFields {
        var fields = fields
        fields.generation = outcome.generation
        fields.attempt = outcome.attempt
        return fields
    }
}

/// Bytes of payload that a dispatcher holds.
final class HeldBytes {
    var bytes = 0
}
