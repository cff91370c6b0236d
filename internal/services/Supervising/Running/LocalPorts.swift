internal import Glibc

/// Where everything of one local system listens, on 127.0.0.1.
public struct LocalPorts: Equatable, Sendable {
    public var gateway: UInt16 = 8080
    public var registryGRPC: UInt16 = 8081
    public var registry: UInt16 = 9081
    public var ingestion: UInt16 = 8082
    public var dispatcher: UInt16 = 8083
    public var retryManager: UInt16 = 8084
    public var observability: UInt16 = 8085
    public var postgres: UInt16 = 15432
    public var redis: UInt16 = 16379
    public var kafka: UInt16 = 19092
    public var kafkaController: UInt16 = 19093

    public init() {}

    /// Where free ports are looked for: below those that the kernel gives to outgoing connections, which could take one between the
    /// choice and the start of its server.
    static let automaticRange: Range<UInt16> = 20_000..<32_000

    /// Ports that nobody uses now: for a second system beside the first.
    static func automatic() throws(SupervisionError) -> LocalPorts {
        var ports = LocalPorts()
        var candidates = automaticRange.shuffled()
        for path in all.map(\.path) {
            var isChosen = false
            while !isChosen, let candidate = candidates.popLast() {
                isChosen = (try? LoopbackPort(candidate)) != nil
                ports[keyPath: path] = candidate
            }
            guard isChosen else { throw SupervisionError("there is no free port in \(automaticRange)") }
        }
        return ports
    }

    /// Each with its name, in the order of the start.
    static var all: [(name: String, path: WritableKeyPath<LocalPorts, UInt16>)] {
        [
            ("PostgreSQL", \.postgres), ("Redis", \.redis), ("Kafka", \.kafka),
            ("Kafka's controller", \.kafkaController),
            ("webhook-registry's gRPC", \.registryGRPC), ("webhook-registry", \.registry),
            ("observability", \.observability),
            ("event-ingestion", \.ingestion), ("retry-manager", \.retryManager), ("webhook-dispatcher", \.dispatcher),
            ("api-gateway", \.gateway),
        ]
    }

    /// Throws for the first port that somebody else listens on.
    func check(without excluded: Set<String> = []) throws(SupervisionError) {
        for (name, path) in Self.all where !excluded.contains(name) {
            do {
                _ = try LoopbackPort(self[keyPath: path])
            } catch {
                throw SupervisionError(
                    "port \(self[keyPath: path]), which \(name) needs, is in use by another process (martlet up --ports auto --state DIR takes others)"
                )
            }
        }
    }
}

/// Why the local system does not start or stop: one line for a person.
public struct SupervisionError: Error, Equatable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A loopback port, taken for as long as this lives.
final class LoopbackPort {
    let number: UInt16
    private let descriptor: Int32

    init(_ wanted: UInt16) throws(SupervisionError) {
        let made = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard made >= 0 else { throw SupervisionError("socket: \(String(cString: strerror(errno)))") }
        var on: Int32 = 1
        setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = wanted.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                // Bound alone it is not taken: others that allow reuse, as servers do, may bind it too.
                bind(made, generic, length) == 0 && listen(made, 1) == 0 && getsockname(made, generic, &length) == 0
            }
        }
        guard isBound else {
            close(made)
            throw SupervisionError("port \(wanted) is in use")
        }
        descriptor = made
        number = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(descriptor) }
}
