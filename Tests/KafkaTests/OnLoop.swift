import EventLoops

/// A loop-confined object with a loop of its own. `@unchecked Sendable`: `value` is touched on that loop only.
final class OnLoop<Value>: @unchecked Sendable {
    private let thread: EventLoopThread
    private nonisolated(unsafe) let value: Value

    init(_ make: @escaping @Sendable (EventLoop) throws -> Value) async throws {
        let thread = try EventLoopThread()
        self.thread = thread
        thread.start(name: "test-kafka")
        let made = await thread.run { loop in Result { Unchecked(value: try make(loop)) } }
        switch made {
        case .success(let made): value = made.value
        case .failure(let error):
            await thread.stop()
            throw error
        }
    }

    func run<Answer: Sendable>(_ body: @escaping @Sendable (Value) throws -> Answer) async throws -> Answer {
        let value = Unchecked(value: value)
        return try await thread.run { _ in Result { try body(value.value) } }.get()
    }

    /// For calls that answer through a completion on the loop.
    func await<Answer: Sendable>(_ body: @escaping @Sendable (Value, @escaping (Answer) -> Void) -> Void) async
        -> Answer
    {
        let value = Unchecked(value: value)
        return await withCheckedContinuation { continuation in
            thread.loop.execute { body(value.value) { continuation.resume(returning: $0) } }
        }
    }

    func stop() async { await thread.stop() }

    private struct Unchecked: @unchecked Sendable { let value: Value }
}
