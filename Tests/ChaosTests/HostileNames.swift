import Glibc
import HTTPSending
import Synchronization
import TestSupport

/// Endpoints behind names: one whose address turns into a forbidden one, one that does not resolve, one that nobody answers for, one that is slow.
final class HostileNames: Sendable {
    /// Where clouds keep what only their own machines may read.
    private static let forbidden = "169.254.169.254"
    private static let names = ["turning", "failing", "silent", "slow"]

    let resolver: StubResolver
    /// Where the names lead to.
    let server: RawServer
    private let state: Shared

    private final class Shared: Sendable {
        let hasTurned = Mutex(false)
        /// Requests by path.
        let taken = Mutex<[String: Int]>([:])
    }

    init() throws {
        let state = Shared()
        self.state = state
        server = RawServer { connection, _ in
            guard let (head, _) = connection.request() else { return }
            let path = String(head.split(separator: " ").dropFirst().first ?? "")
            state.taken.withLock { $0[path, default: 0] += 1 }
            connection.write("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        }
        resolver = try StubResolver { name in
            switch name {
            case "turning.test": .address(state.hasTurned.withLock { $0 } ? Self.forbidden : "127.0.0.1")
            case "slow.test": .address("127.0.0.1", afterMs: 1_500)
            case "silent.test": .silence
            default: .failure
            }
        }
    }

    private func requests(_ path: String) -> Int { state.taken.withLock { $0[path] ?? 0 } }

    func run(on system: ChaosSystem) async throws {
        let type = KafkaBroker.uniqueName("names")
        var webhooks: [String: String] = [:]
        for name in Self.names {
            webhooks[name] = try await system.makeWebhook(url: server.url("/\(name)", host: "\(name).test"), type: type)
        }
        let load = ChaosLoad(system, type: type)
        load.start(rate: 20, senders: 2)
        let hasArrived = await eventually(within: .seconds(20)) {
            requests("/turning") > 0 && requests("/slow") > 0
        }
        // A new process, which asks again.
        state.hasTurned.withLock { $0 = true }
        try await system.restart(.dispatcher, SIGTERM)
        let before = requests("/turning")
        let turning = webhooks["turning"] ?? ""
        let isDenied = await eventually(within: .seconds(20)) {
            let answer = try? await system.call(.get, .gateway, "/api/v1/webhooks/\(turning)/attempts?limit=20")
            return String(decoding: answer?.body ?? [], as: UTF8.self).contains("denied_address")
        }
        await load.stop()
        let after = requests("/turning")
        for webhook in webhooks.values { try await system.call(.delete, .gateway, "/api/v1/webhooks/\(webhook)") }
        state.hasTurned.withLock { $0 = false }
        guard hasArrived else { throw ChaosFinding(description: "nothing arrived at a name, or at a slow one") }
        guard isDenied else { throw ChaosFinding(description: "no attempt says that the address is forbidden") }
        guard after == before else {
            throw ChaosFinding(description: "\(after - before) requests after the name had turned")
        }
    }
}
