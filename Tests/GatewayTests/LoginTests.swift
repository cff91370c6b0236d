import CLinux
import Cryptography
import HTTPSending
import HTTPServing
import JSONScanning
import Logs
import ServiceSupport
import TestSupport
import Testing
import Tokens

@testable import Gateway

@Suite(.serialized, .timeLimit(.minutes(5)))
struct LoginTests {
    /// Cheap, so that tests are quick.
    private static let cheap = PasswordHasher(cost: PasswordCost(operations: 1, memoryBytes: 1 << 20))

    private func logIn(_ gateway: GatewayFixture, _ username: String, _ password: String) async -> Answer {
        var writer = JSONWriter()
        writer.object {
            $0.member("username", username)
            $0.member("password", password)
        }
        return await gateway.send(.post, "/auth/login", String(decoding: writer.bytes, as: UTF8.self))
    }

    @Test func aUserGetsTheirOwnTenantAndScopes() async throws {
        try await withGateway { gateway in
            let users = UserStore(pool: gateway.pool, hasher: Self.cheap)
            try await users.add(
                User(username: "reader@example.org", tenant: "acme", scopes: [.readWebhooks]), password: "eight or more"
            )
            let before = try #require(try await users.find("reader@example.org")).passwordHash
            let answer = await logIn(gateway, "reader@example.org", "eight or more")
            let token = try #require(answer.string("token"))
            let claims = try BearerTokens(gateway.configuration.auth).claims(
                authorization: "bearer  \(token)", scope: "webhooks:read", nowMs: clinux_realtime_ms())
            #expect(claims.tenant == "acme" && claims.subject == "reader@example.org")
            #expect(claims.scopes == ["webhooks:read"] && claims.expiresAt - claims.issuedAt == 3_600)
            #expect(await gateway.send(.get, "/api/v1/webhooks", token: token).status == 200)
            #expect(await gateway.send(.post, "/api/v1/webhooks", "{}", token: token).status == 403)
            // The cheap hash was replaced by one at the present cost, of the same password.
            let after = try #require(try await users.find("reader@example.org")).passwordHash
            #expect(after != before && !PasswordHasher().needsRehash(after))
            #expect(await logIn(gateway, "reader@example.org", "eight or more").status == 200)
        }
    }

    @Test func whoIsThereCannotBeFoundOut() async throws {
        try await withGateway { gateway in
            let wrong = await logIn(gateway, "admin", "not the password")
            let unknown = await logIn(gateway, "nobody", "not the password")
            let impossible = await logIn(gateway, "No'body\u{0}", "not the password")
            #expect(wrong.problem == "401 invalid_credentials -")
            #expect(unknown.text == wrong.text && impossible.text == wrong.text)
            // An unknown name costs a hash too: tens of milliseconds, where the rest takes one or two.
            var fastest = Duration.seconds(60)
            for _ in 0..<3 {
                fastest = min(fastest, await ContinuousClock().measure { _ = await logIn(gateway, "nobody", "x") })
            }
            #expect(fastest > .milliseconds(15))
        }
    }

