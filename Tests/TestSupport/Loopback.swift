internal import EventLoops
internal import Glibc

extension sockaddr_in {
    init(_ address: String, port: UInt16) {
        self.init()
        sin_family = sa_family_t(AF_INET)
        sin_port = port.bigEndian
        sin_addr.s_addr = inet_addr(address)
    }

    /// What a system call wants to have.
    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: self) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

/// A socket that is bound to a loopback address, and its port. The caller closes it.
/// - Parameter port: 0 for any that is free.
/// - Throws: `SystemError`, where the port is taken or may not be had.
func boundSocket(
    _ type: __socket_type = SOCK_STREAM, address: String = "127.0.0.1", port: UInt16 = 0
) throws -> (descriptor: Int32, port: UInt16) {
    let descriptor = socket(AF_INET, Int32(type.rawValue), 0)
    guard descriptor >= 0 else { throw SystemError(call: "socket", code: errno) }
    var bound = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound =
        sockaddr_in(address, port: port).withPointer { bind(descriptor, $0, $1) } == 0
        && withUnsafeMutablePointer(to: &bound) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        } == 0
    guard isBound else {
        let code = errno
        close(descriptor)
        throw SystemError(call: "bind \(address):\(port)", code: code)
    }
    return (descriptor, UInt16(bigEndian: bound.sin_port))
}
