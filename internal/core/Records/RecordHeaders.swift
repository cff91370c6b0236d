/// The names of record headers. Events carry CloudEvents' Kafka binding in binary mode
/// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md); records that carry a delivery
/// on repeat those and add the delivery's own.
public enum RecordHeader {
    // Of an event.
    public static let id: StaticString = "ce_id"
    public static let type: StaticString = "ce_type"
    public static let source: StaticString = "ce_source"
    /// What the event is about.
    public static let subject: StaticString = "ce_subject"
    /// RFC 3339.
    public static let time: StaticString = "ce_time"
    public static let specVersion: StaticString = "ce_specversion"
    public static let contentType: StaticString = "content-type"
    /// Absent: `default`.
    public static let tenant: StaticString = "tenant"
    public static let orderingKey: StaticString = "orderingkey"
    /// W3C Trace Context.
    public static let traceParent: StaticString = "traceparent"

    // Of a delivery, in `deliveries`, `retries` and `dead-letters`. Numbers are decimal text, times milliseconds since 1970.
    public static let delivery: StaticString = "martlet-delivery"
    public static let generation: StaticString = "martlet-generation"
    /// Requests made so far.
    public static let attempt: StaticString = "martlet-attempt"
    public static let webhook: StaticString = "martlet-webhook"
    public static let originTopic: StaticString = "martlet-origin-topic"
    public static let originPartition: StaticString = "martlet-origin-partition"
    public static let originOffset: StaticString = "martlet-origin-offset"
    public static let originTimestamp: StaticString = "martlet-origin-timestamp"
    public static let due: StaticString = "martlet-due"
    public static let reason: StaticString = "martlet-reason"
    /// When the delivery began: its first record's time, or when a user asked for it.
    public static let since: StaticString = "martlet-since"
    /// Why the last request failed; absent where none was made.
    public static let failure: StaticString = "martlet-failure"
    /// The beginning of the endpoint's last answer; in `dead-letters` only.
    public static let response: StaticString = "martlet-response"
    /// What a user wants of a delivery: `retry` or `cancel`. In commands, and in what the retry-manager fires because of one.
    public static let command: StaticString = "martlet-command"
    /// The HTTP status of the last failure.
    public static let status: StaticString = "martlet-status"
    public static let parent: StaticString = "martlet-parent"
    /// The webhook's id, where the delivery is parked for its webhook's sake: it waits in that lane. In `retries` only.
    public static let lane: StaticString = "martlet-lane"
}

/// The tenant of a record that names none.
public let defaultTenant = "default"
