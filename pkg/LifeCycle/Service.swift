/// Something that runs as long as its process: nothing starts in its `init`, everything in `run`.
public protocol Service: Sendable {
    /// What logs and errors call it; the type's name unless told.
    var name: String { get }

    /// Runs until graceful shutdown is asked for (`await gracefulShutdown()`, `withGracefulShutdownHandler`), then ends what it
    /// has begun and returns. Returning earlier, or throwing, stops the whole group. Cancelled when the time to stop is over.
    func run() async throws
}

extension Service {
    public var name: String { String(describing: type(of: self)) }
}

/// A closure as a service.
public struct ClosureService: Service {
    public let name: String
    private let body: @Sendable () async throws -> Void

    public init(name: String, _ body: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.body = body
    }

    public func run() async throws { try await body() }
}
