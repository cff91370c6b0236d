internal import GRPC
internal import HTTPServing
internal import Records
internal import ServiceSupport
internal import Settings
internal import WireFormat

/// The registry as the gateway calls it.
struct RegistryCalls: Sendable {
    /// A change is answered after Kafka has it, for which the registry waits 5 s at most.
    private static let changeTimeout = Duration.seconds(8)
    private static let readTimeout = Duration.seconds(5)

    private let client: GRPCClient
    private let authorization: String

    /// Throws where a certificate's file cannot be read. Nothing connects before the first call.
    init(_ configuration: Configuration) throws {
        var settings = GRPCClient.Configuration(target: configuration.gateway.registry.description)
        settings.identity = try configuration.gateway.registryTLS.map { files in
            GRPCIdentity(
                roots: try TLSFiles.read(files.authority), certificate: try TLSFiles.read(files.certificate),
                privateKey: try TLSFiles.read(files.key))
        }
        client = GRPCClient(settings)
        authorization = "Bearer \(configuration.internalCalls.token)"
    }

    func read<Request: WireMessage, Reply: WireMessage>(
        _ method: String, _ request: Request, returning: Reply.Type
    ) async throws -> Reply {
        try await call(method, request, Self.readTimeout, [])
    }

    /// - Parameter headers: Those that the request sets, by which problems name them.
    func change<Request: WireMessage, Reply: WireMessage>(
        _ method: String, _ request: Request, headers: [Webhook.Header]? = nil, returning: Reply.Type
    ) async throws -> Reply {
        try await call(method, request, Self.changeTimeout, headers ?? [])
    }

    /// Throws `HTTPProblem`, or the status where the caller of the API is not to blame and cannot wait for better times.
    private func call<Request: WireMessage, Reply: WireMessage>(
        _ method: String, _ request: Request, _ timeout: Duration, _ headers: [Webhook.Header]
    ) async throws -> Reply {
        do throws(GRPCStatus) {
            return try await client.call(
                method, request, metadata: ["authorization": authorization], timeout: timeout)
        } catch {
            if let problem = HTTPProblem(error, headers: headers) { throw problem }
            throw error
        }
    }

    var readiness: Readiness.State {
        get async {
            do throws(GRPCStatus) {
                let reply = try await client.call(
                    "/grpc.health.v1.Health/Check", bytes: [], timeout: .milliseconds(1_500))
                // status: SERVING
                return reply.bytes == [8, 1] ? .ready : .unavailable("it does not serve yet")
            } catch {
                return .unavailable(error.message)
            }
        }
    }

    func close() async { await client.shutdown(grace: .seconds(1)) }
}
