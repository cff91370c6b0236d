import ChildProcesses
import Glibc
import HTTPSending
import JSONScanning

/// A Martlet of the benchmark's own, started by `martlet up` on free ports in a folder of its own, as a user would.
final class BenchSystem: Sendable {
    let directory: String
    private let supervisor: Child
    private let client: HTTPClient
    /// As `martlet up` wrote it down.
    let ports: [String: UInt16]
    let brokers: String
    /// `cluster`, `real` or `memory`.
    let kafka: String
    private let token: String

    /// Starts it, and waits until all of it is ready.
    /// - Parameters:
    ///   - martlet: the program.
    ///   - directory: is to be empty; removed at the end.
    ///   - environment: for the system alone, such as `KAFKA_HOME`.
    init(martlet: String, directory: String, environment: [String: String]) async throws {
        self.directory = directory
        mkdir(directory, 0o755)
        let log = "\(directory)/supervisor.txt"
        supervisor = try await Child(
            ChildProgram(
                name: "martlet up", executable: martlet,
                arguments: ["up", "--state", "\(directory)/system", "--ports", "auto"], environment: environment,
                log: log))
        client = try HTTPClient()
        let state = try await Self.state(directory, supervisor, log)
        var ports: [String: UInt16] = [:]
        if case .object(let members)? = state["ports"] {
            for (name, port) in members.members { ports[name] = UInt16(clamping: port.integer ?? 0) }
        }
        self.ports = ports
        brokers = state["brokers"]?.text ?? ""
        kafka = state["kafka"]?.text ?? ""
        token = try await Self.logIn(client, ports["api-gateway"] ?? 0)
    }

    private static func state(_ directory: String, _ supervisor: Child, _ log: String) async throws -> JSONValue {
        for _ in 0..<1_200 {
            if let text = contents("\(directory)/system/state.json"),
                let state = try? JSONValue(parsing: Array(text.utf8)),
                state["phase"]?.text == "up"
            {
                return state
            }
            if supervisor.endReason != nil { break }
            try await Task.sleep(for: .milliseconds(100))
        }
        await supervisor.stop(within: .seconds(30))
        throw BenchError("martlet up failed:\n\(contents(log) ?? "")")
    }

    private static func logIn(_ client: HTTPClient, _ port: UInt16) async throws -> String {
        let body = #"{"username":"admin","password":"password"}"#
        var headers = HeaderLines()
        headers.append("content-type", "application/json")
        let answer = await client.send(
            .post, to: try Endpoint("http://127.0.0.1:\(port)/auth/login"), headers: headers, body: Array(body.utf8))
        guard let token = (try? JSONValue(parsing: answer.body))?["token"]?.text else {
            throw BenchError("logging in: \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
        }
        return token
    }

    /// Stops everything and removes its folder.
    func stop() async {
        await supervisor.stop(within: .seconds(120))
        let arguments = ["-rf", directory]
        _ = try? await Child.run(
            ChildProgram(name: "rm", executable: "rm", arguments: arguments, log: "/dev/null"))
    }

    /// What its processes have used, by kind.
    func usage() -> [String: Usage] { supervisor.pid.map(ProcessTable.usage(of:)) ?? [:] }

    /// Stops a service's process where it stands, or lets it go on.
    func freeze(_ service: String, _ isFrozen: Bool) {
        for pid in pids(of: service) { kill(pid, isFrozen ? SIGSTOP : SIGCONT) }
    }

    func pids(of service: String) -> [Int32] {
        supervisor.pid.map { ProcessTable.pids(of: service, below: $0) } ?? []
    }

    // MARK: Its API

    func port(_ name: String) -> UInt16 { ports[name] ?? 0 }

    func call(_ method: HTTPSendMethod, _ path: String, body: String? = nil) async throws -> JSONValue? {
        var headers = HeaderLines()
        headers.append("authorization", "Bearer \(token)")
        if body != nil { headers.append("content-type", "application/json") }
        let answer = await client.send(
            method, to: try Endpoint("http://127.0.0.1:\(port("api-gateway"))\(path)"), headers: headers,
            body: Array((body ?? "").utf8))
        guard (200...299).contains(answer.status) else {
            throw BenchError("\(path): \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
        }
        return try? JSONValue(parsing: answer.body)
    }

    /// What a service exports, line by line.
    func metrics(of service: String) async throws -> [Substring] {
        let answer = await client.send(.get, to: try Endpoint("http://127.0.0.1:\(port(service))/metrics"))
        return String(decoding: answer.body, as: UTF8.self).split(separator: "\n")
    }

    /// A number that a service exports; nil where it does not.
    /// - Parameter name: with its labels, as Prometheus' text has it.
    func metric(_ name: String, of service: String) async throws -> Double? {
        let line = try await metrics(of: service).first { $0.hasPrefix(name + " ") }
        return line?.split(separator: " ").last.flatMap { Double($0) }
    }

    /// Makes webhooks with these numbers: `fanOut` for each event type, so that the event type of webhook `n` is `n / fanOut`.
    /// - Parameter settings: further members of each, such as `,"timeout_ms":1000`.
    func makeWebhooks(_ range: Range<Int>, fanOut: Int, receiver: UInt16, settings: String = "") async throws {
        try await forEach(range) { [self] number in
            let url = "http://127.0.0.1:\(receiver)/w/\(padded(number, 6))"
            let type = LoadPlan.type(number / fanOut)
            _ = try await call(
                .post, "/api/v1/webhooks", body: #"{"url":"\#(url)","event_types":["\#(type)"]\#(settings)}"#)
        }
    }

    func deleteWebhooks() async throws {
        while let page = try await call(.get, "/api/v1/webhooks?limit=100"), let hooks = page["data"]?.elements,
            !hooks.isEmpty
        {
            try await forEach(hooks.compactMap { $0["id"]?.text }) { [self] id in
                _ = try await call(.delete, "/api/v1/webhooks/\(id)")
            }
        }
    }

    /// Thirty-two at a time.
    private func forEach<Element: Sendable>(
        _ elements: some Sequence<Element>, _ body: @escaping @Sendable (Element) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, element) in elements.enumerated() {
                if index >= 32 { try await group.next() }
                group.addTask { try await body(element) }
            }
            try await group.waitForAll()
        }
    }
}
