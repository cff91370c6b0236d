/// The methods that this module sends.
public enum HTTPSendMethod: String, Sendable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
}

/// One request.
public struct HTTPSendRequest {
    public var endpoint: Endpoint
    public var method = HTTPSendMethod.post
    /// Copied by `send`, so the caller may reuse it at once.
    public var headers: HeaderLines
    /// Not copied: the caller keeps the memory alive and unchanged until the completion.
    public var body: UnsafeRawBufferPointer
    /// From `send` to the last byte of the response.
    public var timeoutMilliseconds: Int
    /// From `send` to the connection, TLS included.
    public var connectTimeoutMilliseconds: Int

    public init(
        endpoint: Endpoint, method: HTTPSendMethod = .post, headers: HeaderLines = HeaderLines(),
        body: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        timeoutMilliseconds: Int = 15_000, connectTimeoutMilliseconds: Int = 5_000
    ) {
        self.endpoint = endpoint
        self.method = method
        self.headers = headers
        self.body = body
        self.timeoutMilliseconds = timeoutMilliseconds
        self.connectTimeoutMilliseconds = connectTimeoutMilliseconds
    }
}

/// Names one request of one sender; never used twice.
public struct HTTPSendID: Hashable, Sendable {
    let slot: Int
    let sequence: UInt64
}

/// How far a request had come.
public enum HTTPSendPhase: String, Sendable {
    /// Looking the host's name up.
    case resolve
    case connect
    case tls
    /// Sending the request, waiting for the status.
    case response
    /// Reading the response's body.
    case body
}

/// Why there is no complete response.
public enum HTTPSendFailure: Error, Hashable, Sendable {
    /// The host's name has no address, or no name server answered.
    case resolve
    /// No address took the connection.
    case connect
    /// The TLS handshake or the certificate's verification failed.
    case tls
    /// The time was up in this phase.
    case timeout(HTTPSendPhase)
    /// `abort` was called, or the sender closed.
    case aborted
    /// The response exceeds the limit on header or body bytes.
    case tooLarge
    /// The address policy forbids every address (or the port) of the endpoint.
    case deniedAddress
    /// This process has no descriptors left: no fault of the endpoint.
    case noDescriptors
    /// The peer closed the connection before the response was complete.
    case closed
    /// What came is not HTTP/1.1.
    case protocolViolation
    /// Anything else: libcurl's code.
    case other(code: Int)
}

/// A response header; the name is in lower case.
public struct HTTPSendHeader: Sendable, Equatable {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// What became of a request.
public struct HTTPSendResult: Sendable {
    /// The final status; 0 where none came. May be there beside a failure (a body cut off).
    public var status = 0
    /// nil where the response is complete.
    public var failure: HTTPSendFailure?
    /// What libcurl says about the failure, in words; empty without one.
    public var message = ""
    /// Those that the configuration keeps.
    public var headers: [HTTPSendHeader] = []
    /// The body's beginning, as much as the configuration keeps.
    public var body: [UInt8] = []
    public var durationMicroseconds: Int64 = 0
    /// Whether a kept-alive connection served.
    public var reusedConnection = false
    /// The peer's address; empty where no connection was made.
    public var primaryAddress = ""

    public init() {}

    /// The first header of this (lower-case) name.
    public func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}
