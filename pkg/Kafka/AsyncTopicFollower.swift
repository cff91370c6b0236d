/// A `TopicFollower` for code that has no event loop: it owns a loop's thread, on which both handlers are called.
public final class AsyncTopicFollower: Sendable {
    private let follower: OwnLoop<TopicFollower>

    private init(_ follower: OwnLoop<TopicFollower>) { self.follower = follower }

    /// Starts the thread and begins. While a handler blocks, nothing is read: what waits is bounded by the configuration. Throws
    /// where a property is wrong, naming it; what goes wrong later is an event.
    public static func start(
        _ configuration: LogReaderConfiguration, topic: String, from start: TopicFollower.Start = .beginning,
        record: @escaping @Sendable (borrowing Record) -> Void,
        event: @escaping @Sendable (TopicFollower.Event) -> Void
    ) async throws(KafkaError) -> AsyncTopicFollower {
        AsyncTopicFollower(
            try await OwnLoop.start(name: "kafka-follower") { loop throws(KafkaError) in
                try TopicFollower(configuration, topic: topic, from: start, on: loop, record: record, event: event)
            })
    }

    /// Ends the reading and the thread: when this returns, no handler runs or will be called again. Not from a handler.
    public func stop() async {
        await follower.close { follower, done in
            follower.stop()
            done()
        }
    }
}
