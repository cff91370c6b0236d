import Glibc
import TestSupport
import Testing

@testable import HTTPSending

/// What concerns the whole process, in a process of its own.
@Suite(.timeLimit(.minutes(1))) struct ProcessTests {
    @Test(arguments: ["127.0.0.1", "nothing.invalid"])
    func runningOutOfDescriptorsIsNotTheEndpointsFault(host: String) async throws {
        await #expect(processExitsWith: .success) { [host] in
            var limit = rlimit(rlim_cur: 128, rlim_max: 128)
            guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { _exit(2) }
            let client = try HTTPClient(configuration: testConfiguration())
            let endpoint = try Endpoint("http://\(host):9/")
            // Again and again: the client's own thread may hold some for a moment while it starts.
            for _ in 0..<20 {
                while dup(0) >= 0 {}
                usleep(10_000)
            }
            let result = await client.send(.post, to: endpoint, timeoutMilliseconds: 5_000)
            _exit(result.failure == .noDescriptors ? 0 : 1)
        }
    }

    /// libdispatch ends a process that cannot open one more file, so connections may not take the last descriptors.
    @Test func theLastDescriptorsAreLeftToOthers() async throws {
        await #expect(processExitsWith: .success) {
            var limit = rlimit(rlim_cur: 128, rlim_max: 128)
            guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { _exit(2) }
            let client = try HTTPClient(configuration: testConfiguration())
            let endpoint = try Endpoint("http://127.0.0.1:9/")
            let refused = await client.send(.post, to: endpoint, timeoutMilliseconds: 5_000)
            guard refused.failure == .connect else { _exit(3) }
            while dup(0) < 100 {}
            let result = await client.send(.post, to: endpoint, timeoutMilliseconds: 5_000)
            guard result.failure == .noDescriptors else { _exit(1) }
            _exit(open("/proc/self/stat", O_RDONLY) >= 0 ? 0 : 4)
        }
    }
}

/// Against OpenSSL's own server, with certificates made for the test.
@Suite(.timeLimit(.minutes(1))) struct CertificateTests {
    @Test func theServersCertificateIsVerified() async throws {
        let directory = try temporaryDirectory("https")
        defer { removeDirectory(directory) }
        let identities = try await TestIdentities.make(in: directory)
        let (right, wrong) = (freePort(), freePort())
        var servers: [ServerProcess] = []
        for (address, port) in [("127.0.0.1", right), ("127.0.0.2", wrong)] {
            let server = try await ServerProcess(
                "openssl",
                [
                    "s_server", "-accept", "\(address):\(port)", "-cert", identities.server.certificatePath, "-key",
                    identities.server.keyPath, "-www", "-quiet",
                ], log: directory + "/\(address).log")
            servers.append(server)
        }
        defer { for server in servers { server.signal(SIGKILL) } }

        var configuration = testConfiguration()
        configuration.caBundlePath = identities.authority.certificatePath
        let trusting = try HTTPClient(configuration: configuration)
        let ready = try await eventually { try await get(trusting, "https://127.0.0.1:\(right)/").status == 200 }
        #expect(ready)

        let strict = try HTTPClient(configuration: testConfiguration())
        let unknown = try await get(strict, "https://127.0.0.1:\(right)/")
        #expect(unknown.failure == .tls)
        #expect(unknown.message.contains("certificate"))

        // The certificate names 127.0.0.1 and localhost.
        let listening = try await eventually {
            try await get(trusting, "https://127.0.0.2:\(wrong)/").failure != .connect
        }
        #expect(listening)
        #expect(try await get(trusting, "https://127.0.0.2:\(wrong)/").failure == .tls)
    }

    private func get(_ client: HTTPClient, _ url: String) async throws -> HTTPSendResult {
        await client.send(.get, to: try Endpoint(url))
    }
}
