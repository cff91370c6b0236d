import ChildProcesses
import EventLoops
import HTTPSending
import JSONScanning
import Metrics
import TestSupport
import Testing

@testable import martlet_bench

@Suite struct ArrivalsTests {
    @Test func eachDeliveryCountsOnce() {
        var arrivals = Arrivals(run: 7, fanOut: 3)
        for (event, hook) in [(0, 0), (0, 1), (0, 2), (5, 2), (5, 2)] {
            arrivals.arrived(run: 7, event: event, hook: hook, due: 1_000, now: 3_000, isBystander: true)
        }
        #expect(arrivals.delivered == 4 && arrivals.duplicates == 1)
        #expect(arrivals.missing(in: 0..<6, limit: 10) == [1, 2, 3, 4, 5])
        #expect(arrivals.missing(in: 0..<6, limit: 2) == [1, 2])
        #expect(arrivals.latency.count == 4 && arrivals.latency.maximum == 2_000)
    }

    @Test func anotherRunsDeliveriesAreForeign() {
        var arrivals = Arrivals(run: 7, fanOut: 1)
        arrivals.arrived(run: 6, event: 0, hook: 0, due: 0, now: 0, isBystander: true)
        #expect(arrivals.delivered == 0 && arrivals.foreign == 1)
    }

    @Test(arguments: [
        ("answer", Behaviour.answer), ("delay:50", .delay(50)), ("fail:503", .fail(503)), ("hang", .hang),
        ("drip", .drip),
        ("fail:200", nil), ("fail", nil), ("delay:-1", nil), ("", nil), ("explode", nil),
    ]) func behavioursAreNamed(text: String, behaviour: Behaviour?) { #expect(Behaviour(text) == behaviour) }

    @Test func aShareMisbehaves() {
        let behaviours = Behaviours(misbehaviour: .hang, permille: 10)
        #expect((0..<1_000).count { behaviours.of($0) == .hang } == 10)
        #expect((0..<1_000).count { behaviours.isBystander($0) } == 990)
    }
}

/// Over its socket, as the dispatcher meets it.
@Suite(.timeLimit(.minutes(1))) struct ReceiverTests {
    private struct Fixture {
        let client: HTTPClient
        let port: UInt16

        init() async throws {
            client = try HTTPClient()
            let started = AsyncStream.makeStream(of: UInt16.self)
            NativeThread.start(name: "receiver") {
                // It lives as long as the process, as in use.
                guard let receiver = try? Receiver(port: 0) else { return started.continuation.finish() }
                started.continuation.yield(receiver.port)
                receiver.run()
            }
            var ports = started.stream.makeAsyncIterator()
            port = try #require(await ports.next())
        }

        func post(_ path: String, _ event: Int? = nil, timeoutMs: Int = 5_000) async throws -> HTTPSendResult {
            var plan = LoadPlan()
            plan.run = 1
            var template = RequestTemplate(plan)
            if let event { template.set(request: event, due: EventLoop.monotonicNanoseconds()) }
            let body = template.bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 5).last ?? []
            return await client.send(
                .post, to: try Endpoint("http://127.0.0.1:\(port)\(path)"), body: event == nil ? [] : Array(body),
                timeoutMilliseconds: timeoutMs)
        }

        func arrivals() async throws -> JSONValue {
            let answer = await client.send(.get, to: try Endpoint("http://127.0.0.1:\(port)/arrivals"))
            return try JSONValue(parsing: answer.body)
        }
    }

    @Test func itCountsAndMisbehaves() async throws {
        let receiver = try await Fixture()
        #expect(try await receiver.post("/run?run=1&fan-out=1").status == 200)
        for event in [0, 1, 1, 3] { #expect(try await receiver.post("/w/000001", event).status == 200) }
        #expect(try await receiver.post("/behaviour?is=fail:503&permille=1000").status == 200)
        #expect(try await receiver.post("/w/000001", 2).status == 503)
        #expect(try await receiver.post("/behaviour?is=hang&permille=2").status == 200)
        #expect(try await receiver.post("/w/000000", 2, timeoutMs: 300).failure == .timeout(.response))
        #expect(try await receiver.post("/w/000002", 4).status == 200)
        #expect(try await receiver.post("/behaviour?is=drip").status == 200)
        #expect(try await receiver.post("/w/000002", 5).status == 200)
        #expect(try await receiver.post("/behaviour?is=nonsense").status == 400)
        #expect(try await receiver.post("/nowhere").status == 404)
        let arrivals = try await receiver.arrivals()
        #expect(arrivals["delivered"]?.integer == 5 && arrivals["duplicates"]?.integer == 1)
        #expect(arrivals["refused"]?.integer == 1 && arrivals["foreign"]?.integer == 0)
    }
}
