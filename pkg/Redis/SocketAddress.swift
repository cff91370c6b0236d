internal import EventLoops
internal import Glibc

/// An address to connect to, as the kernel wants it.
struct SocketAddress: Sendable {
    private let bytes: [UInt8]
    let family: Int32

    fileprivate init(_ info: addrinfo) {
        family = info.ai_family
        bytes = Array(UnsafeRawBufferPointer(start: info.ai_addr, count: Int(info.ai_addrlen)))
    }

    /// connect(2): 0, or -1 and errno.
    func connect(_ descriptor: Int32) -> Int32 {
        bytes.withUnsafeBytes { bytes in
            guard let address = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            return Glibc.connect(descriptor, address, socklen_t(bytes.count))
        }
    }
}

enum Resolution: Sendable {
    case addresses([SocketAddress])
    case failed(String)
}

enum Resolver {
    /// Finds a host's addresses and calls `completion` on the loop's thread: at once for what is an address already, else from a
    /// thread of its own, because asking for a name blocks.
    static func resolve(
        host: String, port: UInt16, loop: EventLoop, _ completion: @escaping @Sendable (Resolution) -> Void
    ) {
        if case .addresses(let addresses) = lookUp(host, port, AI_NUMERICHOST) {
            return completion(.addresses(addresses))
        }
        NativeThread.start(name: "redis-resolve") {
            let resolution = lookUp(host, port, AI_ADDRCONFIG)
            loop.execute { completion(resolution) }
        }
    }

    private static func lookUp(_ host: String, _ port: UInt16, _ flags: Int32) -> Resolution {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else { return .failed("\(host): \(String(cString: gai_strerror(code)))") }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var entry = list
        while let info = entry?.pointee {
            addresses.append(SocketAddress(info))
            entry = info.ai_next
        }
        return addresses.isEmpty ? .failed("\(host): no address") : .addresses(addresses)
    }
}
