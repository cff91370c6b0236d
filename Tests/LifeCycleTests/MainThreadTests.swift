import Glibc
import Logs
import Testing

@testable import LifeCycle

/// Runs `body` as `MainThread` does, on a thread that stands for the main one and gets the signals. Never returns: for exit tests.
private func runAsMain(_ body: @escaping @Sendable (pthread_t) async -> Int32) async -> Never {
    final class Box: Sendable {
        let body: @Sendable (pthread_t) async -> Int32
        init(_ body: @escaping @Sendable (pthread_t) async -> Int32) { self.body = body }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body)).toOpaque()
    let code = pthread_create(
        &thread, nil,
        { pointer in
            let box = Unmanaged<Box>.fromOpaque(pointer!).takeRetainedValue()
            let main = pthread_self()
            MainThread.run { await box.body(main) }
        }, box)
    precondition(code == 0)
    while true { try? await Task.sleep(for: .seconds(3_600)) }
}

private func quietLogger() -> Logger { Logger(label: "test", output: LogOutput(service: "test", level: .critical)) }

@Suite struct MainThreadTests {
    @Test func theProcessEndsWithTheCodeOfItsBody() async {
        await #expect(processExitsWith: .exitCode(78)) { await runAsMain { _ in 78 } }
    }

    @Test func aSignalStopsTheGroup() async {
        await #expect(processExitsWith: .exitCode(7)) {
            await runAsMain { main in
                let service = ClosureService(name: "service") {
                    pthread_kill(main, SIGTERM)
                    await gracefulShutdown()
                }
                do {
                    try await ServiceGroup(services: [service], logger: quietLogger()).run()
                    return 7
                } catch {
                    return 1
                }
            }
        }
    }

    @Test func theSecondSignalEndsTheProcess() async {
        await #expect(processExitsWith: .exitCode(128 + SIGINT)) {
            await runAsMain { main in
                let service = ClosureService(name: "deaf") {
                    pthread_kill(main, SIGTERM)
                    await gracefulShutdown()
                    pthread_kill(main, SIGINT)
                    try await Task.sleep(for: .seconds(3_600))
                }
                try? await ServiceGroup(services: [service], logger: quietLogger()).run()
                return 0
            }
        }
    }

    @Test func aSignalThatNobodyAwaitsEndsTheProcess() async {
        await #expect(processExitsWith: .exitCode(128 + SIGTERM)) {
            await runAsMain { main in
                pthread_kill(main, SIGTERM)
                try? await Task.sleep(for: .seconds(3_600))
                return 0
            }
        }
    }
}
