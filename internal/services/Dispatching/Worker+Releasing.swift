internal import EventLoops
internal import HTTPSending
internal import Kafka
internal import Logs
internal import Settling

/// Partitions on their way back: what has not started is dropped, what has is awaited for a while, then aborted and parked;
/// when every outcome is acknowledged, or the time is up, the last commit points are handed over.
struct Release {
    var partitions: [OwnedPartition]
    /// When requests still running are aborted; nil once they are.
    var abortAt: UInt64?
    var giveUpAt: UInt64
    var completion: ([OffsetCommit]) -> Void
}

extension Worker {
    /// - Parameters:
    ///   - isLost: others own them already: what is aborted is theirs.
    ///   - graceMs: how long running requests may go on.
    ///   - completion: gets what can be committed, on this worker's thread.
    func release(
        _ names: [TopicPartition], isLost: Bool, graceMs: UInt64, completion: @escaping ([OffsetCommit]) -> Void
    ) {
        let released = names.compactMap { partitions.removeValue(forKey: $0) }
        for partition in released {
            partition.isClosing = true
            partition.isLost = isLost
            partition.queue.stop()
        }
        let abortAt = loop.now + graceMs * 1_000_000
        releases.append(
            Release(
                partitions: released, abortAt: abortAt,
                giveUpAt: abortAt + DispatchSettings.revokeAcknowledgementMs * 1_000_000, completion: completion))
        // A new owner starts with a confirmed assignment.
        if partitions.isEmpty { isConfirmed = true }
        advanceReleases()
    }

    func advanceReleases() {
        guard !releases.isEmpty else { return }
        var open: [Release] = []
        var done: [Release] = []
        for var release in releases {
            if let abortAt = release.abortAt, loop.now >= abortAt {
                release.abortAt = nil
                abortRequests(of: release.partitions)
            }
            let isIdle = release.partitions.allSatisfy { $0.busy == 0 }
            // In their order: who is told to stop amid a rebalance has nothing more to give back, and ends when that is complete.
            let isOver = open.isEmpty && (isIdle || loop.now >= release.giveUpAt)
            if isOver { done.append(release) } else { open.append(release) }
        }
        releases = open
        for release in done {
            let left = release.partitions.reduce(0) { $0 + $1.busy }
            if left > 0 {
                log.warning(
                    "partitions were given back with outcomes unacknowledged: their requests may be repeated",
                    metadata: ["outcomes": "\(left)"])
            }
            release.completion(commitPoints(of: release.partitions))
        }
    }

    private func abortRequests(of partitions: [OwnedPartition]) {
        let aborted = running.all.filter { delivery in partitions.contains { $0 === delivery.source.partition } }
        for delivery in aborted { delivery.request.map { sender.abort($0) } }
    }
}
