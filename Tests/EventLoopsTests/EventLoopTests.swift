import Glibc
import Synchronization
import Testing

@testable import EventLoops

@Suite struct EventLoopTests {
    @Test func timersFireInOrderOfTheirDeadlines() throws {
        let loop = try EventLoop()
        var fired: [Int] = []
        loop.after(milliseconds: 6) {
            fired.append(3); loop.stop()
        }
        loop.after(milliseconds: 1) { fired.append(1) }
        let cancelled = loop.after(milliseconds: 2) { fired.append(2) }
        loop.cancel(cancelled)
        loop.run()
        #expect(fired == [1, 3])
    }

    @Test func timerHeapHoldsUnderManyInsertionsAndCancellations() {
        var heap = TimerHeap()
        var fired: [UInt64] = []
        var generator = SystemRandomNumberGenerator()
        var kept = 0
        for _ in 0..<2_000 {
            let deadline = UInt64.random(in: 0..<1_000, using: &generator)
            let timer = heap.insert(deadline: deadline) { fired.append(deadline) }
            if Bool.random(using: &generator) { heap.remove(timer) } else { kept += 1 }
        }
        while let handler = heap.popDue(now: 1_000) { handler() }
        #expect(fired.count == kept)
        #expect(fired == fired.sorted())
        #expect(heap.nextDeadline == nil)
    }

    @Test func workFromOtherThreadsRunsInOrder() async throws {
        let thread = try EventLoopThread()
        thread.start(name: "test-loop")
        let seen = Mutex<[Int]>([])
        for number in 0..<1_000 { thread.loop.execute { seen.withLock { $0.append(number) } } }
        let answer = await thread.run { _ in 42 }
        #expect(answer == 42)
        #expect(seen.withLock { $0 } == Array(0..<1_000))
        await thread.stop()
    }

    @Test func descriptorsAreLevelTriggeredUntilUnwatched() throws {
        let loop = try EventLoop()
        var pipes: [Int32] = [0, 0]
        #expect(pipe(&pipes) == 0)
        defer { pipes.forEach { close($0) } }
        var calls = 0
        try loop.watch(pipes[0], for: .readable) { readiness in
            #expect(readiness.contains(.readable))
            calls += 1
            if calls == 2 {
                loop.unwatch(pipes[0])
                loop.stop()
            }
        }
        #expect(write(pipes[1], "x", 1) == 1)
        loop.run()
        loop.poll()
        #expect(calls == 2)
    }

    @Test func aHangUpIsReportedToAReader() throws {
        let loop = try EventLoop()
        var pipes: [Int32] = [0, 0]
        #expect(pipe(&pipes) == 0)
        defer { close(pipes[0]) }
        var seen: Readiness = []
        try loop.watch(pipes[0], for: .readable) { readiness in
            seen = readiness
            loop.unwatch(pipes[0])
            loop.stop()
        }
        close(pipes[1])
        loop.run()
        #expect(seen.contains([.closed, .readable]))
    }

    @Test func aNestedLoopIsReadableWhileItHasWork() throws {
        let outer = try EventLoop()
        let inner = try EventLoop()
        var order: [String] = []
        try outer.watch(inner.descriptor, for: .readable) { _ in inner.poll() }
        inner.after(milliseconds: 2) { order.append("timer") }
        inner.execute {}
        inner.after(milliseconds: 5) {
            order.append("last")
            outer.stop()
        }
        outer.run()
        #expect(order == ["timer", "last"])
    }
}
