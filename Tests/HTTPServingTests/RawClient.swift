import Glibc

/// A TCP client that sends exactly what it is told, for what no HTTP client would send. Waiting does not block the thread: the handlers
/// under test run on the same pool.
final class RawClient {
    private static let patience = Duration.seconds(10)
    private let descriptor: Int32
    /// What came behind the response that was asked for.
    private var received: [UInt8] = []

    init(port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else {
            close(descriptor)
            throw RefusedConnection()
        }
    }

    struct RefusedConnection: Error {}

    deinit { close(descriptor) }

    /// False where the connection is gone.
    @discardableResult
    func write(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
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

    /// One response: its head and as much body as its content length says. Where the peer closes, or ten seconds pass, what came.
    func response() async -> String {
        while true {
            if let response = takeResponse() { return response }
            guard let more = await read() else { return takeAll() }
            received += more
        }
    }

    /// The same for threads of their own.
    func blockingResponse() -> String {
        while true {
            if let response = takeResponse() { return response }
            guard let more = receive(flags: 0), !more.isEmpty else { return takeAll() }
            received += more
        }
    }

    private func takeResponse() -> String? {
        guard let headEnd = received.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound else { return nil }
        let length = String(decoding: received[..<headEnd], as: UTF8.self).lowercased().split(separator: "\r\n")
            .first { $0.hasPrefix("content-length:") }?.split(separator: ":").last
        let end = headEnd + (length.flatMap { Int($0.drop { $0 == " " }) } ?? 0)
        guard received.count >= end else { return nil }
        defer { received.removeFirst(end) }
        return String(decoding: received[..<end], as: UTF8.self)
    }

    private func takeAll() -> String {
        defer { received = [] }
        return String(decoding: received, as: UTF8.self)
    }

    /// All that comes until the peer closes.
    func everything() async -> String {
        while let more = await read() { received += more }
        return takeAll()
    }

    /// nil when the peer closed, or too much time passed.
    private func read() async -> [UInt8]? {
        let deadline = ContinuousClock.now + Self.patience
        while ContinuousClock.now < deadline {
            if let bytes = receive(flags: Int32(MSG_DONTWAIT)) { return bytes.isEmpty ? nil : bytes }
            try? await Task.sleep(for: .milliseconds(1))
        }
        return nil
    }

    /// Empty when the peer closed, nil when nothing has come.
    private func receive(flags: Int32) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, flags)
        if count < 0, errno == EAGAIN { return nil }
        return Array(buffer.prefix(max(0, count)))
    }

    /// Ends the connection with a reset, as a client that crashed does.
    func reset() {
        var immediately = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &immediately, socklen_t(MemoryLayout<linger>.size))
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// Whether the peer has closed, waiting for it.
    func isClosedByPeer() async -> Bool { await read() == nil }
}
