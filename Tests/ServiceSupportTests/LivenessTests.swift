import EventLoops
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import ServiceSupport

@Suite(.serialized) struct LivenessTests {
    private final class Block: Sendable {
        private let isOver = Atomic<Bool>(false)
        func end() { isOver.store(true, ordering: .releasing) }
        func wait() { while !isOver.load(ordering: .acquiring) { usleep(1_000) } }
    }

    @Test func aThreadThatIsStuckIsToldAndForgottenWhenItTurnsAgain() async throws {
        let thread = try EventLoopThread()
        thread.start(name: "worker")
        let heartbeat = Heartbeat("worker", of: thread.loop)
        let liveness = Liveness()
        liveness.register { heartbeat.problem(limit: .seconds(1)) }
        liveness.register { nil }
        #expect(liveness.problems == [])
        let block = Block()
        thread.loop.execute { block.wait() }
        #expect(await eventually(within: .seconds(20)) { !liveness.problems.isEmpty })
        #expect(liveness.problems.first?.hasPrefix("the thread worker has not turned for ") == true)
        #expect(heartbeat.problem(limit: .seconds(3_600)) == nil)
        block.end()
        #expect(await eventually(within: .seconds(20)) { liveness.problems.isEmpty })
        await thread.stop()
    }
}
