import EventLoops
import Glibc
import HTTPServing
import JSONScanning
import Synchronization
import TestSupport
import Testing

@testable import Supervising

/// A stand-in for event-ingestion that answers as a test says.
final class FakeIngestion: Sendable {
    typealias Answer = @Sendable (HTTPRequest, _ number: Int) async -> HTTPResponse

    private final class Traffic: Sendable {
        struct State {
            var requests: [HTTPRequest] = []
            var running = 0
            var mostAtOnce = 0
        }
        let state = Mutex(State())
    }

    private let traffic: Traffic
    private let server: HTTPServer
    let url: String

    var requests: [HTTPRequest] { traffic.state.withLock { $0.requests } }
    var bodies: [String] { requests.map { String(decoding: $0.body, as: UTF8.self) } }
    var mostAtOnce: Int { traffic.state.withLock { $0.mostAtOnce } }

    /// `answer` is called with each request and its number from 0.
    init(_ answer: @escaping Answer = { _, _ in FakeIngestion.accepted("e") }) async throws {
        let traffic = Traffic()
        self.traffic = traffic
        server = HTTPServer(
            HTTPServerConfiguration(),
            routes: [
                HTTPRoute("POST", "/events") { request in
                    let number = traffic.state.withLock { state in
                        state.requests.append(request)
                        state.running += 1
                        state.mostAtOnce = max(state.mostAtOnce, state.running)
                        return state.requests.count - 1
                    }
                    let response = await answer(request, number)
                    traffic.state.withLock { $0.running -= 1 }
                    return response
                }
            ])
        url = "http://127.0.0.1:\(try await server.start())"
    }

    func stop() async { await server.stop(withinMilliseconds: 300) }

