import EventLoops
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import HTTPServing

/// What concerns the whole process, in a process of its own.
@Suite(.timeLimit(.minutes(1))) struct ProcessTests {
    /// libdispatch ends a process that cannot open one more file, so connections may not take the last descriptors.
    @Test func theLastDescriptorsAreLeftToOthers() async throws {
        await #expect(processExitsWith: .success) {
            var limit = rlimit(rlim_cur: 128, rlim_max: 128)
            guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { _exit(2) }
            let server = HTTPServer(HTTPServerConfiguration(), routes: [HTTPRoute("GET", "/") { _ in .text("here") }])
            let port = try await server.start()
            func answer() async throws -> String {
                let client = try RawClient(port: port)
                client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                return await client.response()
            }
            guard try await answer().hasSuffix("here") else { _exit(3) }
            var taken: [Int32] = []
            while taken.last ?? 0 < 100 { taken.append(dup(0)) }
            // Two dozen are free, so the client has its end.
            guard try await answer().isEmpty else { _exit(1) }
            guard open("/proc/self/stat", O_RDONLY) >= 0 else { _exit(4) }
            for descriptor in taken { close(descriptor) }
            _exit(try await eventually { try await answer().hasSuffix("here") } ? 0 : 5)
        }
    }
}

/// Clients that go, and servers that do.
@Suite(.serialized) struct StopTests {
    private static let routes = [
        HTTPRoute("GET", "/fast") { _ in .text("fast") },
        HTTPRoute("GET", "/slow") { _ in
            try? await Task.sleep(for: .milliseconds(150))
            return .text("slow")
        },
        HTTPRoute("GET", "/never") { _ in
            try? await Task.sleep(for: .seconds(60))
            return .text("never")
        },
    ]

    private func get(_ path: String) -> String { "GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n" }

    @Test func clientsThatHangUpLeaveNothingBehind() async throws {
        let waiting = Mutex(0)
        let server = HTTPServer(HTTPServerConfiguration()) { loop in
            [
                DirectRoute("GET", "/late") { _, responder in
                    waiting.withLock { $0 += 1 }
                    loop.after(milliseconds: 50) {
                        responder.answer(.text("late"))
                        waiting.withLock { $0 -= 1 }
                    }
                }
            ]
        }
        let port = try await server.start()
        for number in 0..<1_000 {
            let client = try RawClient(port: port)
            client.write(get("/late"))
            if number % 2 == 0 { client.reset() }
        }
        let last = try RawClient(port: port)
        last.write(get("/late"))
        #expect(await last.response().hasSuffix("late"))
        #expect(await eventually { waiting.withLock { $0 } == 0 })
        await server.stop(withinMilliseconds: 500)
    }

    @Test func stoppingAnswersWhatIsUnderWay() async throws {
        let server = HTTPServer(HTTPServerConfiguration(), routes: Self.routes)
        let port = try await server.start()
        let clients = try (0..<10).map { _ in try RawClient(port: port) }
        for client in clients { client.write(get("/slow")) }
        // Its request has arrived when its answer has: then the others' have, too.
        let probe = try RawClient(port: port)
        probe.write(get("/fast"))
        #expect(await probe.response().hasSuffix("fast"))
        let stopped = Task { await server.stop(withinMilliseconds: 5_000) }
        for client in clients {
            let response = await client.response()
            #expect(response.hasSuffix("slow"))
            #expect(response.lowercased().contains("connection: close"))
        }
        await stopped.value
        #expect(await probe.isClosedByPeer())
        #expect(throws: RawClient.RefusedConnection.self) { try RawClient(port: port) }
    }

    /// Requests that lie in the connection already when the one before them is answered.
    @Test func stoppingAnswersPipelinedRequests() async throws {
        let server = HTTPServer(HTTPServerConfiguration(), routes: Self.routes)
        let port = try await server.start()
        let client = try RawClient(port: port)
        client.write(get("/slow") + get("/fast") + get("/slow"))
        let probe = try RawClient(port: port)
        probe.write(get("/fast"))
        #expect(await probe.response().hasSuffix("fast"))
        let stopped = Task { await server.stop(withinMilliseconds: 5_000) }
        #expect(await client.response().hasSuffix("slow"))
        #expect(await client.response().hasSuffix("fast"))
        let last = await client.response()
        #expect(last.hasSuffix("slow") && last.lowercased().contains("connection: close"))
        await stopped.value
    }

