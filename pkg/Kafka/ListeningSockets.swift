internal import Glibc

/// librdkafka's in-memory broker leaves Nagle's algorithm on: of two small answers in a row the second waits until the client's
/// kernel acknowledges the first, which delays that by 40 ms. It has no setting for it, but on Linux an accepted connection has its
/// listener's options, and the listeners are this process's.
///
/// Switches it off for what those of the given ports will accept.
func disableNagle(ofListenersOn ports: Set<UInt16>) {
    guard let folder = opendir("/proc/self/fd") else { return }
    defer { closedir(folder) }
    while let entry = readdir(folder) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) {
                String(cString: $0)
            }
        }
        guard let descriptor = Int32(name), let port = listeningPort(of: descriptor), ports.contains(port) else {
            continue
        }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }
}

/// nil where it is no socket that listens.
private func listeningPort(of descriptor: Int32) -> UInt16? {
    var listens: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0, listens == 1 else { return nil }
    var address = sockaddr_in()
    length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isKnown = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) == 0 }
    }
    return isKnown && address.sin_family == sa_family_t(AF_INET) ? UInt16(bigEndian: address.sin_port) : nil
}
