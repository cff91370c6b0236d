internal import Flags
internal import Gateway
internal import JSONScanning
internal import Postgres
internal import Records
internal import ServiceSupport

struct UsersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users", abstract: "Who may log in.",
        subcommands: [UsersAddCommand.self, UsersPasswordCommand.self])
}

struct UsersAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a user.",
        discussion: "The password is asked for, or is one line of standard input where that is no terminal.")
    @Argument(help: "The name to log in with.") var username: String
    @Option(help: "Whose webhooks and events the user sees.") var tenant = defaultTenant
    @Option(valueName: "scope", help: "What the user may do; repeatable; default: everything.") var scope: [String] = []
    @Flag(help: "As JSON.") var json = false
    @OptionGroup var source: ConfigurationOptions

    func validate() throws {
        if let unknown = scope.first(where: { Scope(rawValue: $0) == nil }) {
            let known = Scope.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("there is no scope \(unknown): expected one of \(known)")
        }
    }

    func run() async throws {
        let scopes = scope.isEmpty ? Scope.allCases : scope.compactMap(Scope.init(rawValue:))
        let user = User(username: username, tenant: tenant, scopes: scopes)
        let password = try await Password.read()
        try await withUsers(source) { try await $0.add(user, password: password) }
        guard json else { return CommandOutput.standard.result("Added \(username), of tenant \(tenant).") }
        CommandOutput.standard.result(json: { writer in
            writer.object { writer in
                writer.member("username", username)
                writer.member("tenant", tenant)
                writer.key("scopes")
                writer.array { writer in for scope in scopes { writer.string(scope.rawValue) } }
            }
        })
    }
}

struct UsersPasswordCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "password", abstract: "Replace a user's password.",
        discussion: """
            The password is asked for, or is one line of standard input where that is no terminal. Tokens that were issued before stay \
            valid until they expire.
            """)
    @Argument(help: "Whose.") var username: String
    @Option(help: "The user's tenant, to be sure whom this changes.") var tenant: String?
    @Flag(help: "As JSON.") var json = false
    @OptionGroup var source: ConfigurationOptions

    func run() async throws {
        let password = try await Password.read()
        let (username, tenant) = (username, tenant)
        try await withUsers(source) { try await $0.setPassword(password, of: username, tenant: tenant) }
        guard json else { return CommandOutput.standard.result("Changed the password of \(username).") }
        CommandOutput.standard.result(json: { writer in writer.object { $0.member("username", username) } })
    }
}

private func withUsers(_ source: ConfigurationOptions, _ body: @Sendable (UserStore) async throws -> Void) async throws
{
    let pool = try PostgresPool(try source.load(needs: .postgres).postgres.pool("martlet-users"))
    pool.start()
    do {
        try await body(UserStore(pool: pool))
    } catch {
        await pool.close()
        throw error
    }
    await pool.close()
}
