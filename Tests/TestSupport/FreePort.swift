internal import Glibc
internal import Synchronization

/// The next port to try. Each process starts elsewhere, so that suites that run beside one another rarely try the same.
private let nextPort = Atomic<Int>(Int.random(in: 0..<portCount))
private let portCount = 5_000
private let firstPort = 10_000

/// A TCP port on loopback that nobody listens on, and that this process has not been given before.
///
/// It lies below the range from which the kernel takes the ports of outgoing connections and of `bind` to port 0
/// (`net.ipv4.ip_local_port_range`): from within that range, a port that a test means to bind again later can be taken by
/// any connection in between, and a client that keeps trying it may connect to itself. And it lies beside the range of
/// `martlet up --ports auto`, which tests run too.
public func freePort() -> UInt16 {
    for _ in 0..<portCount {
        let number = nextPort.wrappingAdd(1, ordering: .relaxed).oldValue % portCount
        let port = UInt16(firstPort + number)
        if isFree(port) { return port }
    }
    preconditionFailure("no free loopback port from \(firstPort) to \(firstPort + portCount - 1)")
}

private func isFree(_ port: UInt16) -> Bool {
    guard let bound = try? boundSocket(port: port) else { return false }
    close(bound.descriptor)
    return true
}
