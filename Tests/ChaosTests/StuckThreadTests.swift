import Foundation
import HTTPSending
import JSONScanning
import TestSupport
import Testing

extension ChaosTests {
    /// A worker's thread that stands still, while the process lives on: `ptrace` stops one thread alone, which takes root.
    @Test func aStuckWorkerFailsTheLivenessProbe() async throws {
        let system = try await ChaosSystem(memoryBrokers: 1, settings: ["MARTLET_DISPATCHER_STUCK_AFTER": "2s"])
        let pid = try #require(system.process(.dispatcher)?.pid)
        let thread = try #require(Self.thread(named: "dispatch-0", of: pid))
        func health() async -> (status: Int, reason: String) {
            guard let answer = try? await system.call(.get, .dispatcher, "/health") else { return (0, "") }
            return (answer.status, (try? JSONValue(parsing: answer.body))?["reason"]?.text ?? "")
        }
        #expect(await health().status == 200)
        let script = """
            import ctypes, sys
            seize, interrupt = 0x4206, 0x4207
            libc = ctypes.CDLL(None, use_errno=True)
            for request in (seize, interrupt):
                if libc.ptrace(request, int(sys.argv[1]), 0, 0) != 0:
                    sys.exit("ptrace: errno %d" % ctypes.get_errno())
            print("stopped", flush=True)
            sys.stdin.read()
            """
        // The kernel lets the thread go on when its tracer ends.
        let tracer = try ChildProcess("python3", ["-c", script, "\(thread)"])
        if try await tracer.line() == "stopped" {
            #expect(await eventually(within: .seconds(20)) { await health().status == 503 })
            #expect(await health().reason.contains("dispatch-0"))
            tracer.closeInput()
            #expect(try await tracer.exit() == 0)
            #expect(await eventually(within: .seconds(20)) { await health().status == 200 })
        } else {
            print("skipped: a stuck worker needs root, to stop one thread: \(tracer.errors)")
        }
        await system.close()
    }

    private static func thread(named name: String, of pid: Int32) -> Int32? {
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        return threads.first { contents(of: "/proc/\(pid)/task/\($0)/comm") == name + "\n" }.flatMap { Int32($0) }
    }
}
