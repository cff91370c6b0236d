import JSONScanning
import Synchronization
import Testing

@testable import ServiceSupport

@Suite struct ReadinessTests {
    private let readiness = Readiness()

    @Test func aServiceWithoutDependenciesIsReadyUntilItStops() async {
        #expect(await readiness.report().isReady)
        readiness.stop()
        let report = await readiness.report()
        #expect(!report.isReady)
        #expect(String(decoding: report.json, as: UTF8.self) == #"{"status":"stopping","components":{}}"#)
    }

    @Test func everyRequiredDependencyCounts() async {
        let flag = readiness.register("kafka")
        readiness.register("postgres") { .ready }
        #expect(await !readiness.report().isReady)
        flag.set(.ready)
        #expect(await readiness.report().isReady)
        flag.set(.unavailable("no \"broker\" answers"))
        #expect(
            String(decoding: await readiness.report().json, as: UTF8.self)
                == #"{"status":"not_ready","components":{"kafka":{"status":"unavailable","#
                + #""reason":"no \"broker\" answers","required":true},"postgres":{"status":"ready","required":true}}}"#)
    }

    @Test func anOptionalDependencyIsOnlyShown() async {
        readiness.register("redis", isRequired: false) { .unavailable("connection refused") }
        let report = await readiness.report()
        #expect(report.isReady)
        #expect(
            report.components == [
                .init(name: "redis", isRequired: false, state: .unavailable("connection refused"))
            ])
    }

    @Test func aProbeThatHangsIsNotWaitedFor() async {
        let hanging = Mutex<CheckedContinuation<Void, Never>?>(nil)
        readiness.register("stuck") {
            await withCheckedContinuation { continuation in hanging.withLock { $0 = continuation } }
            return .ready
        }
        readiness.register("quick") { .ready }
        let report = await readiness.report()
        #expect(report.components.map(\.state) == [.unavailable("no answer within 2 s"), .ready])
        hanging.withLock { $0?.resume() }
    }
}
