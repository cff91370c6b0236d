import EventLoops
import HTTPServing
import JSONScanning
import Metrics
import Synchronization
import TestSupport
import Testing

@testable import martlet_bench

@Suite struct LoadPlanTests {
    @Test func requestsAreDueAtTheirRatesOneStepAfterTheOther() {
        var plan = LoadPlan()
        plan.steps = [.init(rate: 10, seconds: 1), .init(rate: 100, seconds: 0.1)]
        var schedule = Schedule(plan)
        #expect(schedule.requests == 20 && plan.events == 20)
        let due = (0..<20).map { Double(schedule.due($0)) / 1e6 }
        #expect(due[0] == 0 && due[1] == 100 && due[9] == 900)
        #expect(due[10] == 1_000 && due[11] == 1_010 && due[19] == 1_090)
    }

    @Test func batchesAreDueWhenTheirFirstEventIs() {
        var plan = LoadPlan()
        plan.steps = [.init(rate: 100, seconds: 1)]
        plan.batch = 10
        var schedule = Schedule(plan)
        #expect(schedule.requests == 10)
        #expect(schedule.due(9) == 900_000_000)
    }

    @Test(arguments: [1, 3], [true, false]) func aRequestIsWhatIngestionTakes(batch: Int, hasIDs: Bool) throws {
        var plan = LoadPlan()
        plan.batch = batch
        plan.hasIDs = hasIDs
        plan.types = 7
        plan.run = 12
        plan.eventBytes = 400
        var template = RequestTemplate(plan)
        template.set(request: 5, due: 123_456_789)
        let text = String(decoding: template.bytes, as: UTF8.self)
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
        let body = Array(parts[1].utf8)
        #expect(text.hasPrefix(batch > 1 ? "POST /events/batch HTTP/1.1\r\n" : "POST /events HTTP/1.1\r\n"))
        #expect(text.contains("content-length: \(body.count)\r\n"))
        let json = try JSONValue(parsing: body)
        let events = json.elements ?? [json]
        #expect(events.count == batch)
        for (index, event) in events.enumerated() {
            let number = 5 * batch + index
            #expect(event["type"]?.text == LoadPlan.type(number % 7))
            #expect(event["id"]?.text == (hasIDs ? "b0012-\(padded(number, 12))" : nil))
        }
        // The receiver finds the numbers again.
        let delivery = Array("POST /w/000003 HTTP/1.1\r\ncontent-length: \(body.count)\r\n\r\n".utf8) + body
        delivery.withUnsafeBytes { bytes in
            guard case .request(let request) = DeliveredRequest.read(bytes), let numbers = request.numbers else {
                Issue.record("the receiver does not understand it")
                return
            }
            #expect(request.hook == 3 && numbers.run == 12 && numbers.event == 5 * batch && numbers.due == 123_456_789)
        }
        if batch == 1 { #expect(body.count == 400) }
    }

    @Test(arguments: [
        ("10x", false), ("x1", false), ("10x1", true), ("10x1,20x2", true), ("0x5", false), ("10x-1", false),
        ("0.1x1", false),
    ]) func stepsAreChecked(steps: String, isRight: Bool) {
        let command = GenerateCommand()
        command.steps = steps
        #expect(((try? command.plan()) != nil) == isRight)
    }
}

@Suite struct AnswerTests {
    @Test(arguments: [
        ("HTTP/1.1 202 Accepted\r\nContent-Length: 3\r\n\r\nabc", 202, 47),
        ("HTTP/1.1 503 -\r\nx: y\r\ncontent-length:0\r\n\r\n", 503, 42),
    ]) func headsAreRead(text: String, status: Int, length: Int) {
        Array(text.utf8).withUnsafeBytes { bytes in
            let head = AnswerHead(bytes)
            #expect(head?.status == status && head?.length == length)
        }
    }

    @Test(arguments: ["", "HTTP/1.1 202 Accepted\r\nContent-Le", "HTTP/1.1 200 OK\r\n\r\n"])
    func whatIsNoWholeHeadIsNone(text: String) {
        Array(text.utf8).withUnsafeBytes { #expect(AnswerHead($0) == nil) }
    }
}

@Suite(.timeLimit(.minutes(2))) struct GeneratorTests {
    /// A server that answers 202, except where `refuses` says otherwise, and whose first answer takes its time.
    private func withServer(
        stallMs: UInt64 = 0, refuses: @escaping @Sendable (Int) -> Bool = { _ in false },
        _ body: (UInt16) async throws -> Void
    ) async throws {
        let count = Atomic<Int>(0)
        let server = HTTPServer(HTTPServerConfiguration()) { loop in
            [
                DirectRoute("POST", "/events") { _, responder in
                    let number = count.wrappingAdd(1, ordering: .relaxed).oldValue
                    let status = refuses(number) ? 503 : 202
                    func answer() {
                        [UInt8]().withUnsafeBytes { responder.answer(status: status, contentType: "text/plain", $0) }
                    }
                    if number == 0, stallMs > 0 { loop.after(milliseconds: stallMs, answer) } else { answer() }
                }
            ]
        }
        let port = try await server.start()
        try await body(port)
        await server.stop()
    }

    private func run(_ plan: LoadPlan) async throws -> LoadResult {
        try await onThread("test") { [plan] in try LoadGenerator(plan).run { _, _ in } }
    }

    @Test func everyEventIsSentAndCounted() async throws {
        try await withServer(refuses: { $0 % 10 == 3 }) { port in
            var plan = LoadPlan()
            plan.port = port
            plan.steps = [.init(rate: 2_000, seconds: 0.5)]
            let result = try await run(plan)
            #expect(result.sent == 1_000 && result.accepted == 900)
            #expect(result.refused == [503: 100] && result.unaccepted.count == 100)
            #expect(result.latency.count == 900)
        }
    }

    /// One connection, held up for half a second: the requests that were due meanwhile have waited, and that is counted.
    @Test func waitingForASlowServerIsCounted() async throws {
        try await withServer(stallMs: 500) { port in
            var plan = LoadPlan()
            plan.port = port
            plan.connections = 1
            plan.steps = [.init(rate: 100, seconds: 1)]
            let result = try await run(plan)
            #expect(result.accepted == 100)
            let (middle, highest) = (result.latency.percentile(25), result.latency.maximum)
            #expect(highest >= 500_000_000)
            // Fifty of the hundred were due while it stood still, and waited 250 ms on average.
            #expect(result.latency.percentile(75) > 200_000_000, "p25 \(middle), p75 \(result.latency.percentile(75))")
        }
    }

    @Test func nobodyThereIsAnError() async throws {
        var plan = LoadPlan()
        plan.port = freePort()
        plan.steps = [.init(rate: 10, seconds: 0.1)]
        plan.drainSeconds = 0.2
        var failure: (any Error)?
        do { _ = try await run(plan) } catch { failure = error }
        #expect(failure is BenchError)
    }
}
