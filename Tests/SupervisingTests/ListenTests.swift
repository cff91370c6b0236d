import Glibc
import HTTPSending
import HTTPServing
import StandardWebhooks
import Synchronization
import Testing

@testable import Supervising

/// Collects what a command prints.
final class Printed: Sendable {
    private let lines = Mutex<(results: [String], notes: [String])>(([], []))

    var output: CommandOutput {
        CommandOutput(
            result: { text in self.lines.withLock { $0.results.append(text) } },
            note: { text in self.lines.withLock { $0.notes.append(text) } })
    }

    var results: [String] { lines.withLock { $0.results } }
    var notes: [String] { lines.withLock { $0.notes } }
}

/// Collects what a receiver got.
final class Receptions: Sendable {
    private let list = Mutex<[Reception]>([])
    var all: [Reception] { list.withLock { $0 } }
    func add(_ reception: Reception) { list.withLock { $0.append(reception) } }
}

@Suite(.timeLimit(.minutes(1))) struct ListenTests {
    private static let secret = WebhookSecret()

    private func signed(_ body: String, at seconds: Int64, secret: WebhookSecret = secret) throws -> HTTPRequest {
        let signature = try WebhookSigner().sign(
            id: "evt_1", timestampSeconds: seconds, body: Array(body.utf8),
            keys: WebhookSigningKeys(secrets: [secret]))
        return HTTPRequest(
            method: "POST", path: "/hook",
            headers: [
                ("webhook-id", "evt_1"), ("webhook-timestamp", String(seconds)), ("webhook-signature", signature),
            ], body: Array(body.utf8))
    }

    /// The receiver reads the real-time clock; so must a request that shall be fresh.
    private var now: Int64 { Int64(time(nil)) }

    @Test func signaturesAreVerified() async throws {
        let receptions = Receptions()
        var options = ListenOptions()
        options.secrets = [Self.secret.text]
        let receiver = try ListenReceiver(options) { receptions.add($0) }
        #expect(await receiver.handle(try signed("{}", at: now)).status == 200)
        #expect(await receiver.handle(try signed("{}", at: now, secret: WebhookSecret())).status == 200)
        #expect(await receiver.handle(try signed("{}", at: now - 1_000)).status == 200)
        #expect(await receiver.handle(HTTPRequest(method: "POST", path: "/")).status == 200)
        let signatures = receptions.all.map(\.signature)
        #expect(signatures[0] == .verified)
        for (signature, word) in zip(signatures.dropFirst(), ["no signature fits", "too old", "webhook-id is missing"])
        {
            guard case .refused(let reason) = signature else {
                Issue.record("\(signature)")
                continue
            }
            #expect(reason.contains(word))
        }
        #expect(receptions.all.map(\.number) == [1, 2, 3, 4])
    }

    @Test func theFirstOnesFailAndTheOthersAreAnsweredAsAsked() async throws {
        let receptions = Receptions()
        var options = ListenOptions()
        options.failFirst = 2
        options.status = 202
        let receiver = try ListenReceiver(options) { receptions.add($0) }
        var statuses: [Int] = []
        for _ in 0..<4 { statuses.append(await receiver.handle(HTTPRequest(method: "POST", path: "/")).status) }
        #expect(statuses == [500, 500, 202, 202])
        #expect(receptions.all.map(\.status) == statuses)
        #expect(receptions.all.allSatisfy { $0.signature == .unchecked })
    }

    @Test func answersAreHeldBack() async throws {
        let receiver = ListenReceiver(delayMilliseconds: 60, answer: { _, _ in 200 }, arrived: { _ in })
        let start = ContinuousClock.now
        _ = await receiver.handle(HTTPRequest(method: "POST", path: "/"))
        #expect(ContinuousClock.now - start >= .milliseconds(60))
    }

    @Test func everyPathIsServedOverHTTP() async throws {
        let receptions = Receptions()
        let server = ListenReceiver(answer: { _, _ in 200 }, arrived: { receptions.add($0) }).server(
            host: "127.0.0.1", port: 0)
        let port = try await server.start()
        let client = try HTTPClient()
        for path in ["/", "/a/b/c/", "/a?x=1", "/%zz"] {
            let result = await client.send(.post, to: try Endpoint("http://127.0.0.1:\(port)\(path)"), body: [1])
            #expect(result.status == 200)
        }
        await server.stop(withinMilliseconds: 500)
        #expect(receptions.all.map(\.request.path) == ["/", "/a/b/c/", "/a", "/%zz"])
        #expect(receptions.all[2].request.query == "x=1")
    }

    @Test func theTextShowsEverythingAndObeysNothing() {
        let reception = Reception(
            number: 7, receivedAtMs: 0,
            request: HTTPRequest(
                method: "POST", path: "/hook", query: "a=1", headers: [("x-name", "a\u{1b}[2Jb"), ("y", "c")],
                body: Array("{\"é\":1}\n\u{202e}\u{7}".utf8)), signature: .refused("reason"), status: 500)
        let text = reception.text
        for part in [
            "#7", "POST /hook?a=1", "NOT verified: reason", "answered: 500", "{\"é\":1}", "\\u{1b}[2J", "\\u{7}",
        ] {
            #expect(text.contains(part))
        }
        #expect(!text.unicodeScalars.contains { $0 == "\u{1b}" || $0 == "\u{7}" || $0 == "\u{202e}" })
    }

    @Test func theJSONIsOneLine() {
        var reception = Reception(
            number: 1, receivedAtMs: 5,
            request: HTTPRequest(
                method: "POST", path: "/", headers: [("a", "1"), ("a", "2")], body: Array("{\n}".utf8)),
            signature: .verified, status: 200)
        #expect(
            reception.json
                == #"{"number":1,"received_at":"1970-01-01T00:00:00.005Z","method":"POST","path":"/","headers":[["a","1"],["a","2"]],"verified":true,"answered":200,"body":"{\n}"}"#
        )
        reception.signature = .refused("why")
        #expect(reception.json.contains(#""reason":"why""#))
        #expect(reception.json.contains(#""verified":false"#))
        reception.signature = .unchecked
        #expect(reception.json.contains(#""verified":null"#))
    }

    /// What `listen` says instead of starting.
    private func refusal(_ change: (inout ListenOptions) -> Void) async -> String {
        var options = ListenOptions()
        options.port = 0
        change(&options)
        do {
            try await ListenService(options, output: Printed().output).run()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func impossibleOptionsAreNamed() async {
        #expect(await refusal { $0.status = 99 }.contains("--status 99"))
        #expect(await refusal { $0.failFirst = -1 }.contains("--fail-first -1"))
        #expect(await refusal { $0.delayMilliseconds = -1 }.contains("--delay -1"))
        #expect(await refusal { $0.secrets = ["nonsense"] }.contains("whsec_"))
        #expect(await refusal { $0.host = "nowhere" }.contains("nowhere"))
    }
}
