/// What metadata is called in log lines, the same in every service.
public enum LogKey {
    /// What went wrong, as text.
    public static let error = "error"
    /// What a client or a server said, as text.
    public static let reason = "reason"
    public static let topic = "topic"
    public static let partition = "partition"
    public static let offset = "offset"
    public static let tenant = "tenant"
    public static let webhook = "webhook"
    public static let event = "event"
    public static let delivery = "delivery"
    public static let requestID = "request_id"
    public static let method = "method"
    public static let path = "path"
    public static let status = "status"
    /// Milliseconds.
    public static let duration = "duration_ms"
    public static let count = "count"
    public static let address = "address"
    public static let profile = "profile"
    public static let component = "component"
}
