import Logs
import Synchronization
import Testing

@testable import LifeCycle

/// Remembers what happened, in order, and lets a test wait for it.
final class Journal: Sendable {
    private let entries = Mutex<[String]>([])

    func add(_ entry: String) { entries.withLock { $0.append(entry) } }
    var all: [String] { entries.withLock { $0 } }

    /// Returns when `count` entries are there; fails after ten seconds.
    func wait(for count: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while all.count < count {
            try #require(ContinuousClock.now < deadline, "only \(all)")
            await Task.yield()
        }
    }
}

private struct Failure: Error, CustomStringConvertible { var description: String { "broken" } }

@Suite struct ServiceGroupTests {
    private let journal = Journal()
    private let logger = Logger(label: "test", output: LogOutput(service: "test", level: .critical))

    private func waiting(_ name: String) -> ClosureService {
        ClosureService(name: name) { [journal] in
            journal.add("+\(name)")
            await gracefulShutdown()
            journal.add("-\(name)")
        }
    }

    private func group(_ services: [any Service], stopsWithin: Duration = .seconds(10)) -> ServiceGroup {
        ServiceGroup(services: services, stopsWithin: stopsWithin, logger: logger)
    }

    @Test func servicesStopInReverseOrderEachAfterTheOther() async throws {
        let slow = ClosureService(name: "slow") { [journal] in
            journal.add("+slow")
            await gracefulShutdown()
            try await Task.sleep(for: .milliseconds(30))
            journal.add("-slow")
        }
        let group = group([waiting("a"), waiting("b"), slow])
        let running = Task { try await group.run() }
        try await journal.wait(for: 3)
        group.stop()
        group.stop()
        try await running.value
        #expect(Set(journal.all.prefix(3)) == ["+a", "+b", "+slow"])
        #expect(journal.all.suffix(3) == ["-slow", "-b", "-a"])
    }

    @Test func aFailureStopsTheOthersAndIsNamed() async throws {
        let failing = ClosureService(name: "failing") { [journal] in
            try await journal.wait(for: 2)
            throw Failure()
        }
        let error = await #expect(throws: ServiceGroupError.self) {
            try await group([waiting("a"), failing, waiting("b")]).run()
        }
        #expect(error?.description == "failing: broken")
        #expect(journal.all.suffix(2) == ["-b", "-a"])
    }

    @Test func anUnaskedEndIsAFailure() async throws {
        let error = await #expect(throws: ServiceGroupError.self) {
            try await group([waiting("a"), ClosureService(name: "short") {}]).run()
        }
        #expect(error?.description == "short ended unasked")
        #expect(journal.all.last == "-a")
    }

    @Test func whatFailsWhileStoppingIsReportedAndTheRestStillStops() async throws {
        let failing = ClosureService(name: "failing") {
            await gracefulShutdown()
            throw Failure()
        }
        let group = group([waiting("a"), failing])
        let running = Task { try await group.run() }
        try await journal.wait(for: 1)
        group.stop()
        let error = await #expect(throws: ServiceGroupError.self) { try await running.value }
        #expect(error?.description == "failing: broken")
        #expect(journal.all == ["+a", "-a"])
    }

    @Test func timeToStopIsBoundedByCancellation() async throws {
        let deaf = ClosureService(name: "deaf") { [journal] in
            do { try await Task.sleep(for: .seconds(600)) } catch {
                journal.add("cancelled")
                throw error
            }
        }
        let group = group([waiting("a"), deaf], stopsWithin: .milliseconds(20))
        let running = Task { try await group.run() }
        try await journal.wait(for: 1)
        group.stop()
        try await running.value
        #expect(Set(journal.all) == ["+a", "cancelled", "-a"])
    }

    @Test func whatHeedsNothingIsNamed() async throws {
        let release = Mutex<CheckedContinuation<Void, Never>?>(nil)
        let stuck = ClosureService(name: "stuck") {
            await withCheckedContinuation { continuation in release.withLock { $0 = continuation } }
        }
        let group = group([waiting("a"), stuck], stopsWithin: .milliseconds(10))
        let running = Task { try await group.run() }
        try await journal.wait(for: 1)
        group.stop()
        let error = await #expect(throws: ServiceGroupError.self) { try await running.value }
        #expect(error?.description == "not stopped in time: stuck")
        release.withLock { $0?.resume() }
    }

    @Test func groupsNestAndCancellationEndsThem() async throws {
        let inner = group([waiting("inner")])
        let outer = group([waiting("outer"), inner], stopsWithin: .milliseconds(500))
        let running = Task { try await outer.run() }
        try await journal.wait(for: 2)
        running.cancel()
        try await running.value
        #expect(Set(journal.all.suffix(2)) == ["-inner", "-outer"])
    }

    @Test func handlersRunOnceAndAtOnceWhenLate() async throws {
        let service = ClosureService(name: "service") { [journal] in
            #expect(!Task.isShuttingDownGracefully)
            await withGracefulShutdownHandler {
                journal.add("+")
                await gracefulShutdown()
            } onGracefulShutdown: {
                journal.add("handler")
            }
            #expect(Task.isShuttingDownGracefully)
            await withGracefulShutdownHandler {
            } onGracefulShutdown: {
                journal.add("late")
            }
            await withTaskGroup { $0.addTask { await gracefulShutdown() } }
        }
        let group = group([service])
        let running = Task { try await group.run() }
        try await journal.wait(for: 1)
        group.stop()
        try await running.value
        #expect(journal.all == ["+", "handler", "late"])
    }

    @Test func shutdownCanCancelAnOperation() async throws {
        let service = ClosureService(name: "service") { [journal] in
            journal.add("+")
            await #expect(throws: CancellationError.self) {
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(600)) }
            }
        }
        let group = group([service])
        let running = Task { try await group.run() }
        try await journal.wait(for: 1)
        group.stop()
        try await running.value
    }

    @Test func outsideAGroupOnlyCancellationEndsTheWait() async throws {
        #expect(!Task.isShuttingDownGracefully)
        let task = Task { await gracefulShutdown() }
        task.cancel()
        await task.value
    }
}
