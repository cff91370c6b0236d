internal import EventLoops
internal import Glibc
internal import Synchronization

/// A name server (RFC 1035, UDP) that answers what a test says, on port 53 of a loopback address of its own, which takes root. A process asks
/// it where its `/etc/resolv.conf` is `configuration`.
public final class StubResolver: Sendable {
    public enum Answer: Sendable {
        /// An IPv4 address, after so many milliseconds.
        case address(String, afterMs: Int = 0)
        case failure
        case silence
    }

    public let address: String
    private let descriptor: Int32
    private let answer: @Sendable (_ name: String) -> Answer

    /// What belongs into `/etc/resolv.conf`.
    public var configuration: String { "nameserver \(address)\noptions timeout:2 attempts:1\n" }

    /// - Parameter answer: Called for each query, on a thread of the query's own; names are in lower case, without the last dot.
    /// - Throws: Where the port cannot be had.
    public init(_ answer: @escaping @Sendable (_ name: String) -> Answer) throws {
        self.answer = answer
        let pid = getpid()
        address = "127.53.\(pid >> 8 & 0xff).\(pid & 0xff)"
        descriptor = try boundSocket(SOCK_DGRAM, address: address, port: 53).descriptor
        NativeThread.start(name: "stub-resolver") { [self] in serve() }
    }

    /// The thread ends with the process: a datagram socket has no end to wait for.
    private func serve() {
        var buffer = [UInt8](repeating: 0, count: 1_500)
        while true {
            var peer = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = withUnsafeMutablePointer(to: &peer) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length)
                }
            }
            guard count > 16 else { continue }
            let query = Array(buffer[..<count])
            let asker = peer
            NativeThread.start(name: "stub-query") { [self] in
                guard let reply = reply(to: query) else { return }
                _ = asker.withPointer { sendto(descriptor, reply, reply.count, 0, $0, $1) }
            }
        }
    }

    private func reply(to query: [UInt8]) -> [UInt8]? {
        var labels: [String] = []
        var at = 12
        while at < query.count, query[at] != 0 {
            let end = at + 1 + Int(query[at])
            guard end < query.count else { return nil }
            labels.append(String(decoding: query[(at + 1)..<end], as: UTF8.self).lowercased())
            at = end
        }
        let questionEnd = at + 5
        guard questionEnd <= query.count else { return nil }
        let isIPv4 = query[at + 2] == 1
        var failed = false
        var record: [UInt8] = []
        switch answer(labels.joined(separator: ".")) {
        case .silence: return nil
        case .failure: failed = true
        case .address(let text, let delayMs):
            usleep(UInt32(delayMs) * 1_000)
            let address = withUnsafeBytes(of: inet_addr(text)) { Array($0) }
            // The question's name, type A, class IN, not to be kept, four bytes.
            if isIPv4 { record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4] + address }
        }
        let header = query[..<2] + [0x81, failed ? 0x82 : 0x80, 0, 1, 0, record.isEmpty ? 0 : 1, 0, 0, 0, 0]
        return Array(header) + query[12..<questionEnd] + record
    }
}
