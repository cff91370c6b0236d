internal import EventLoops

/// HTTP for code that awaits: a sender on a thread of its own. For control planes, command lines and tests; hot paths use
/// `HTTPSender` where their data is. The thread ends with the last reference.
public final class HTTPClient: Sendable {
    private let thread: EventLoopThread
    private let confined: Confined

    /// Keeps the sender where only the loop's thread touches it: hence `@unchecked Sendable`.
    private final class Confined: @unchecked Sendable {
        var sender: HTTPSender?
        init(_ sender: HTTPSender) { self.sender = sender }
    }

    /// One request's name, known only on the loop's thread: hence `@unchecked Sendable`.
    private final class Ticket: @unchecked Sendable {
        var id: HTTPSendID?
        var isCancelled = false
    }

    /// For one's own services: any address, bodies up to 16 MiB, kept whole, with all headers.
    public static let ownServices: HTTPSenderConfiguration = {
        var configuration = HTTPSenderConfiguration()
        configuration.addressPolicy = .unrestricted
        configuration.keptHeaders = .all
        configuration.keptBodyBytes = 16 << 20
        configuration.maximumBodyBytes = 16 << 20
        return configuration
    }()

    /// Throws `HTTPSenderError`, or `SystemError` where there are no descriptors.
    public init(configuration: HTTPSenderConfiguration = HTTPClient.ownServices) throws {
        thread = try EventLoopThread()
        confined = Confined(try HTTPSender(loop: thread.loop, configuration: configuration))
        thread.start(name: "http-client")
    }

    deinit {
        // No request is running: each holds a reference.
        thread.loop.execute { [confined, loop = thread.loop] in
            confined.sender?.close()
            confined.sender = nil
            loop.stop()
        }
    }

    /// Sends a request and returns what became of it; a failure is part of the result. Cancelling the task aborts it.
    public func send(
        _ method: HTTPSendMethod, to endpoint: Endpoint, headers: HeaderLines = HeaderLines(), body: [UInt8] = [],
        timeoutMilliseconds: Int = 15_000, connectTimeoutMilliseconds: Int = 5_000
    ) async -> HTTPSendResult {
        let ticket = Ticket()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                thread.loop.execute { [confined] in
                    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: body.count, alignment: 1)
                    memory.copyBytes(from: body)
                    let request = HTTPSendRequest(
                        endpoint: endpoint, method: method, headers: headers, body: UnsafeRawBufferPointer(memory),
                        timeoutMilliseconds: timeoutMilliseconds,
                        connectTimeoutMilliseconds: connectTimeoutMilliseconds)
                    ticket.id = confined.sender?.send(request) { _, result in
                        memory.deallocate()
                        continuation.resume(returning: result)
                    }
                    if ticket.isCancelled { Self.abort(ticket, confined) }
                }
            }
        } onCancel: {
            thread.loop.execute { [confined] in
                ticket.isCancelled = true
                Self.abort(ticket, confined)
            }
        }
    }

    private static func abort(_ ticket: Ticket, _ confined: Confined) {
        if let id = ticket.id { confined.sender?.abort(id) }
    }
}
