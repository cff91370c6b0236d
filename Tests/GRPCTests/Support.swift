import GRPC
import Synchronization
import TestSupport
import Testing
import WireFormat

/// `message Text { string value = 1; }`
struct Text: WireMessage, Equatable {
    var value = ""

    init(_ value: String) { self.value = value }

    init(reading reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            if field.number == 1 { value = try field.string() }
        }
    }

    func write(to writer: inout WireWriter) { writer.string(1, value) }
}

/// A handler's own error, which callers must not learn of.
struct Secret: Error {}

/// What the handlers under test have seen.
final class Observations: Sendable {
    private let seen = Mutex<[String]>([])
    private let reports = Mutex<[GRPCCallReport]>([])

    func note(_ text: String) { seen.withLock { $0.append(text) } }
    func note(_ report: GRPCCallReport) { reports.withLock { $0.append(report) } }
    var all: [String] { seen.withLock { $0 } }
    var allReports: [GRPCCallReport] { reports.withLock { $0 } }
    func count(_ text: String) -> Int { all.count { $0 == text } }
}

/// A server with methods that exercise everything a handler can do.
func testMethods(_ observations: Observations) -> GRPCMethods {
    var methods = GRPCMethods()
    methods.handle("/test.Echo/Bytes") { bytes, context in
        var metadata: GRPCMetadata = [:]
        if let value = context.metadata["x-text"] { metadata.append("x-text", value) }
        if let value = context.metadata[bytes: "x-any-bin"] { metadata.append("x-any-bin", bytes: value) }
        return GRPCMessage(bytes, metadata: metadata)
    }
    methods.handle("/test.Echo/Text") { (text: Text, _) in Text("you said " + text.value) }
    methods.handle("/test.Echo/Fail") { (text: Text, _) -> Text in
        var status = GRPCStatus(.failedPrecondition, text.value)
        status.metadata.append("problem-bin", bytes: [0, 255, 10])
        throw status
    }
    methods.handle("/test.Echo/Crash") { (_: Text, _) -> Text in throw Secret() }
    methods.handle("/test.Echo/BadMetadata") { (_: Text, _) -> Text in
        throw GRPCStatus(.notFound, "x", metadata: ["Upper": "case"])
    }
    methods.handle("/test.Echo/Huge") { bytes, _ in GRPCMessage([UInt8](repeating: 7, count: 5 << 20)) }
    methods.handle("/test.Echo/Hang") { bytes, context in
        observations.note("hanging")
        do {
            try await Task.sleep(for: .seconds(60))
        } catch {
            observations.note("cancelled")
            throw error
        }
        return GRPCMessage([])
    }
    methods.handle("/test.Echo/UntilReleased") { bytes, _ in
        observations.note("waiting")
        _ = await eventually { observations.count("released") > 0 }
        return GRPCMessage(bytes)
    }
    GRPCHealth(services: ["test.Echo"]) { observations.count("unhealthy") == 0 }.register(in: &methods)
    return methods
}

/// A server and a client of it, for the length of `body`.
func withEcho(
    server change: (inout GRPCServer.Configuration) -> Void = { _ in },
    client changeClient: (inout GRPCClient.Configuration) -> Void = { _ in },
    _ body: (GRPCClient, Observations, _ port: UInt16) async throws -> Void
) async throws {
    let observations = Observations()
    var configuration = GRPCServer.Configuration()
    configuration.observe = { observations.note($0) }
    change(&configuration)
    let server = GRPCServer(configuration, methods: testMethods(observations))
    let port = try server.start()
    var clientConfiguration = GRPCClient.Configuration(target: "127.0.0.1:\(port)")
    changeClient(&clientConfiguration)
    let client = GRPCClient(clientConfiguration)
    do {
        try await body(client, observations, port)
    } catch {
        await client.shutdown(grace: .zero)
        await server.shutdown(grace: .zero)
        throw error
    }
    await client.shutdown(grace: .zero)
    await server.shutdown(grace: .zero)
}

/// The status that `body` ends with.
func status(_ body: () async throws -> Void) async -> GRPCStatus? {
    do {
        try await body()
        return nil
    } catch {
        return error as? GRPCStatus
    }
}

extension GRPCClient {
    /// Just the reply's bytes.
    func answer(_ method: String, _ request: [UInt8]) async throws -> [UInt8] {
        try await call(method, bytes: request).bytes
    }

    /// Expects the request back.
    func expectAnswer(_ method: String, _ request: [UInt8], at location: SourceLocation = #_sourceLocation) async throws
    {
        let reply = try await answer(method, request)
        #expect(reply == request, sourceLocation: location)
    }
}
