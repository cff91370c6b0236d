internal import WireFormat

/// `grpc.health.v1.Health`: `Check` for the whole server (service "") and for the services named here. `Watch`, a stream, is
/// answered `UNIMPLEMENTED`, which its clients take as "no health checking"; probes use `Check`.
public struct GRPCHealth: Sendable {
    private let services: Set<String>
    private let isServing: @Sendable () -> Bool

    /// - Parameters:
    ///   - services: names such as `martlet.v1.Registry`; others are answered `NOT_FOUND`.
    ///   - isServing: asked at each check, from any thread.
    public init(services: Set<String>, isServing: @escaping @Sendable () -> Bool) {
        self.services = services
        self.isServing = isServing
    }

    /// Adds the service's methods.
    public func register(in methods: inout GRPCMethods) {
        methods.handle("/grpc.health.v1.Health/Check") { [self] (request: HealthCheckRequest, _) in
            guard request.service.isEmpty || services.contains(request.service) else {
                throw GRPCStatus(.notFound, "there is no service \"\(request.service)\"")
            }
            return HealthCheckResponse(status: isServing() ? .serving : .notServing)
        }
        methods.handle("/grpc.health.v1.Health/Watch") { _, _ in
            throw GRPCStatus(.unimplemented, "health is answered by Check only")
        }
    }
}

struct HealthCheckRequest: WireMessage {
    var service = ""

    init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            if field.number == 1 { service = try field.string() }
        }
    }

    func write(to writer: inout WireWriter) { writer.string(1, service) }
}

struct HealthCheckResponse: WireMessage {
    enum Status: UInt64 {
        case unknown = 0
        case serving = 1
        case notServing = 2
    }

    var status: Status

    init(status: Status) { self.status = status }

    init(reading reader: inout WireReader) throws(WireError) {
        status = .unknown
        while let field = try reader.next() {
            if field.number == 1 { status = Status(rawValue: try field.varint()) ?? .unknown }
        }
    }

    func write(to writer: inout WireWriter) { writer.varint(1, status.rawValue) }
}
