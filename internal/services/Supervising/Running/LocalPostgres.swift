internal import ChildProcesses
internal import Glibc
internal import Postgres
internal import ServiceSupport

/// A PostgreSQL from the system's packages with data of its own.
struct LocalPostgres {
    /// The folder that its data lies in: the system's own, or as root one that is for nothing else.
    let home: String
    let data: String
    let program: ChildProgram
    private let binaries: String
    private let owner: String?

    /// Throws where PostgreSQL is not installed. As root its data lies outside the checkout, which another user may not enter, and it
    /// runs as `postgres`: the server refuses to run as root.
    init(_ state: LocalState, port: UInt16) throws(SupervisionError) {
        guard let binaries = Self.findBinaries() else {
            throw SupervisionError(
                "PostgreSQL's server (postgres, initdb) is not installed: apt-get install postgresql")
        }
        self.binaries = binaries
        owner = getuid() == 0 ? "postgres" : nil
        home = owner == nil ? state.directory : "/var/lib/martlet/\(Self.fingerprint(state.directory))"
        data = "\(home)/postgres"
        program = ChildProgram(
            name: "PostgreSQL", executable: "\(binaries)/postgres",
            arguments: [
                "-D", data, "-h", "127.0.0.1", "-p", "\(port)", "-k", "", "-c", "logging_collector=off", "-c",
                "max_connections=60",
            ], log: state.log("postgresql"), user: owner, stopSignal: SIGINT)
    }

    private static func findBinaries() -> String? {
        let versions = stride(from: 30, through: 12, by: -1).map { "/usr/lib/postgresql/\($0)/bin" }
        if let folder = versions.first(where: { Files.isExecutable("\($0)/initdb") }) { return folder }
        return Files.program("initdb").map { String($0.dropLast("/initdb".count)) }
    }

    /// Names a checkout in a folder that all of a machine share.
    private static func fingerprint(_ path: String) -> String {
        String(path.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }, radix: 16)
    }

    /// Makes the cluster, the first time: in a folder beside it, which becomes the cluster's when everything is there.
    func prepare(_ settings: PostgresSettings) async throws(SupervisionError) {
        guard !Files.exists("\(data)/PG_VERSION") else { return }
        try Files.makeDirectory(home, mode: 0o755)
        let unfinished = "\(data).new"
        Files.removeTree(unfinished)
        try Files.makeDirectory(unfinished)
        let passwordFile = "\(home)/password"
        try Files.write(settings.password, to: passwordFile)
        defer { Files.remove(passwordFile) }
        if let owner, let entry = getpwnam(owner) {
            for path in [unfinished, passwordFile] { chown(path, entry.pointee.pw_uid, entry.pointee.pw_gid) }
        }
        let initdb = ChildProgram(
            name: "initdb", executable: "\(binaries)/initdb",
            arguments: [
                "--pgdata=\(unfinished)", "--username=\(settings.user)", "--pwfile=\(passwordFile)",
                "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C.UTF-8",
            ], log: program.log, user: owner)
        let reason = try await starting { () throws(ChildError) in try await Child.run(initdb) }
        guard reason == "exit code 0" else {
            throw SupervisionError("initdb failed (\(reason)): \(Files.tail(program.log))")
        }
        guard rename(unfinished, data) == 0 else {
            throw SupervisionError("\(unfinished) cannot be renamed to \(data): \(String(cString: strerror(errno)))")
        }
    }

    /// Waits until it answers, and makes the database where it is missing.
    static func awaitDatabase(_ settings: PostgresSettings, while isAlive: @Sendable () -> Bool) async throws {
        var configuration = settings.pool("martlet")
        configuration.database = "postgres"
        configuration.maximumConnections = 1
        let pool = try PostgresPool(configuration)
        pool.start()
        do {
            try await awaitAnswer(pool, while: isAlive)
            let rows = try await pool.query("SELECT 1 FROM pg_database WHERE datname = $1", [.text(settings.database)])
            if rows.isEmpty { _ = try await pool.query("CREATE DATABASE \"\(settings.database)\"") }
        } catch {
            await pool.close()
            throw error
        }
        await pool.close()
    }

    private static func awaitAnswer(_ pool: PostgresPool, while isAlive: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            do {
                _ = try await pool.query("SELECT 1")
                return
            } catch {
                guard isAlive(), ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
