/// The names of record headers. Events carry CloudEvents' Kafka binding in binary mode
/// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md); records that carry a delivery
/// on repeat those and add the delivery's own.
public enum RecordHeader {
    // Of an event.
    public static let id = "ce_id"
    public static let type = "ce_type"
    public static let source = "ce_source"
    /// RFC 3339.
    public static let time = "ce_time"
    public static let specVersion = "ce_specversion"
    public static let contentType = "content-type"
    /// Absent: `default`.
    public static let tenant = "tenant"
    public static let orderingKey = "orderingkey"
    /// W3C Trace Context.
    public static let traceParent = "traceparent"

    // Of a delivery, in `deliveries`, `retries` and `dead-letters`. Numbers are decimal text, times milliseconds since 1970.
    public static let delivery = "martlet-delivery"
    public static let generation = "martlet-generation"
    /// Requests made so far.
    public static let attempt = "martlet-attempt"
    public static let webhook = "martlet-webhook"
    public static let originTopic = "martlet-origin-topic"
    public static let originPartition = "martlet-origin-partition"
    public static let originOffset = "martlet-origin-offset"
    public static let originTimestamp = "martlet-origin-timestamp"
    public static let due = "martlet-due"
    public static let reason = "martlet-reason"
    /// The HTTP status of the last failure.
    public static let status = "martlet-status"
    public static let parent = "martlet-parent"
}

/// The tenant of a record that names none.
public let defaultTenant = "default"
