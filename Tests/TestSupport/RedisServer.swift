public import Glibc
internal import Synchronization

/// A real Redis on a free port of 127.0.0.1 which keeps nothing on disk unless told so (`SAVE`). One is shared by all suites of a process; tests that stop,
/// flush or freeze it make their own.
public final class RedisServer: Sendable {
    public let host = "127.0.0.1"
    public let port: UInt16
    public let password: String?
    /// The certificate authority's PEM file of a server with TLS, which then takes nothing else.
    public let authority: String?
    private let directory: String
    private let settings: [String]
    private let process: Mutex<ServerProcess?>

    private static let common = Shared { try await RedisServer() }

    /// The server that the process's suites share: use keys of your own. Made at the first call.
    public static func shared() async throws -> RedisServer { try await common.value() }

    /// Starts a server; `settings` are added to its command line.
    public init(password: String? = nil, tls: Bool = false, settings: [String] = []) async throws {
        directory = try temporaryDirectory("redis")
        port = freePort()
        self.password = password
        process = Mutex(nil)
        var arguments = ["--bind", host, "--save", "", "--appendonly", "no", "--dir", directory]
        if tls {
            try await TestCertificates.make(in: directory, owner: nil)
            arguments += ["--port", "0", "--tls-port", "\(port)", "--tls-auth-clients", "no"]
            arguments += ["--tls-cert-file", directory + "/server.crt", "--tls-key-file", directory + "/server.key"]
            arguments += ["--tls-ca-cert-file", directory + "/authority.crt"]
        } else {
            arguments += ["--port", "\(port)"]
        }
        authority = tls ? directory + "/authority.crt" : nil
        if let password { arguments += ["--requirepass", password] }
        self.settings = arguments + settings
        try await start()
    }

    /// Starts it (again), with what it last saved, and waits until it answers.
    public func start() async throws {
        let started = try await ServerProcess("redis-server", settings, log: directory + "/log")
        process.withLock { $0 = started }
        let tls = authority.map { ["--tls", "--cacert", $0] } ?? []
        let words = ["-h", host, "-p", "\(port)"] + tls + ["ping"]
        let ready = await eventually(within: .seconds(20)) {
            (try? await Tool.run("redis-cli", words)) != nil
        }
        guard ready else { throw Tool.Failure(description: "Redis did not start: \(contents(of: started.log))") }
    }

    /// Ends the server.
    public func stop(_ signal: Int32 = SIGKILL) async {
        let running = process.withLock { process in
            defer { process = nil }
            return process
        }
        await running?.end(signal)
    }

    /// Ends the server and removes its data.
    public func remove() async {
        await stop()
        removeDirectory(directory)
    }

    /// Stops the process, or lets it go on: what a frozen machine looks like.
    public func freeze(_ frozen: Bool) {
        process.withLock { $0 }?.signal(frozen ? SIGSTOP : SIGCONT)
    }
}
