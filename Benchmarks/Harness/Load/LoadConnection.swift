import Glibc

/// One kept-alive connection of the generator, with at most one request under way.
struct LoadConnection {
    let descriptor: Int32
    /// The request under way; -1: none.
    var request = -1
    /// When it was due, monotonic nanoseconds.
    var due: UInt64 = 0
    /// What the socket did not take at once.
    var unsent: [UInt8] = []
    /// The part of an answer that has come, where it did not come at once.
    var received: [UInt8] = []

    /// Connects to a port of this machine. nil, with the reason in `errno`, where that fails.
    init?(port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var address = loopbackAddress(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            close(descriptor)
            return nil
        }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        self.descriptor = descriptor
    }
}

/// The start line and length of an HTTP/1.1 answer with a `content-length`.
struct AnswerHead: Equatable {
    var status: Int
    /// Of the whole answer, in bytes.
    var length: Int
    var bodyStart: Int

    /// nil: its head is not there yet, or it is none that a Martlet sends.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 12, let end = bytes.firstIndex(of: "\r\n\r\n") else { return nil }
        bodyStart = end + 4
        status = Int(bytes[9] &- 48) * 100 + Int(bytes[10] &- 48) * 10 + Int(bytes[11] &- 48)
        guard let body = Self.contentLength(UnsafeRawBufferPointer(rebasing: bytes[..<bodyStart])) else { return nil }
        length = bodyStart + body
    }

    /// The number after `content-length:`, in whatever case it is written.
    static func contentLength(_ head: UnsafeRawBufferPointer) -> Int? {
        var line = head
        while let base = line.baseAddress, let newline = memchr(base, 10, line.count) {
            let next = base.distance(to: UnsafeRawPointer(newline)) + 1
            if line.count > 15, line[0] | 32 == UInt8(ascii: "c"), line[14] == UInt8(ascii: ":"),
                strncasecmp(base.assumingMemoryBound(to: CChar.self), "content-length", 14) == 0
            {
                return digits(UnsafeRawBufferPointer(rebasing: line[15..<next]))
            }
            line = UnsafeRawBufferPointer(rebasing: line[next...])
        }
        return nil
    }

    /// The first number in `bytes`, which other bytes may come before.
    static func digits(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var value: Int?
        for byte in bytes {
            guard byte >= 48, byte <= 57 else {
                if value != nil { return value }
                continue
            }
            value = (value ?? 0) &* 10 &+ Int(byte - 48)
        }
        return value
    }
}