    static func accepted(_ id: String, duplicate: Bool = false) -> HTTPResponse {
        .json(status: 202, Array(#"{"id":"\#(id)","status":"accepted","duplicate":\#(duplicate)}"#.utf8))
    }

    static func problem(_ status: Int, _ headers: [(name: String, value: String)] = []) -> HTTPResponse {
        HTTPResponse(
            status: status, headers: headers,
            body: Array(#"{"code":"field_invalid","detail":"not a type","field":"type"}"#.utf8))
    }
}

@Suite(.timeLimit(.minutes(1))) struct SendTests {
    private func event(_ ingestion: FakeIngestion) -> SendOptions {
        var options = SendOptions(input: .event(SendEvent(id: "e-1", type: "a.b", source: "test")))
        options.baseURL = ingestion.url
        return options
    }

    /// A file with these bytes.
    private func withFile<Result>(_ text: String, _ body: (String) async throws -> Result) async throws -> Result {
        let directory = try temporaryDirectory("send")
        defer { removeDirectory(directory) }
        let path = directory + "/events"
        let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
        let bytes = Array(text.utf8)
        #expect(write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
        return try await body(path)
    }

    @Test func oneEventIsSentAsItsFlagsSay() async throws {
        let ingestion = try await FakeIngestion { _, _ in FakeIngestion.accepted("e-1") }
        let printed = Printed()
        var options = event(ingestion)
        options.input = .event(
            SendEvent(id: "e-1", type: "a.b", source: "s\"x", data: #"{"n": 1.50}"#, orderingKey: "k"))
        options.token = "secret"
        let summary = try await send(options, output: printed.output)
        await ingestion.stop()
        #expect(summary.succeeded)
        #expect(summary.id == "e-1")
        #expect(
            ingestion.bodies == [#"{"id":"e-1","type":"a.b","source":"s\"x","ordering_key":"k","data":{"n": 1.50}}"#])
        #expect(ingestion.requests[0].header("authorization") == "Bearer secret")
        #expect(ingestion.requests[0].header("content-type") == "application/json")
        #expect(printed.results == ["accepted: e-1"])
    }

    @Test func aBusyServiceIsTriedAgainAsLateAsItAsks() async throws {
        let ingestion = try await FakeIngestion { _, number in
            number < 2
                ? FakeIngestion.problem(503, [("retry-after", number == 0 ? "1" : "0")]) : FakeIngestion.accepted("e-1")
        }
        let start = ContinuousClock.now
        let summary = try await send(event(ingestion), output: Printed().output)
        await ingestion.stop()
        #expect(summary.succeeded)
        #expect(ingestion.requests.count == 3)
        #expect(Set(ingestion.bodies).count == 1)
        #expect(ContinuousClock.now - start >= .seconds(1))
    }

    @Test func patienceEnds() async throws {
        let ingestion = try await FakeIngestion { _, _ in FakeIngestion.problem(503) }
        var options = event(ingestion)
        options.patienceMilliseconds = 3_000
        let summary = try await send(options, output: Printed().output)
        await ingestion.stop()
        #expect(!summary.succeeded)
        #expect(ingestion.requests.count > 1)
        #expect(summary.failures[0].reason.contains("503"))
    }

    @Test func aRefusedEventIsNotTriedAgain() async throws {
        let ingestion = try await FakeIngestion { _, _ in FakeIngestion.problem(422) }
        let printed = Printed()
        let summary = try await send(event(ingestion), output: printed.output)
        await ingestion.stop()
        #expect(!summary.succeeded)
        #expect(ingestion.requests.count == 1)
        #expect(printed.notes == ["line 1: status 422, field_invalid (type): not a type"])
    }

    @Test func aServiceThatIsAwayIsSaidAtOnce() async throws {
        var options = SendOptions(input: .event(SendEvent(type: "a", source: "b")))
        options.baseURL = "http://127.0.0.1:\(freePort())"
        let summary = try await send(options, output: Printed().output)
        #expect(!summary.succeeded)
        #expect(summary.failures[0].reason.contains("refused"))
        #expect(summary.elapsedMilliseconds < 5_000)
    }

    @Test func linesAreSentOnceEachWithABoundOnThoseUnderWay() async throws {
        let ingestion = try await FakeIngestion { request, number in
            try? await Task.sleep(for: .milliseconds(2))
            return number % 10 == 3 ? FakeIngestion.problem(422) : FakeIngestion.accepted("x", duplicate: number == 5)
        }
        let lines = (0..<200).map { #"{"id":"e-\#($0)","type":"t","source":"s","data":\#($0)}"# }
        let printed = Printed()
        // Empty lines, CR LF, and no end of the last line.
        let text = lines.prefix(100).joined(separator: "\n\n") + "\r\n" + lines.dropFirst(100).joined(separator: "\r\n")
        let summary = try await withFile(text) { path in
            var options = SendOptions(input: .file(path: path))
            options.baseURL = ingestion.url
            options.concurrency = 7
            options.json = true
            return try await send(options, output: printed.output)
        }
        await ingestion.stop()
        #expect(Set(ingestion.bodies) == Set(lines))
        #expect(ingestion.bodies.count == 200)
        #expect((2...7).contains(ingestion.mostAtOnce))
        #expect(summary.accepted == 180)
        #expect(summary.failed == 20)
        #expect(summary.duplicates == 1)
        #expect(summary.failures.count == 20)
        #expect(printed.results.count == 1)
        #expect(printed.results[0].contains(#""accepted":180"#))
    }

    @Test func aFileMayHoldOneEventOverSeveralLines() async throws {
        let ingestion = try await FakeIngestion()
        let text = "{\n  \"id\": \"e\",\n  \"type\": \"t\",\n  \"source\": \"s\",\n  \"data\": {}\n}\n"
        let summary = try await withFile(text) { path in
            var options = SendOptions(input: .file(path: path))
            options.baseURL = ingestion.url
            return try await send(options, output: Printed().output)
        }
        await ingestion.stop()
        #expect(summary.succeeded)
        #expect(ingestion.bodies == [text])
    }

    /// What `send` says instead of starting.
    private func refusal(_ input: SendInput, _ change: (inout SendOptions) -> Void = { _ in }) async -> String {
        var options = SendOptions(input: input)
        change(&options)
        do {
            _ = try await send(options, output: Printed().output)
            return ""
        } catch {
            return error.description
        }
    }

    @Test func whatCannotStartSaysWhy() async {
        #expect(await refusal(.file(path: "/nonexistent")) == "/nonexistent: No such file or directory")
        #expect(await refusal(.standardInput) { $0.baseURL = "localhost:8082" }.contains("localhost:8082"))
        #expect(await refusal(.standardInput) { $0.concurrency = 0 }.contains("--concurrency"))
    }
}

@Suite struct SendEventBodyTests {
    private func identified(_ text: String) -> String {
        String(decoding: SendEventBody.identified(Array(text.utf8)), as: UTF8.self)
    }

    @Test(arguments: [#"{"id":"a"}"#, #"{"id":null}"#, #"{"type":"x","id":1}"#, "[1]", "nonsense", "", "{", "7"])
    func whatHasAnIDOrIsNoObjectStaysAsItIs(text: String) {
        #expect(identified(text) == text)
    }

    @Test func anIDIsAddedWhereThereIsNone() throws {
        for text in [#"{}"#, #" { } "#, #"{"type":"x","data":{"id":"inner"}}"#, "{\n\"type\":\"x\"}"] {
            let first = try #require(JSONValue(answer: Array(identified(text).utf8))?["id"]?.text)
            let second = try #require(JSONValue(answer: Array(identified(text).utf8))?["id"]?.text)
            #expect(first.hasPrefix("evt-"))
            #expect(first != second)
        }
    }

    @Test func dataThatIsNotJSONIsRefused() {
        for data in ["", "{", #"{}, "type":"other""#, "nonsense"] {
            #expect(throws: SendError.self) {
                try SendEventBody.body(of: SendEvent(type: "t", source: "s", data: data))
            }
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct SendLinesTests {
    @Test func linesArriveHoweverTheyAreCut() async throws {
        var pipes: [Int32] = [0, 0]
        #expect(pipe(&pipes) == 0)
        defer { close(pipes[0]) }
        let end = pipes[1]
        let pieces = ["a", "b\nc", "\n", "\n\r\n  \n", "d\r", "\ne"]
        NativeThread.start(name: "writer") {
            for piece in pieces {
                _ = write(end, piece, piece.utf8.count)
                usleep(3_000)
            }
            close(end)
        }
        var lines = SendLines(descriptor: pipes[0])
        var seen: [String] = []
        while let line = try await lines.next() {
            seen.append("\(line.number) \(String(decoding: line.bytes, as: UTF8.self))")
        }
        #expect(seen == ["1 ab", "2 c", "6 d", "7 e"])
        #expect(try await lines.next() == nil)
    }

    @Test func anEndlessLineEndsTheReading() async throws {
        let zero = open("/dev/zero", O_RDONLY)
        defer { close(zero) }
        var lines = SendLines(descriptor: zero)
        await #expect(throws: SendError.self) { try await lines.next() }
    }
}
