internal import Glibc

/// Why a server does not listen.
public struct GRPCListenError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
}

/// Turns a host and port into literal addresses that are free to listen on.
///
/// gRPC core reports a failed bind as "0", and not even that as long as one of a name's addresses could be bound: so the names are
/// resolved and the addresses tried here, where the reason can be told.
enum ListenAddress {
    /// `127.0.0.1:8081` or `[::1]:8081`, at least one. Blocks where `host` is a name that needs a name server.
    static func resolve(host: String, port: UInt16) throws(GRPCListenError) -> [String] {
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0, let first = list else {
            throw GRPCListenError(
                description: "cannot listen on \(host):\(port): \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(list) }
        var usable: [String] = []
        var next: UnsafeMutablePointer<addrinfo>? = first
        while let entry = next {
            next = entry.pointee.ai_next
            let address = literal(entry.pointee, port)
            let problem = tryBinding(entry.pointee)
            // A machine without IPv6 still resolves "localhost" to ::1.
            if problem == EADDRNOTAVAIL || problem == EAFNOSUPPORT, next != nil || !usable.isEmpty { continue }
            guard problem == 0 else {
                throw GRPCListenError(description: "cannot listen on \(address): \(String(cString: strerror(problem)))")
            }
            usable.append(address)
        }
        return usable
    }

    /// 0, or what the system says against it.
    private static func tryBinding(_ address: addrinfo) -> Int32 {
        let descriptor = socket(address.ai_family, address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        guard bind(descriptor, address.ai_addr, address.ai_addrlen) == 0 else { return errno }
        return listen(descriptor, 1) == 0 ? 0 : errno
    }

    private static func literal(_ address: addrinfo, _ port: UInt16) -> String {
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        getnameinfo(address.ai_addr, address.ai_addrlen, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
        let text = host.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        return address.ai_family == AF_INET6 ? "[\(text)]:\(port)" : "\(text):\(port)"
    }
}
