internal import EventLoops
internal import Synchronization

/// A loop-confined value on a loop's thread of its own, which code on any thread can use until it is closed.
///
/// `@unchecked Sendable` because `value` is touched on the loop's thread only.
final class OwnLoop<Value>: @unchecked Sendable {
    private let thread: EventLoopThread
    private let value: Value
    private let isClosed = Mutex(false)

    private init(thread: EventLoopThread, value: Value) {
        self.thread = thread
        self.value = value
    }

    /// Starts the thread and makes the value there.
    static func start(
        name: String, _ make: @escaping @Sendable (EventLoop) throws(KafkaError) -> Value
    ) async throws(KafkaError) -> OwnLoop {
        let thread: EventLoopThread
        do { thread = try EventLoopThread() } catch { throw KafkaError(.systemResource, "\(error)") }
        thread.start(name: name)
        let made = await thread.run { loop in
            Result { () throws(KafkaError) in Confined(try make(loop)) }
        }
        switch made {
        case .success(let made): return OwnLoop(thread: thread, value: made.value)
        case .failure(let error):
            await thread.stop()
            throw error
        }
    }

    /// Runs `work` on the loop's thread; answers false, and does not, once closing has begun.
    func submit(_ work: @escaping @Sendable (Value) -> Void) -> Bool {
        // Under the lock, so that nothing is queued behind the closing.
        isClosed.withLock { isClosed in
            guard !isClosed else { return false }
            thread.loop.execute { [self] in work(value) }
            return true
        }
    }

    /// Runs `last` behind everything submitted, waits for it to call its argument, and ends the thread. Once only.
    func close(_ last: @escaping @Sendable (Value, @escaping () -> Void) -> Void) async {
        let isFirst = isClosed.withLock { isClosed in
            defer { isClosed = true }
            return !isClosed
        }
        guard isFirst else { return }
        await withCheckedContinuation { continuation in
            thread.loop.execute { [self] in last(value) { continuation.resume() } }
        }
        await thread.stop()
    }
}