    @Test func guessingIsLimited() async throws {
        try await withGateway { gateway in
            for _ in 0..<10 { #expect(await logIn(gateway, "admin", "a guess").status == 401) }
            // One more is allowed every few seconds, and a hash takes that long on a busy machine.
            var limited = await logIn(gateway, "admin", "password")
            for _ in 0..<20 where limited.status != 429 { limited = await logIn(gateway, "admin", "password") }
            #expect(limited.problem == "429 too_many_attempts -")
            #expect((limited.header("retry-after").flatMap { Int($0) } ?? 0) >= 1)
            #expect(await logIn(gateway, "somebody", "a guess").status == 401)
        }
    }

    @Test(arguments: [
        ("", "400 invalid_json -"), ("[]", "422 field_invalid -"), ("{}", "422 field_required username"),
        (#"{"username":"admin"}"#, "422 field_required password"),
        (#"{"username":1,"password":"password"}"#, "422 field_invalid username"),
        (#"{"username":"admin","password":["password"]}"#, "422 field_invalid password"),
        (#"{"username":"admin","password":"password","otp":1}"#, "422 unknown_field otp"),
        (#"{"username":"admin","password":"password","password":"x"}"#, "400 duplicate_field password"),
    ])
    func badLoginsNameTheField(body: String, problem: String) async throws {
        // Before anything is looked up: no database is needed.
        let answer = try await login().handler(request(body))
        let text = String(decoding: answer.body, as: UTF8.self)
        let told = Answer(
            status: answer.status, headers: answer.headers.map { HTTPSendHeader(name: $0.name, value: $0.value) },
            text: text)
        #expect(told.problem == problem, "\(text)")
    }

    @Test func aFloodIsTurnedAwayBeforeItTakesTheMemory() async throws {
        let route = try login(PasswordHasher(maximumConcurrent: 1, maximumWaiting: 1))
        let answers = await withTaskGroup(of: HTTPResponse.self) { group in
            for number in 0..<8 {
                let body = #"{"username":"NOBODY","password":"x"}"#
                var request = request(body)
                request.peer = "10.0.0.\(number)"
                group.addTask { [request] in await route.handler(request) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let away = answers.filter { $0.status == 503 }
        #expect(answers.allSatisfy { $0.status == 401 || $0.status == 503 })
        // One is computed; another may wait, unless it comes before the first one's thread has taken that up.
        #expect((1...7).contains(away.count))
        #expect(away.allSatisfy { response in response.headers.contains { $0.name == "retry-after" } })
    }

    @Test func theDevelopmentUserIsNobodyInProduction() async throws {
        let gateway = try await GatewayFixture(["MARTLET_PROFILE": "production"], hasRegistry: false)
        let users = UserStore(pool: gateway.pool, hasher: Self.cheap)
        try await users.addDefault(GatewayDatabase.defaultUser, password: GatewayDatabase.defaultPassword)
        #expect(await gateway.isReady(["postgres"]))
        #expect(await logIn(gateway, "admin", "password").problem == "401 invalid_credentials -")
        // Once it has a password of its own, it is a user like others.
        try await users.setPassword("a better one", of: "admin")
        #expect(await logIn(gateway, "admin", "a better one").status == 200)
        try await gateway.stop()
    }

    @Test func usersAreManagedForTheCommandLine() async throws {
        let gateway = try await GatewayFixture(hasRegistry: false)
        let users = UserStore(pool: gateway.pool, hasher: Self.cheap)
        let user = User(username: "eve", tenant: "acme")
        try await users.add(user, password: "password of eve")
        #expect(try await users.find("eve")?.user == user)
        await #expect(throws: UserError.exists("eve")) { try await users.add(user, password: "another one") }
        await #expect(throws: UserError.unknown("eve")) {
            try await users.setPassword("another one", of: "eve", tenant: "other")
        }
        await #expect(throws: UserError.unknown("adam")) { try await users.setPassword("another one", of: "adam") }
        try await users.setPassword("another one", of: "eve", tenant: "acme")
        #expect(await gateway.isReady(["postgres"]))
        #expect(await logIn(gateway, "eve", "password of eve").status == 401)
        #expect(await logIn(gateway, "eve", "another one").status == 200)
        for (user, password) in [
            (User(username: "Eve", tenant: "acme"), "long enough"), (User(username: "x", tenant: "A"), "long enough"),
            (User(username: "x", tenant: "acme"), "short"),
            (User(username: "x", tenant: "acme"), String(repeating: "x", count: 1_025)),
        ] {
            await #expect(throws: UserError.self) { try await users.add(user, password: password) }
        }
        try await gateway.stop()
    }

    // MARK: Without a database

    private func login(_ hasher: PasswordHasher = PasswordHasher()) throws -> HTTPRoute {
        let configuration = try Configuration.load(
            environment: ["MARTLET_PROFILE": "development", "MARTLET_POSTGRES_PORT": "\(freePort())"])
        let output = LogOutput(service: "test", level: .critical)
        let context = ServiceContext(
            name: "api-gateway", configuration: configuration, logger: Logger(label: "test", output: output))
        let users = UserStore(pool: try GatewayDatabase.pool(context), hasher: hasher)
        let tokens = try BearerTokens(configuration.auth)
        return Login(context, users: users, hasher: hasher, authority: tokens.authority).routes[0]
    }

    private func request(_ body: String) -> HTTPRequest {
        HTTPRequest(
            method: "POST", path: "/auth/login", headers: [("content-type", "application/json")],
            body: Array(body.utf8), requestID: "r", peer: "10.0.0.1")
    }
}
