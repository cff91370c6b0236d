public import WireFormat

/// What a handler knows of its call besides the message.
public struct GRPCContext: Sendable {
    /// `/package.Service/Method`
    public let method: String
    /// As the caller sent it. A key may be repeated: `GRPCMetadata` takes the first.
    public let metadata: GRPCMetadata
    /// When the caller gives up, and this handler's task is cancelled.
    public let deadline: ContinuousClock.Instant?
}

/// A message with metadata beside it.
public struct GRPCMessage: Equatable, Sendable {
    public var bytes: [UInt8]
    public var metadata: GRPCMetadata

    public init(_ bytes: [UInt8], metadata: GRPCMetadata = [:]) {
        self.bytes = bytes
        self.metadata = metadata
    }
}

/// The unary methods that a server answers.
///
/// A handler is one `Task`, cancelled when its caller has gone. It throws `GRPCStatus` to answer with an error; whatever else it
/// throws is answered as `INTERNAL` without details, and reported to `GRPCServer.Configuration.observe`.
public struct GRPCMethods: Sendable {
    public typealias Handler = @Sendable (_ request: [UInt8], _ context: GRPCContext) async throws -> GRPCMessage

    private(set) var handlers: [String: Handler] = [:]

    public init() {}

    /// - Parameter path: `/package.Service/Method`
    public mutating func handle(_ path: String, bytes handler: @escaping Handler) {
        precondition(path.hasPrefix("/"), "a gRPC method's path begins with a slash")
        handlers[path] = handler
    }

    /// With messages. A request that is no `Request` is answered `INVALID_ARGUMENT`.
    public mutating func handle<Request: WireMessage & SendableMetatype, Reply: WireMessage & SendableMetatype>(
        _ path: String, _ handler: @escaping @Sendable (Request, GRPCContext) async throws -> Reply
    ) {
        handle(path) { bytes, context in
            let request: Request
            do throws(WireError) {
                request = try Request(decoding: bytes)
            } catch {
                throw GRPCStatus(.invalidArgument, "the request is no \(Request.self): \(error)")
            }
            return GRPCMessage(try await handler(request, context).encoded())
        }
    }
}
