import GRPC
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct SecurityTests {
    private func withCertificates(_ body: (TestIdentities) async throws -> Void) async throws {
        let directory = try temporaryDirectory("grpc")
        defer { removeDirectory(directory) }
        try await body(try await TestIdentities.make(in: directory))
    }

    @Test func aServerIsVerified() async throws {
        try await withCertificates { made in
            try await withEcho(
                server: { $0.identity = .init(certificate: made.server.certificate, privateKey: made.server.key) },
                client: { $0.identity = .init(roots: made.authority.certificate) },
                { client, _, port in
                    try await client.expectAnswer("/test.Echo/Bytes", [1])
                    var wrong = GRPCClient.Configuration(target: "127.0.0.1:\(port)")
                    wrong.identity = .init(roots: made.authority.certificate)
                    wrong.serverName = "other.example"
                    let doubting = GRPCClient(wrong)
                    let failure = await status { _ = try await doubting.call("/test.Echo/Bytes", bytes: []) }
                    #expect(failure?.code == .unavailable)
                    let plain = GRPCClient(.init(target: "127.0.0.1:\(port)"))
                    let refused = await status { _ = try await plain.call("/test.Echo/Bytes", bytes: []) }
                    #expect(refused?.code == .unavailable)
                    await doubting.shutdown()
                    await plain.shutdown()
                })
        }
    }

    @Test func aClientIsVerifiedToo() async throws {
        try await withCertificates { made in
            let root = made.authority.certificate
            try await withEcho(
                server: {
                    $0.identity = .init(roots: root, certificate: made.server.certificate, privateKey: made.server.key)
                },
                client: {
                    $0.identity = .init(roots: root, certificate: made.client.certificate, privateKey: made.client.key)
                },
                { client, _, port in
                    try await client.expectAnswer("/test.Echo/Bytes", [1])
                    var nameless = GRPCClient.Configuration(target: "127.0.0.1:\(port)")
                    nameless.identity = .init(roots: root)
                    let stranger = GRPCClient(nameless)
                    let failure = await status { _ = try await stranger.call("/test.Echo/Bytes", bytes: []) }
                    #expect(failure?.code == .unavailable)
                    await stranger.shutdown()
                })
        }
    }

    @Test func anUnusableCertificateIsTold() async throws {
        var configuration = GRPCServer.Configuration()
        configuration.identity = .init(certificate: "no certificate", privateKey: "no key")
        let error = #expect(throws: GRPCListenError.self) {
            _ = try GRPCServer(configuration, methods: GRPCMethods()).start()
        }
        #expect(error?.description.contains("certificate or key is unusable") == true)
    }
}