    @Test func stoppingIsBounded() async throws {
        let server = HTTPServer(HTTPServerConfiguration(), routes: Self.routes)
        let port = try await server.start()
        let client = try RawClient(port: port)
        client.write(get("/never"))
        let dripping = try RawClient(port: port)
        dripping.write("GET /fast HTTP/1.1\r\nHo")
        let probe = try RawClient(port: port)
        probe.write(get("/fast"))
        #expect(await probe.response().hasSuffix("fast"))
        let began = EventLoop.monotonicNanoseconds()
        await server.stop(withinMilliseconds: 600)
        let lasted = EventLoop.monotonicNanoseconds() - began
        #expect((500_000_000..<4_000_000_000).contains(lasted), "\(lasted)")
        #expect(await client.isClosedByPeer())
        #expect(await dripping.isClosedByPeer())
    }

    /// Clients go on sending, over connections that live long and over new ones. Whoever sent a request gets its answer.
    @Test(arguments: [1, 3]) func stoppingUnderLoadRefusesNothing(loops: Int) async throws {
        var configuration = HTTPServerConfiguration()
        configuration.loops = loops
        let server = HTTPServer(configuration, routes: Self.routes) { loop in
            [
                DirectRoute("GET", "/direct") { _, responder in
                    loop.after(milliseconds: 3) { responder.answer(.text("direct")) }
                }
            ]
        }
        let port = try await server.start()
        let answered = Atomic<Int>(0)
        let lost = Atomic<Int>(0)
        let ended = Atomic<Int>(0)
        for number in 0..<16 {
            NativeThread.start(name: "client") {
                defer { ended.add(1, ordering: .relaxed) }
                while let client = try? RawClient(port: port) {
                    // Every other client makes a connection for each request.
                    repeat {
                        guard client.write("GET /direct HTTP/1.1\r\nHost: x\r\n\r\n") else { break }
                        let response = client.blockingResponse()
                        if response.isEmpty {
                            lost.add(1, ordering: .relaxed)
                            break
                        }
                        answered.add(1, ordering: .relaxed)
                        if response.lowercased().contains("connection: close") { break }
                    } while number % 2 == 0
                }
            }
        }
        #expect(await eventually { answered.load(ordering: .relaxed) > 2_000 })
        await server.stop(withinMilliseconds: 5_000)
        #expect(await eventually { ended.load(ordering: .relaxed) == 16 })
        // Connections that reached the kernel between the last look at the backlog and its end cannot be saved.
        let (count, missing) = (answered.load(ordering: .relaxed), lost.load(ordering: .relaxed))
        #expect(missing <= 1, "\(missing) of \(count)")
    }

    @Test func whatRoutesOwnGoesOnTheirThread() async throws {
        final class Owned {
            let thread = pthread_self()
            let gone: @Sendable (Bool) -> Void
            init(_ gone: @escaping @Sendable (Bool) -> Void) { self.gone = gone }
            deinit { gone(pthread_equal(thread, pthread_self()) != 0) }
        }
        let goneOnItsThread = Mutex<Bool?>(nil)
        let server = HTTPServer(HTTPServerConfiguration()) { _ in
            let owned = Owned { result in goneOnItsThread.withLock { $0 = result } }
            return [
                DirectRoute("GET", "/") { _, responder in withExtendedLifetime(owned) { responder.answer(.text("")) } }
            ]
        }
        _ = try await server.start()
        await server.stop(withinMilliseconds: 0)
        #expect(goneOnItsThread.withLock { $0 } == true)
    }

    @Test func aRouteThatCannotBeMadeStopsTheStart() async throws {
        let server = HTTPServer(HTTPServerConfiguration()) { _ in throw HTTPServerError(description: "no route") }
        let error = await #expect(throws: HTTPServerError.self) { _ = try await server.start() }
        #expect(error?.description == "no route")
    }
}
