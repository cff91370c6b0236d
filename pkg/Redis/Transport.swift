internal import CHiredis
internal import EventLoops
internal import Glibc

/// A socket to one address, with TLS where asked for: bytes in, bytes out, never blocking.
///
/// Owns the descriptor. Confined to the loop's thread; after `close`, or `onClosed`, nothing is called any more.
final class Transport {
    private let loop: EventLoop
    private let descriptor: Int32
    private var tls: TLSState?
    private var isOpen = false
    private var isClosed = false
    private var interest: Readiness = []
    private var outgoing: [UInt8] = []
    private var sent = 0
    private var incoming = [UInt8](repeating: 0, count: 32 * 1_024)
    /// The connection stands, TLS included.
    var onOpen: () -> Void = {}
    var onBytes: (UnsafeRawBufferPointer) -> Void = { _ in }
    /// The peer or the network ended it.
    var onClosed: (String) -> Void = { _ in }

    /// Makes the socket; `begin` connects it. Throws `SystemError` where there is none to be had.
    static func make(for address: SocketAddress, loop: EventLoop) throws(SystemError) -> Transport {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { throw SystemError(call: "socket", code: errno) }
        return Transport(descriptor, loop)
    }

    private init(_ descriptor: Int32, _ loop: EventLoop) {
        self.descriptor = descriptor
        self.loop = loop
    }

    /// Begins to connect: `onOpen` or `onClosed` follows. Throws, with the reason, where that cannot even begin.
    func begin(_ address: SocketAddress, tls settings: TLSSettings?, host: String) throws {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, socklen_t(MemoryLayout<Int32>.size))
        guard address.connect(descriptor) == 0 || errno == EINPROGRESS else {
            throw SystemError(call: "connect", code: errno)
        }
        if let settings { tls = try TLSState(settings, descriptor: descriptor, host: host) }
        interest = .writable
        try loop.watch(descriptor, for: interest) { [unowned self] in ready($0) }
    }

    deinit { close() }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        loop.unwatch(descriptor)
        tls = nil
        Glibc.close(descriptor)
    }

    /// Takes bytes to send. What the socket does not take now goes out when it can; the caller bounds how much that is.
    func send(_ bytes: inout [UInt8]) {
        if outgoing.isEmpty { swap(&outgoing, &bytes) } else { outgoing.append(contentsOf: bytes) }
        bytes.removeAll(keepingCapacity: true)
        if isOpen { flush() }
    }

    private func ready(_ readiness: Readiness) {
        guard isOpen else { return establish() }
        if readiness.contains(.writable) { flush() }
        if readiness.contains(.readable), !isClosed { receive() }
    }

    private func establish() {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
        guard code == 0 else { return fail(String(cString: strerror(code))) }
        if let tls {
            switch tls.handshake() {
            case .done: break
            case .wants(let readiness): return watch(readiness)
            case .failed(let reason): return fail(reason)
            }
        }
        isOpen = true
        watch(.readable)
        onOpen()
        if !isClosed { flush() }
    }

    private func flush() {
        while sent < outgoing.count {
            let count = outgoing[sent...].withUnsafeBytes { bytes in
                tls?.write(bytes)
                    ?? .system(Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)))
            }
            switch count {
            case .bytes(let count): sent += count
            // A TLS write that wants to read goes on when something has arrived, which is watched for anyway.
            case .wants(let readiness): return watch(readiness.union(.readable))
            case .ended, .failed: return fail(count.reason)
            }
        }
        outgoing.removeAll(keepingCapacity: outgoing.capacity < 1 << 20)
        sent = 0
        watch(.readable)
    }

    private func receive() {
        while !isClosed {
            let count = incoming.withUnsafeMutableBytes { buffer in
                tls?.read(buffer) ?? .system(recv(descriptor, buffer.baseAddress, buffer.count, 0))
            }
            switch count {
            case .bytes(let count):
                // Handed over as a copy of the array's reference: `onBytes` may close this very transport.
                let bytes = incoming
                bytes.withUnsafeBytes { onBytes(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
                // TLS may hold decrypted bytes that no descriptor announces; a plain socket that gave less than asked for is empty.
                if tls == nil, count < incoming.count { return }
            case .wants: return
            case .ended, .failed: return fail(count.reason)
            }
        }
    }

    private func watch(_ wanted: Readiness) {
        guard wanted != interest else { return }
        interest = wanted
        loop.rewatch(descriptor, for: wanted)
    }

    private func fail(_ reason: String) {
        guard !isClosed else { return }
        close()
        onClosed(reason)
    }
}

/// What reading or writing came to.
enum Transfer {
    case bytes(Int)
    case wants(Readiness)
    case ended
    case failed(String)

    /// From the result of a system call, directly after it. Zero bytes only come from reading at the end.
    static func system(_ result: Int) -> Transfer {
        if result > 0 { return .bytes(result) }
        if result == 0 { return .ended }
        // Both directions are retried when the loop reports the descriptor again: writing says so by asking for `writable`.
        return errno == EAGAIN || errno == EINTR ? .wants(.writable) : .failed(String(cString: strerror(errno)))
    }

    var reason: String {
        switch self {
        case .ended: "the server closed the connection"
        case .failed(let reason): reason
        case .bytes, .wants: ""
        }
    }
}
