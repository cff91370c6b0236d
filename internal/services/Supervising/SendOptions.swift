/// One event as flags describe it.
public struct SendEvent: Sendable {
    /// nil: one is drawn.
    public var id: String?
    public var type: String
    public var source: String
    /// JSON; sent as it is.
    public var data: String
    public var orderingKey: String?

    public init(id: String? = nil, type: String, source: String, data: String = "{}", orderingKey: String? = nil) {
        self.id = id
        self.type = type
        self.source = source
        self.data = data
        self.orderingKey = orderingKey
    }
}

/// Where `martlet send` takes its events from.
public enum SendInput: Sendable {
    case event(SendEvent)
    /// One JSON object, or one a line.
    case file(path: String)
    /// One JSON object a line.
    case standardInput
}

/// What `martlet send` was asked for.
public struct SendOptions: Sendable {
    public var input: SendInput
    /// Where event-ingestion is.
    public var baseURL = "http://127.0.0.1:8082"
    /// Sent as `Authorization: Bearer`, where given.
    public var token: String?
    /// How many requests are under way at once.
    public var concurrency = 16
    /// How long one event is tried again while the service is busy or away.
    public var patienceMilliseconds = 30_000
    public var json = false

    public init(input: SendInput) { self.input = input }
}

/// Why `send` cannot start or go on.
public struct SendError: Error, Equatable, CustomStringConvertible {
    public let description: String
}
