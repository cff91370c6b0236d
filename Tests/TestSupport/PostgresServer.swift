internal import EventLoops
public import Glibc
internal import Synchronization

/// A real PostgreSQL with data of its own, on a free port of 127.0.0.1, without fsync. One is shared by all suites of a process;
/// tests that stop or break it make their own.
public final class PostgresServer: Sendable {
    public let host = "127.0.0.1"
    public let port: UInt16
    public let user = "martlet"
    public let password = "secret-of-tests"
    /// Empty, made with the server.
    public let database = "martlet"
    /// The certificate authority's PEM file of a server with TLS.
    public let authority: String?
    private let directory: String
    private let disk: SmallDisk?
    private let process: Mutex<ServerProcess?>
    private let databases = Atomic<Int>(0)

    private static let common = Shared { try await PostgresServer() }

    /// The server that the process's suites share; made at the first call.
    public static func shared() async throws -> PostgresServer { try await common.value() }

    /// Makes a cluster and starts it. Password login only, over TCP.
    /// - Parameter disk: Where its data lies; nil: in a folder like any other.
    public init(tls: Bool = false, on disk: SmallDisk? = nil) async throws {
        self.disk = disk
        directory = try disk?.path ?? temporaryDirectory("postgres")
        port = freePort()
        process = Mutex(nil)
        authority = tls ? directory + "/authority.crt" : nil
        let passwordFile = directory + "/password"
        try write(password, to: passwordFile)
        try await Tool.run(
            Self.binary("initdb"),
            [
                "--pgdata=\(directory)/data", "--username=\(user)", "--pwfile=\(passwordFile)", "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
            ], user: Self.systemUser)
        if tls { try await TestCertificates.make(in: directory, owner: Self.systemUser) }
        try await start()
        try await run("CREATE DATABASE \(database)", in: "postgres")
    }

    /// Starts it (again) and waits until it answers.
    public func start() async throws {
        var settings = [
            "-D", "\(directory)/data", "-h", host, "-p", "\(port)", "-k", "", "-F", "-c", "max_connections=60",
            "-c", "shared_buffers=32MB", "-c", "log_min_messages=error",
            "-c", disk == nil ? "max_wal_size=1GB" : "max_wal_size=64MB",
        ]
        if authority != nil {
            settings += ["-c", "ssl=on", "-c", "ssl_cert_file=\(directory)/server.crt"]
            settings += ["-c", "ssl_key_file=\(directory)/server.key"]
        }
        // After a crash the dead server's children hold its shared memory for a moment, and a new one ends at once.
        let deadline = ContinuousClock.now + .seconds(30)
        var isReady = false
        repeat {
            let started = try await ServerProcess(
                Self.binary("postgres"), settings, log: directory + "/log", user: Self.systemUser, deathSignal: SIGQUIT)
            process.withLock { $0 = started }
            _ = await eventually(within: .seconds(30)) {
                isReady =
                    (try? await Tool.run(Self.binary("pg_isready"), ["-q", "-h", host, "-p", "\(port)"])) != nil
                return isReady || !started.isRunning
            }
        } while !isReady && ContinuousClock.now < deadline
        guard isReady else {
            throw Tool.Failure(description: "PostgreSQL did not start: \(contents(of: directory + "/log"))")
        }
    }

    /// Ends the server: SIGINT as an operator would (sessions are cut), SIGKILL as a crash.
    public func stop(_ signal: Int32 = SIGINT) async {
        let running = process.withLock { process in
            defer { process = nil }
            return process
        }
        await running?.end(signal)
    }

    /// Whether it runs: a full disk ends it.
    public var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }

    /// Ends the server and removes its data.
    public func remove() async {
        await stop()
        removeDirectory(directory)
    }

    /// Stops every process of the server, or lets them go on: what a frozen machine looks like.
    public func freeze(_ frozen: Bool) {
        guard let pid = process.withLock({ $0?.pid }) else { return }
        for child in children(of: pid) + [pid] { kill(child, frozen ? SIGSTOP : SIGCONT) }
    }

    /// A new, empty database; its name.
    public func makeDatabase() async throws -> String {
        let name = "test\(databases.wrappingAdd(1, ordering: .relaxed).newValue)"
        try await run("CREATE DATABASE \(name)", in: "postgres")
        return name
    }

    /// Runs SQL with psql.
    public func run(_ sql: String, in database: String? = nil) async throws {
        try await Tool.run(
            Self.binary("psql"),
            [
                "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", "\(port)", "-U", user, "-d",
                database ?? self.database, "-c", sql,
            ], environment: ["PGPASSWORD": password])
    }

    private static var systemUser: String { "postgres" }

    /// The newest installed version's program.
    private static func binary(_ name: String) -> String {
        for version in stride(from: 25, through: 12, by: -1) {
            let path = "/usr/lib/postgresql/\(version)/bin/\(name)"
            if access(path, X_OK) == 0 { return path }
        }
        return name
    }
}

/// The pids of a process's children.
func children(of pid: Int32) -> [Int32] {
    contents(of: "/proc/\(pid)/task/\(pid)/children").split(separator: " ").compactMap { Int32($0) }
}

/// Makes a file of this text, or replaces it.
public func write(_ text: String, to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw SystemError(call: "open \(path)", code: errno) }
    defer { close(descriptor) }
    var text = text
    _ = text.withUTF8 { Glibc.write(descriptor, $0.baseAddress, $0.count) }
}

/// A value made once, at its first use, by whoever comes first; everybody else waits for it.
public final class Shared<Value: Sendable>: Sendable {
    private let make: @Sendable () async throws -> Value
    private let task = Mutex<Task<Value, any Error>?>(nil)

    public init(_ make: @escaping @Sendable () async throws -> Value) { self.make = make }

    public func value() async throws -> Value {
        let running = task.withLock { task in
            let running = task ?? Task { [make] in try await make() }
            task = running
            return running
        }
        return try await running.value
    }
}

/// A certificate authority and a certificate for `localhost` and 127.0.0.1, by the `openssl` program.
enum TestCertificates {
    static func make(in directory: String, owner: String?) async throws {
        let script = """
            set -e; cd "$0"
            openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=martlet-tests -keyout authority.key -out authority.crt
            openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > extensions
            openssl x509 -req -in server.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 30 \\
                -extfile extensions -out server.crt
            chmod 600 server.key
            """
        try await Tool.run("sh", ["-c", script, directory], user: owner)
    }
}
