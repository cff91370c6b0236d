import GRPC
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct LifeTests {
    private func start(_ observations: Observations, port: UInt16 = freePort()) throws -> (GRPCServer, UInt16) {
        var configuration = GRPCServer.Configuration()
        configuration.port = port
        let server = GRPCServer(configuration, methods: testMethods(observations))
        return (server, try server.start())
    }

    @Test func shutdownLetsCallsFinish() async throws {
        let observations = Observations()
        let (server, port) = try start(observations)
        let client = GRPCClient(.init(target: "127.0.0.1:\(port)"))
        let call = Task { try await client.answer("/test.Echo/UntilReleased", [9]) }
        #expect(await eventually { observations.count("waiting") == 1 })
        let shutdown = Task { await server.shutdown(grace: .seconds(20)) }
        // Once the port is closed, the call under way is all that is left.
        let other = GRPCClient(.init(target: "127.0.0.1:\(port)"))
        #expect(
            await eventually {
                await status { _ = try await other.call("/test.Echo/Bytes", bytes: []) }?.code == .unavailable
            })
        #expect(server.callsUnderWay == 1)
        observations.note("released")
        #expect(try await call.value == [9])
        await shutdown.value
        await client.shutdown()
        await other.shutdown()
    }

    @Test func withNothingUnderWayShutdownIsImmediate() async throws {
        let (server, port) = try start(Observations())
        let client = GRPCClient(.init(target: "127.0.0.1:\(port)"))
        try await client.expectAnswer("/test.Echo/Bytes", [1])
        let started = ContinuousClock.now
        // With the client still connected, and with a grace that must not be spent.
        await server.shutdown(grace: .seconds(50))
        await client.shutdown(grace: .seconds(50))
        #expect(.now - started < .seconds(20))
    }

    @Test func shutdownCancelsWhatDoesNotFinish() async throws {
        let observations = Observations()
        let (server, port) = try start(observations)
        let client = GRPCClient(.init(target: "127.0.0.1:\(port)"))
        let calls = (0..<20).map { _ in
            Task { await status { _ = try await client.call("/test.Echo/Hang", bytes: [], timeout: .seconds(50)) } }
        }
        #expect(await eventually { observations.count("hanging") == 20 })
        let started = ContinuousClock.now
        await server.shutdown(grace: .milliseconds(100))
        #expect(.now - started < .seconds(10))
        for call in calls {
            let code = await call.value?.code
            #expect(code == .unavailable || code == .cancelled)
        }
        #expect(await eventually { observations.count("cancelled") == 20 })
        await client.shutdown()
    }

    @Test func aClientSurvivesItsServersRestart() async throws {
        let (first, port) = try start(Observations())
        let client = GRPCClient(.init(target: "127.0.0.1:\(port)"))
        try await client.expectAnswer("/test.Echo/Bytes", [1])
        #expect(client.connectivity() == .ready)
        await first.shutdown(grace: .zero)
        let started = ContinuousClock.now
        #expect(await status { _ = try await client.call("/test.Echo/Bytes", bytes: [2]) }?.code == .unavailable)
        #expect(.now - started < .seconds(4), "unavailable is told at once, not at the deadline")
        let (second, _) = try start(Observations(), port: port)
        let isBack = await eventually {
            await status { _ = try await client.call("/test.Echo/Bytes", bytes: [3]) } == nil
        }
        #expect(isBack)
        #expect(await eventually { client.connectivity() == .ready })
        await client.shutdown()
        await second.shutdown()
    }

    @Test func aClientCanBeMadeBeforeItsServer() async throws {
        let port = freePort()
        let client = GRPCClient(.init(target: "127.0.0.1:\(port)"))
        #expect(await eventually { client.connectivity() == .failing })
        let (server, _) = try start(Observations(), port: port)
        #expect(await eventually { client.connectivity() == .ready })
        await client.shutdown()
        #expect(client.connectivity() == .closed)
        await server.shutdown()
    }

    @Test func clientShutdownEndsCallsAndRefusesMore() async throws {
        try await withEcho { client, observations, _ in
            let calls = (0..<20).map { _ in
                Task { await status { _ = try await client.call("/test.Echo/Hang", bytes: [], timeout: .seconds(50)) } }
            }
            #expect(await eventually { observations.count("hanging") == 20 })
            await client.shutdown(grace: .milliseconds(50))
            for call in calls { #expect(await call.value?.code == .cancelled) }
            let later = await status { _ = try await client.call("/test.Echo/Bytes", bytes: []) }
            #expect(later?.code == .unavailable)
            #expect(await eventually { observations.count("cancelled") == 20 })
        }
    }

    @Test func clientsThatAreDroppedCloseTheirConnection() async throws {
        let (server, port) = try start(Observations())
        for number in 0..<20 {
            let client = GRPCClient(.init(target: "127.0.0.1:\(port)"))
            try await client.expectAnswer("/test.Echo/Bytes", [UInt8(number)])
        }
        await server.shutdown()
    }

    @Test func aPortInUseIsNamed() async throws {
        let (server, port) = try start(Observations())
        let error = #expect(throws: GRPCListenError.self) { _ = try start(Observations(), port: port) }
        #expect(error?.description == "cannot listen on 127.0.0.1:\(port): Address already in use")
        await server.shutdown()
        let (again, _) = try start(Observations(), port: port)
        await again.shutdown()
    }

    @Test func anUnknownHostIsNamed() throws {
        var configuration = GRPCServer.Configuration()
        configuration.host = "192.0.2.1"
        let error = #expect(throws: GRPCListenError.self) {
            _ = try GRPCServer(configuration, methods: GRPCMethods()).start()
        }
        #expect(error?.description.contains("192.0.2.1:0") == true)
    }

    @Test func serversComeAndGoUnderLoad() async throws {
        let port = freePort()
        let client = GRPCClient(.init(target: "127.0.0.1:\(port)"))
        let load = Task {
            var answered = 0
            while !Task.isCancelled {
                let reply = try? await client.call("/test.Echo/Bytes", bytes: [4], timeout: .seconds(2))
                if let reply {
                    #expect(reply.bytes == [4])
                    answered += 1
                } else {
                    await Task.yield()
                }
            }
            return answered
        }
        for _ in 0..<4 {
            let observations = Observations()
            let (server, _) = try start(observations, port: port)
            let own = GRPCClient(.init(target: "127.0.0.1:\(port)"))
            for _ in 0..<50 { _ = try await own.call("/test.Echo/Bytes", bytes: [1]) }
            await own.shutdown()
            await server.shutdown()
        }
        load.cancel()
        _ = await load.value
        await client.shutdown()
    }
}
