internal import Delivering
internal import Kafka
internal import Records

extension Delivery {
    /// How much of an endpoint's answer a dead letter repeats.
    private static let maxResponseBytes = 1_024

    /// What a record of `retries` or `dead-letters` says about the delivery, once its outcome is decided.
    func appendHeaders(to headers: inout RecordHeaders) {
        let isDead = outcome.kind == .dead
        let origin = origin
        headers.append(RecordHeader.delivery, id.description)
        headers.append(RecordHeader.webhook, webhookID)
        headers.append(RecordHeader.generation, String(outcome.generation))
        headers.append(RecordHeader.attempt, String(outcome.attempt))
        headers.append(RecordHeader.originTopic, origin.topic)
        headers.append(RecordHeader.originPartition, String(origin.partition))
        headers.append(RecordHeader.originOffset, String(origin.offset))
        headers.append(RecordHeader.originTimestamp, String(origin.timestamp))
        headers.append(RecordHeader.since, String(since))
        headers.append(RecordHeader.reason, outcome.reason)
        if let failure {
            headers.append(RecordHeader.failure, failure.reason)
            if failure.status > 0 { headers.append(RecordHeader.status, String(failure.status)) }
        }
        if let parent { headers.append(RecordHeader.parent, parent.description) }
        if !isDead {
            headers.append(RecordHeader.due, String(outcome.dueAtMs))
            if WebhookHold(reason: outcome.reason) != nil { headers.append(RecordHeader.lane, webhookID) }
        } else if !outcome.response.isEmpty {
            outcome.response.prefix(Self.maxResponseBytes).withUnsafeBytes { headers.append(RecordHeader.response, $0) }
        }
    }
}
