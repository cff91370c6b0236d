import GRPC
import Synchronization
import TestSupport
import Testing
import WireFormat

@Suite(.timeLimit(.minutes(1))) struct CallTests {
    @Test func bytesAndMetadataComeBack() async throws {
        try await withEcho { client, _, _ in
            var metadata: GRPCMetadata = ["x-text": "a b"]
            metadata.append("x-any-bin", bytes: [0, 10, 255])
            let reply = try await client.call("/test.Echo/Bytes", bytes: [1, 2, 3], metadata: metadata)
            #expect(reply.bytes == [1, 2, 3])
            #expect(reply.metadata["x-text"] == "a b")
            #expect(reply.metadata[bytes: "x-any-bin"] == [0, 10, 255])
            try await client.expectAnswer("/test.Echo/Bytes", [])
        }
    }

    @Test func messagesComeBack() async throws {
        try await withEcho { client, observations, _ in
            let reply: Text = try await client.call("/test.Echo/Text", Text("hällo"))
            #expect(reply == Text("you said hällo"))
            #expect(await eventually { observations.allReports.count == 1 })
            #expect(observations.allReports.first?.method == "/test.Echo/Text")
            #expect(observations.allReports.first?.status.code == .ok)
        }
    }

    @Test func aStatusCarriesCodeMessageAndMetadata() async throws {
        try await withEcho { client, _, _ in
            let text = "100 % Ärger\r\nthere"
            let failure = await status {
                _ = try await client.call("/test.Echo/Fail", Text(text), returning: Text.self)
            }
            #expect(failure?.code == .failedPrecondition)
            #expect(failure?.message == text)
            #expect(failure?.metadata[bytes: "problem-bin"] == [0, 255, 10])
            let long = await status {
                _ = try await client.call(
                    "/test.Echo/Fail", Text(String(repeating: "ä", count: 9000)), returning: Text.self)
            }
            #expect(long?.message == String(repeating: "ä", count: 512))
        }
    }

    @Test func whatAHandlerThrowsOtherwiseIsNotTold() async throws {
        try await withEcho { client, observations, _ in
            let failure = await status { _ = try await client.call("/test.Echo/Crash", bytes: []) }
            #expect(failure?.code == .internal)
            #expect(failure?.message == "internal error")
            #expect(await eventually { observations.allReports.contains { $0.error is Secret } })
        }
    }

    @Test func mistakesAreAnsweredNotDropped() async throws {
        try await withEcho { client, observations, _ in
            let bad = await status { _ = try await client.call("/test.Echo/BadMetadata", bytes: []) }
            #expect(bad?.code == .internal)
            let huge = await status { _ = try await client.call("/test.Echo/Huge", bytes: []) }
            #expect(huge?.code == .internal)
            let unknown = await status { _ = try await client.call("/test.Echo/Nothing", bytes: []) }
            #expect(unknown?.code == .unimplemented)
            #expect(await eventually { observations.allReports.contains { $0.method == nil } })
            let garbage = await status { _ = try await client.call("/test.Echo/Text", bytes: [0xff]) }
            #expect(garbage?.code == .invalidArgument)
        }
    }

    @Test(arguments: ["Upper", "", "with space", "grpc-timeout", "te", "new\nline", "ä"])
    func badMetadataIsRefusedBeforeItIsSent(key: String) async throws {
        try await withEcho { client, _, _ in
            let failure = await status {
                _ = try await client.call("/test.Echo/Bytes", bytes: [], metadata: [key: "v"])
            }
            #expect(failure?.code == .invalidArgument)
        }
    }

    @Test func badMetadataValuesAreRefused() {
        #expect((["a": "x\ny"] as GRPCMetadata).problem != nil)
        #expect((["a": "ä"] as GRPCMetadata).problem != nil)
        #expect((["a": String(repeating: "x", count: 7000)] as GRPCMetadata).problem != nil)
        #expect((["a-bin": "\u{0}\n", "b": " !~"] as GRPCMetadata).problem == nil)
    }

    @Test func bigMessagesPassUpToTheLimit() async throws {
        try await withEcho { client, _, _ in
            let big = [UInt8](repeating: 5, count: (4 << 20) - 100)
            try await client.expectAnswer("/test.Echo/Bytes", big)
            let tooBig = [UInt8](repeating: 5, count: (4 << 20) + 1)
            let failure = await status { _ = try await client.call("/test.Echo/Bytes", bytes: tooBig) }
            #expect(failure?.code == .resourceExhausted)
            try await client.expectAnswer("/test.Echo/Bytes", [1])
        }
    }

    @Test func theDeadlineEndsTheCallHereAndThere() async throws {
        try await withEcho { client, observations, _ in
            let started = ContinuousClock.now
            let failure = await status {
                _ = try await client.call("/test.Echo/Hang", bytes: [], timeout: .milliseconds(200))
            }
            #expect(failure?.code == .deadlineExceeded)
            #expect(.now - started < .seconds(10))
            #expect(await eventually { observations.count("cancelled") == 1 })
        }
    }

    @Test func cancellingTheTaskCancelsTheHandler() async throws {
        try await withEcho { client, observations, _ in
            let task = Task { try await client.call("/test.Echo/Hang", bytes: [], timeout: .seconds(50)) }
            #expect(await eventually { observations.count("hanging") == 1 })
            task.cancel()
            let failure = await status { _ = try await task.value }
            #expect(failure?.code == .cancelled)
            #expect(await eventually { observations.count("cancelled") == 1 })
        }
    }

    @Test func aTaskCancelledBeforeSendsNothing() async throws {
        try await withEcho { client, observations, _ in
            let task = Task {
                #expect(await eventually { Task.isCancelled })
                return try await client.call("/test.Echo/Hang", bytes: [])
            }
            task.cancel()
            let failure = await status { _ = try await task.value }
            #expect(failure?.code == .cancelled)
            #expect(observations.all.isEmpty)
        }
    }

    @Test func manyCallsAtOnce() async throws {
        try await withEcho { client, _, _ in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<2000 {
                    let bytes = Array("\(number)".utf8)
                    if number >= 100 { #expect(try await group.next() == true) }
                    group.addTask { try await client.answer("/test.Echo/Bytes", bytes) == bytes }
                }
                for try await isEcho in group { #expect(isEcho) }
            }
        }
    }

    @Test func bothSidesBoundTheirCalls() async throws {
        try await withEcho(
            server: { $0.maxConcurrentCalls = 1 },
            { client, observations, port in
                let first = Task { try await client.answer("/test.Echo/UntilReleased", [1]) }
                #expect(await eventually { observations.count("waiting") == 1 })
                // A second connection, since one alone is held back by HTTP/2's limit on streams.
                var configuration = GRPCClient.Configuration(target: "127.0.0.1:\(port)")
                configuration.maxConcurrentCalls = 0
                let unused = GRPCClient(configuration)
                let failure = await status { _ = try await unused.call("/test.Echo/Bytes", bytes: []) }
                #expect(failure?.code == .resourceExhausted)
                let other = GRPCClient(.init(target: "127.0.0.1:\(port)"))
                let refusal = await status { _ = try await other.call("/test.Echo/Bytes", bytes: []) }
                #expect(refusal?.code == .resourceExhausted)
                observations.note("released")
                let answer = try await first.value
                #expect(answer == [1])
                await other.shutdown()
                await unused.shutdown()
            })
    }

    @Test func healthIsChecked() async throws {
        try await withEcho { client, observations, _ in
            func check(_ service: String) async -> [UInt8]? {
                try? await client.call("/grpc.health.v1.Health/Check", bytes: Text(service).encoded()).bytes
            }
            #expect(await check("") == [8, 1])
            #expect(await check("test.Echo") == [8, 1])
            let unknown = await status {
                _ = try await client.call("/grpc.health.v1.Health/Check", bytes: Text("other").encoded())
            }
            #expect(unknown?.code == .notFound)
            observations.note("unhealthy")
            #expect(await check("") == [8, 2])
            let watch = await status { _ = try await client.call("/grpc.health.v1.Health/Watch", bytes: []) }
            #expect(watch?.code == .unimplemented)
        }
    }
}
