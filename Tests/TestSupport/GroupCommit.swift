internal import EventLoops
public import Kafka

extension KafkaBroker {
    /// Commits offsets of a group that has no members. Throws the first failure.
    public func commit(_ offsets: [OffsetCommit], group: String) async throws {
        let thread = try EventLoopThread()
        thread.start(name: "test-commit")
        let configuration = ConsumerConfiguration(configuration(), groupID: group)
        let made = await thread.run { loop in Result { Held(value: try Consumer(configuration, on: loop) { _ in }) } }
        let consumer = try made.get()
        let failures = await withCheckedContinuation { continuation in
            thread.loop.execute { consumer.value.commit(offsets) { continuation.resume(returning: $0) } }
        }
        await withCheckedContinuation { continuation in
            thread.loop.execute { consumer.value.close { continuation.resume() } }
        }
        await thread.stop()
        if let failure = failures.values.first { throw failure }
    }

    /// `@unchecked Sendable`: used on its loop only.
    private struct Held: @unchecked Sendable { let value: Consumer }
}
