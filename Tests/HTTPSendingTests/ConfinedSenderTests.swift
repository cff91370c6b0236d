import EventLoops
import TestSupport
import Testing

@testable import HTTPSending

/// The sender itself, on a loop that the test runs.
@Suite(.timeLimit(.minutes(1))) struct ConfinedSenderTests {
    @Test func completionsComeLaterNeverWithinSend() throws {
        let loop = try EventLoop()
        let sender = try HTTPSender(loop: loop)
        var order: [String] = []
        let request = HTTPSendRequest(endpoint: try Endpoint("http://127.0.0.1:9/"))
        sender.send(request) { _, result in
            #expect(result.failure == .deniedAddress)
            order.append("completion")
            loop.stop()
        }
        order.append("sent")
        #expect(sender.running == 1)
        loop.run()
        #expect(order == ["sent", "completion"])
        #expect(sender.running == 0)
    }

    @Test func abortCompletesOnceAndOnlyItsRequest() throws {
        let server = RawServer { connection, _ in
            guard let request = connection.request() else { return }
            if request.head.hasPrefix("POST /hang") { connection.awaitClose() } else { connection.answer() }
        }
        defer { server.stop() }
        let loop = try EventLoop()
        let sender = try HTTPSender(loop: loop, configuration: testConfiguration())
        var failures: [HTTPSendFailure?] = []
        var ended: [HTTPSendID] = []
        let hanging = sender.send(HTTPSendRequest(endpoint: try Endpoint(server.url("/hang")))) { id, result in
            ended.append(id)
            failures.append(result.failure)
            loop.stop()
        }
        sender.send(HTTPSendRequest(endpoint: try Endpoint(server.url("/answer")))) { _, result in
            #expect(result.status == 200)
            sender.abort(hanging)
            sender.abort(hanging)
            #expect(failures.isEmpty)
        }
        loop.run()
        sender.abort(hanging)
        loop.poll()
        #expect(failures == [.aborted])
        #expect(ended == [hanging])
        #expect(sender.running == 0)
    }

    @Test func anOldNameDoesNotAbortTheHandlesNextRequest() throws {
        let server = RawServer { connection, _ in connection.serve() }
        defer { server.stop() }
        let loop = try EventLoop()
        let sender = try HTTPSender(loop: loop, configuration: testConfiguration())
        let request = HTTPSendRequest(endpoint: try Endpoint(server.url()))
        var first: HTTPSendID?
        var statuses: [Int] = []
        first = sender.send(request) { _, result in
            statuses.append(result.status)
            sender.send(request) { _, result in
                statuses.append(result.status)
                loop.stop()
            }
            if let first { sender.abort(first) }
        }
        loop.run()
        #expect(statuses == [200, 200])
    }

    @Test func closingCompletesWhatRuns() throws {
        let server = RawServer { connection, _ in connection.awaitClose() }
        defer { server.stop() }
        let loop = try EventLoop()
        let sender = try HTTPSender(loop: loop, configuration: testConfiguration())
        let request = HTTPSendRequest(endpoint: try Endpoint(server.url()))
        var failures: [HTTPSendFailure?] = []
        for _ in 0..<3 { sender.send(request) { failures.append($1.failure) } }
        loop.poll()
        sender.close()
        #expect(failures == [.aborted, .aborted, .aborted])
        sender.send(request) { _, result in
            failures.append(result.failure)
            loop.stop()
        }
        loop.run()
        #expect(failures.count == 4)
        #expect(sender.running == 0)
    }

    @Test func headersMayBeReusedAtOnce() throws {
        let server = RawServer { connection, _ in
            while let request = connection.request() {
                let line = request.head.split(separator: "\r\n").first { $0.hasPrefix("x-number") }
                connection.answer(body: line.map(String.init) ?? "none")
            }
        }
        defer { server.stop() }
        let loop = try EventLoop()
        let sender = try HTTPSender(loop: loop, configuration: testConfiguration())
        var request = HTTPSendRequest(endpoint: try Endpoint(server.url()))
        var bodies: [Int: String] = [:]
        for number in 0..<40 {
            request.headers.removeAll()
            request.headers.append("x-number", String(number))
            for filler in 0..<number {
                request.headers.append("x-filler-\(filler)", String(repeating: "y", count: number))
            }
            sender.send(request) { _, result in
                bodies[number] = String(decoding: result.body, as: UTF8.self)
                if bodies.count == 40 { loop.stop() }
            }
        }
        loop.run()
        for number in 0..<40 { #expect(bodies[number] == "x-number: \(number)") }
    }
}
