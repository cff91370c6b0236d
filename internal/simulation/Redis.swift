/// A simulated Redis with the indexes of all partitions. It writes to its disk once a second, so a crash takes up to that much back.
final class Redis {
    private let timeline: Timeline
    private var random: Generator
    private let mutation: Mutation?
    private(set) var indexes: [SimulatedIndex]
    private var onDisk: [SimulatedIndex]
    private var writtenAt: Int64 = 0
    private var upAt: Int64 = 0
    private var isFullUntil: Int64 = 0
    private var losses: (percent: Int, until: Int64) = (0, 0)

    init(_ timeline: Timeline, partitions: Int, mutation: Mutation?, random: Generator) {
        self.timeline = timeline
        self.random = random
        self.mutation = mutation
        indexes = Array(repeating: SimulatedIndex(mutation: mutation), count: partitions)
        onDisk = indexes
    }

    // MARK: Faults

    func wipe() {
        indexes = indexes.map { _ in SimulatedIndex(mutation: mutation) }
        onDisk = indexes
    }

    /// It dies, and is back after a while with what its disk has, or nothing.
    func restart(after ms: Int64, isEmpty: Bool) {
        if isEmpty { wipe() }
        indexes = onDisk
        upAt = max(upAt, timeline.now + ms)
    }

    func loseKey(_ partition: Int, _ key: SimulatedIndex.Key) { indexes[partition].lose(key) }

    /// Out of memory: it refuses what writes.
    func fill(for ms: Int64) { isFullUntil = timeline.now + ms }

    func loseAnswers(percent: Int, for ms: Int64) { losses = (percent, timeline.now + ms) }

    func recover() {
        upAt = min(upAt, timeline.now)
        isFullUntil = 0
        losses = (0, 0)
    }

    // MARK: Commands

    /// - Parameters:
    ///   - writes: whether it takes memory.
    ///   - reply: nil, where Redis did not answer, or with an error.
    func run<Answer>(
        _ host: Host, _ partition: Int, writes: Bool, _ command: @escaping (inout SimulatedIndex) -> Answer,
        _ reply: @escaping (Answer?) -> Void
    ) {
        let arrives = max(timeline.now + random.within(0...2), host.channels[.redis] ?? 0)
        host.channels[.redis] = arrives
        let incarnation = host.incarnation
        timeline.at(arrives) { [self] in
            guard timeline.now >= upAt, !writes || timeline.now >= isFullUntil else {
                return timeline.at(timeline.now + 1, host, incarnation: incarnation) { reply(nil) }
            }
            persist()
            let answer = command(&indexes[partition])
            let isLost = timeline.now < losses.until && random.chance(losses.percent)
            let back = timeline.now + (isLost ? 300 : random.within(0...2))
            timeline.at(back, host, incarnation: incarnation) { reply(isLost ? nil : answer) }
        }
    }

    /// What was there a second ago, or less, is on the disk.
    private func persist() {
        guard timeline.now >= writtenAt + 1_000 else { return }
        writtenAt = timeline.now
        onDisk = indexes
    }
}
