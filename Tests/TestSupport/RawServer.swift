internal import EventLoops
import Glibc
import Synchronization

/// A server that does exactly what a test says, byte for byte: one thread per connection, blocking sockets.
public final class RawServer: Sendable {
    public let port: UInt16
    private let listener: Int32
    private let accepted = Atomic<Int>(0)

    /// How many connections have come.
    public var connections: Int { accepted.load(ordering: .acquiring) }

    /// `serve` is called for each connection, with its number from 0, and the connection is closed when it returns.
    public init(backlog: Int32 = 512, _ serve: @escaping @Sendable (RawConnection, Int) -> Void) {
        guard let bound = try? boundSocket(), listen(bound.descriptor, backlog) == 0 else {
            preconditionFailure("no loopback port: \(String(cString: strerror(errno)))")
        }
        let descriptor = bound.descriptor
        listener = descriptor
        port = bound.port
        NativeThread.start(name: "raw-server") { [self] in
            while true {
                let peer = accept(descriptor, nil, nil)
                guard peer >= 0 else { break }
                let number = accepted.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue
                NativeThread.start(name: "raw-peer") {
                    serve(RawConnection(peer), number)
                    close(peer)
                }
            }
            close(descriptor)
        }
    }

    /// The thread closes the descriptor: closed here, its number might be another listener's by the time `accept` is called.
    public func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    public func url(_ path: String = "/", host: String = "127.0.0.1") -> String { "http://\(host):\(port)\(path)" }
}

/// The server's end of a connection. Used by its thread alone.
public struct RawConnection {
    private let descriptor: Int32

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        signal(SIGPIPE, SIG_IGN)
    }

    /// The next request's head and body; nil when the peer has closed.
    public func request() -> (head: String, body: [UInt8])? {
        var bytes: [UInt8] = []
        while true {
            if let end = headEnd(bytes) {
                let head = String(decoding: bytes[..<end], as: UTF8.self)
                let length = contentLength(head)
                while bytes.count < end + length {
                    guard let more = read() else { return nil }
                    bytes += more
                }
                return (head, Array(bytes[end..<(end + length)]))
            }
            guard let more = read() else { return nil }
            bytes += more
        }
    }

    private func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        return (4...bytes.count).first { Array(bytes[($0 - 4)..<$0]) == [13, 10, 13, 10] }
    }

    private func contentLength(_ head: String) -> Int {
        for line in head.split(whereSeparator: \.isNewline) where line.lowercased().hasPrefix("content-length:") {
            return Int(line.split(separator: " ")[1]) ?? 0
        }
        return 0
    }

    /// Some bytes; nil at the end.
    public func read() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? Array(buffer[..<count]) : nil
    }

    /// False once the peer has closed.
    @discardableResult
    public func write(_ text: String) -> Bool { write(Array(text.utf8)) }

    @discardableResult
    public func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    public func answer(_ status: String = "200 OK", headers: String = "", body: String = "ok") {
        write("HTTP/1.1 \(status)\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// Answers every request until the peer closes.
    public func serve() {
        while request() != nil { answer() }
    }

    /// Lets the close that follows reset the connection instead of ending it.
    public func resetOnClose() {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    }

    /// Returns when the peer has closed.
    public func awaitClose() {
        while read() != nil {}
    }
}
