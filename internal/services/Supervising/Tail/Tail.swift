internal import JSONScanning
internal import Kafka
internal import Synchronization

/// What `martlet tail` was asked for.
struct TailOptions: Sendable {
    var topic: TailTopic
    var json = false
    var fromBeginning = false
    /// Others' records are passed over.
    var tenant: String?
    var webhook: String?
    /// Ends after so many shown records.
    var count: Int?
}

/// Follows a topic and prints its records: all partitions, without a consumer group, so that nobody is disturbed. Records that
/// cannot be read are reported and passed over.
final class Tail: Sendable {
    private struct State {
        var shown = 0
        /// Told last: one that lasts is told once.
        var failure = ""
    }

    private let options: TailOptions
    private let topic: String
    private let output: CommandOutput
    private let isGone: @Sendable () -> Bool
    private let state = Mutex(State())
    private let ending = AsyncStream.makeStream(of: Never.self)

    /// - Parameters:
    ///   - topic: its name in Kafka.
    ///   - isGone: whether nobody reads the output any more.
    init(
        _ options: TailOptions, topic: String, output: CommandOutput = .standard,
        isGone: @escaping @Sendable () -> Bool = { CommandOutput.isStandardOutputGone }
    ) {
        self.options = options
        self.topic = topic
        self.output = output
        self.isGone = isGone
    }

    /// Returns when all that was asked for has been shown, nobody reads any more, or the task is cancelled. Throws `KafkaError`
    /// where Kafka cannot be asked at all; while it is away it is tried again.
    func run(_ reader: LogReaderConfiguration) async throws {
        let follower = try await AsyncTopicFollower.start(
            reader, topic: topic, from: options.fromBeginning ? .beginning : .end,
            record: { [self] record in take(record) }, event: { [self] event in take(event) })
        for await _ in ending.stream {}
        await follower.stop()
    }

    /// On the follower's thread, as the next.
    private func take(_ record: borrowing Record) {
        let copy = CopiedRecord(record)
        do throws(UnreadableRecord) {
            guard let found = try read(copy), isWanted(found) else { return }
            show(found)
        } catch {
            output.note("\(copy.topicPartition) at \(copy.offset) is passed over: \(error)")
        }
    }

    private func take(_ event: TopicFollower.Event) {
        switch event {
        case .caughtUp:
            state.withLock { $0.failure = "" }
            output.note("following \(topic)  (Ctrl-C ends it)")
        case .restarted(let error): output.note("\(topic) is read anew: \(error)")
        case .failed(let error):
            let isNew = state.withLock { state in
                defer { state.failure = error.description }
                return state.failure != error.description
            }
            if isNew { output.note("Kafka: \(error); trying again") }
        }
    }

    /// nil where the record tells of nothing to be shown.
    private func read(_ record: CopiedRecord) throws(UnreadableRecord) -> (any TailedRecord)? {
        switch options.topic {
        case .attempts: try TailedAttempt(record)
        case .deadLetters: try TailedLetter(record)
        case .events: try TailedEvent(record)
        }
    }

    private func isWanted(_ record: any TailedRecord) -> Bool {
        (options.tenant ?? record.tenant) == record.tenant && (options.webhook ?? record.webhookID) == record.webhookID
    }

    private func show(_ record: any TailedRecord) {
        let isLast: Bool? = state.withLock { state in
            guard state.shown < options.count ?? .max else { return nil }
            state.shown += 1
            return state.shown == options.count
        }
        // More may come before the follower has stopped.
        guard let isLast else { return }
        if options.json {
            output.result(json: { $0.object { record.write(to: &$0) } })
        } else {
            output.result(record.text)
        }
        if isLast || isGone() { ending.continuation.finish() }
    }
}
