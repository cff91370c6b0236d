internal import CHTTPServer
public import EventLoops
internal import Glibc
internal import Synchronization

/// How a server listens and what it bears.
public struct HTTPServerConfiguration: Sendable {
    /// A numeric address.
    public var host: String
    /// 0: any that is free.
    public var port: UInt16
    /// Threads, each with an event loop and its own direct handlers.
    public var loops = 1
    /// Larger ones are refused with a problem document, much larger ones (a mebibyte more) in plain text. Direct routes may take more.
    public var maximumBodyBytes = 1 << 20
    /// A whole request, headers and body; an idle connection is closed after the same time.
    public var requestTimeoutMilliseconds: UInt64 = 30_000
    /// How long an async handler may take before the request is answered with 504.
    public var handlerTimeoutMilliseconds: UInt64 = 30_000
    /// Of all loops together; further ones are closed at once.
    public var maximumConnections = 10_000

    public init(host: String = "127.0.0.1", port: UInt16 = 0) {
        self.host = host
        self.port = port
    }
}

/// Why a server does not start.
public struct HTTPServerError: Error, CustomStringConvertible {
    public let description: String
}

/// An HTTP/1.1 server on h2o, one thread for each loop.
///
/// Each thread runs h2o's loop with an `EventLoop` nested in it, so a direct handler may own Kafka producers and connections that live on
/// that `EventLoop`, without locks. `EventLoop.now` is as old as the loop's last turn there; use `monotonicNanoseconds`.
///
/// Refused besides what h2o refuses: requests without `Host`, with more than one idea of the body's length, with folded headers. A bare LF
/// ends a line like CR LF. HEAD is answered by the route for GET. HTTP/2 and TLS are not served.
public final class HTTPServer: Sendable {
    public typealias ResponseObserver =
        @Sendable (_ method: String, _ route: String, _ status: Int, _ nanoseconds: UInt64) -> Void
    /// Makes a loop's direct routes, on the loop's thread, before the first connection.
    public typealias DirectRoutes = @Sendable (EventLoop) throws -> [DirectRoute]

    private let configuration: HTTPServerConfiguration
    private let routes: [HTTPRoute]
    private let directRoutes: DirectRoutes
    private let onResponse: ResponseObserver
    private let running = Mutex<[ServerLoop]>([])

    public init(
        _ configuration: HTTPServerConfiguration, routes: [HTTPRoute] = [],
        directRoutes: @escaping DirectRoutes = { _ in [] }, onResponse: @escaping ResponseObserver = { _, _, _, _ in }
    ) {
        self.configuration = configuration
        self.routes = routes
        self.directRoutes = directRoutes
        self.onResponse = onResponse
    }

    /// Listens, starts the threads and returns the port. Throws `HTTPServerError` naming the address where it cannot listen, and whatever
    /// `directRoutes` throws.
    public func start() async throws -> UInt16 {
        var port: UInt16 = 0
        let listener = chttp_open_listener(configuration.host, configuration.port, 1_024, &port)
        guard listener >= 0 else { throw listenError(listener) }
        defer { close(listener) }
        var loops: [ServerLoop] = []
        do {
            for number in 0..<configuration.loops {
                let loop = try ServerLoop(configuration, routes: routes, onResponse: onResponse)
                try await loop.start(name: "http-\(number)", directRoutes: directRoutes)
                loops.append(loop)
            }
            for loop in loops { try await loop.listen(listener) }
        } catch {
            for loop in loops { await loop.stop(withinMilliseconds: 0) }
            throw error
        }
        running.withLock { $0 = loops }
        return port
    }

    private func listenError(_ code: Int32) -> HTTPServerError {
        let address = "\(configuration.host):\(configuration.port)"
        switch -code {
        case 1_000: return HTTPServerError(description: "\(configuration.host) is not a numeric address to listen on")
        case EADDRINUSE: return HTTPServerError(description: "\(address) is in use by another process")
        case let number:
            return HTTPServerError(description: "cannot listen on \(address): \(String(cString: strerror(number)))")
        }
    }

    /// Accepts no more connections, answers every request that was received (closing each connection with its last answer), and
    /// returns when the threads have ended: when everything is answered, or half a second after the time is up.
    public func stop(withinMilliseconds limit: UInt64 = 8_000) async {
        let loops = running.withLock { running in
            defer { running = [] }
            return running
        }
        await withDiscardingTaskGroup { group in
            for loop in loops { group.addTask { await loop.stop(withinMilliseconds: limit) } }
        }
    }
}
