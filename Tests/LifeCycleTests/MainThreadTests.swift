import Glibc
import Logs
import Synchronization
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

    @Test func aRepeatedSignalEndsTheProcess() async {
        await #expect(processExitsWith: .exitCode(128 + SIGTERM)) {
            await runAsMain { main in
                let service = ClosureService(name: "deaf") {
                    pthread_kill(main, SIGTERM)
                    await gracefulShutdown()
                    pthread_kill(main, SIGTERM)
                    try await Task.sleep(for: .seconds(3_600))
                }
                try? await ServiceGroup(services: [service], logger: quietLogger()).run()
                return 0
            }
        }
    }

    @Test func theOtherSignalAfterTheFirstChangesNothing() async {
        await #expect(processExitsWith: .success) {
            let heard = Mutex<[String]>([])
            #expect(!ShutdownSignals.deliver("SIGTERM"), "nobody listens yet")
            let subscription = ShutdownSignals.subscribe { name in heard.withLock { $0.append(name) } }
            #expect(ShutdownSignals.deliver("SIGINT"))
            #expect(ShutdownSignals.deliver("SIGTERM"))
            ShutdownSignals.unsubscribe(subscription)
            #expect(!ShutdownSignals.deliver("SIGINT"))
            #expect(!ShutdownSignals.deliver("SIGTERM"))
            #expect(heard.withLock { $0 } == ["SIGINT"])
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
