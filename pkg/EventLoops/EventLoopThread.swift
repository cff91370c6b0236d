internal import CLinux
internal import Glibc
internal import Synchronization

/// A thread of one's own: for event loops and blocking calls, which would stop the cooperative pool.
public enum NativeThread {
    private final class Body: Sendable {
        let name: String
        let work: @Sendable () -> Void
        init(name: String, work: @escaping @Sendable () -> Void) {
            self.name = name
            self.work = work
        }
    }

    /// Starts a detached thread. `name` is what `top -H` shows (15 bytes).
    public static func start(name: String, _ work: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let body = Unmanaged.passRetained(Body(name: name, work: work))
        let code = pthread_create(
            &thread, nil,
            { pointer in
                let body = Unmanaged<Body>.fromOpaque(pointer!).takeRetainedValue()
                clinux_name_thread(body.name)
                body.work()
                return nil
            }, body.toOpaque())
        guard code == 0 else { fatalError("pthread_create: \(String(cString: strerror(code)))") }
        pthread_detach(thread)
    }
}

/// An event loop on a thread of its own.
public final class EventLoopThread: Sendable {
    public let loop: EventLoop
    private let state = Mutex(State())

    private struct State {
        var ended = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    /// Makes the loop; the thread starts with `start`. Throws `SystemError` without descriptors.
    public init() throws { loop = try EventLoop() }

    /// Starts the thread, which runs `prepare` and then the loop until `stop`.
    public func start(name: String, prepare: @escaping @Sendable (EventLoop) -> Void = { _ in }) {
        NativeThread.start(name: name) { [self] in
            prepare(loop)
            loop.run()
            let waiting = state.withLock { state in
                state.ended = true
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    /// Ends the loop and returns when its thread has left it.
    public func stop() async {
        loop.stop()
        await withCheckedContinuation { continuation in
            let ended = state.withLock { state in
                if !state.ended { state.waiting.append(continuation) }
                return state.ended
            }
            if ended { continuation.resume() }
        }
    }

    /// Runs `work` on the loop's thread and returns its result. Must not be called from that thread.
    public func run<Result: Sendable>(_ work: @escaping @Sendable (EventLoop) -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            loop.execute { [loop] in continuation.resume(returning: work(loop)) }
        }
    }
}
