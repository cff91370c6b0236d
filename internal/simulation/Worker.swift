internal import Delivering
internal import Records
internal import Settling

/// What a dispatcher's worker thread does. Whatever happens to it is followed by a turn, as its event loop has one.
final class Worker {
    unowned let dispatcher: Dispatcher
    let world: World
    let host: Host
    let held = HeldBytes()
    private let bound: CrashBound
    var partitions: [Place: OwnedPartition] = [:]
    var ready = ShortQueue<Delivery>(bounds: ShortQueueBounds(bytes: .max, wait: .max))
    var waiting: [String: WaitingDeliveries] = [:]
    /// By request, what is under way.
    var running: [UInt64: (delivery: Delivery, permit: WebhookGate.Permit, began: UInt64)] = [:]
    var window: StartWindow
    var open = 0
    var unacknowledged = Unacknowledged()
    var attemptsEnd: [Int: Int64] = [:]
    var resolver = ResolverHealth()
    private var releases: [Release] = []
    private var isConfirmed = true
    private var lastTurn: Int64
    private var lastCommit: Int64 = 0

    private struct Release {
        var partitions: [OwnedPartition]
        var abortAt: Int64?
        var giveUpAt: Int64
        var completion: ([(place: Place, point: CommitPoint)]) -> Void
    }

    init(_ dispatcher: Dispatcher, _ world: World) {
        self.dispatcher = dispatcher
        self.world = world
        host = dispatcher.host
        bound =
            world.mutation == .boundIgnored ? CrashBound(maxOpen: .max, maxAge: .max) : world.figures.bound
        window = StartWindow(maximum: world.figures.window)
        lastTurn = world.timeline.now
    }

    var now: Int64 { world.timeline.now }
    /// Monotonic nanoseconds, as the decisions take them.
    var nanoseconds: UInt64 { UInt64(now) * 1_000_000 }
    var figures: Figures { world.figures }

    func heartbeat() {
        let isIdle =
            ready.isEmpty && waiting.isEmpty && releases.isEmpty && partitions.values.allSatisfy { $0.busy == 0 }
        world.timeline.after(isIdle ? Figures.commitIntervalMs : Figures.heartbeatMs, host) { [weak self] in
            guard let self else { return }
            parkExpired()
            for webhook in waiting.keys.sorted() { startWaiting(of: webhook) }
            turn()
            heartbeat()
        }
    }

    /// At the end of each of the loop's turns.
    func turn() {
        noticeSleep()
        takeUnread()
        startReady()
        advanceReleases()
        if now - lastCommit >= Figures.commitIntervalMs {
            lastCommit = now
            handOverCommits()
        }
        checkBounds()
        // Nothing here takes the loop's time.
        window.turned(nanoseconds: 0)
    }

    // MARK: The crash bound

    var hasSlept: Bool { now - lastTurn > Figures.maxSleepMs }

    private func noticeSleep() {
        defer { lastTurn = now }
        guard hasSlept, isConfirmed, !partitions.isEmpty || world.mutation != .idleSleepIgnored else { return }
        isConfirmed = false
        // Without any there is nothing to ask for; an assignment that was on its way is confirmed when it comes.
        if !partitions.isEmpty { dispatcher.confirm(commitPoints(of: sorted(partitions))) }
    }

    func confirmed() {
        isConfirmed = true
        turn()
    }

    /// A place in the window, and among the process's open requests.
    func acquireOpen() -> Bool {
        guard isConfirmed, !hasSlept, window.allowsStart(now: nanoseconds),
            bound.allowsStart(open: open, oldest: unacknowledged.oldest, now: nanoseconds)
        else { return false }
        open += 1
        return true
    }

    // MARK: Partitions

    func own(_ place: Place, _ resume: Resume, _ memory: SourceMemory) {
        let partition = OwnedPartition(
            place, number: world.nextOwnership(),
            settlement: PartitionSettlement(offset: resume.offset, note: resume.note, memory: memory),
            attemptsEnd: resume.attemptsEnd)
        partitions[place] = partition
        if !isConfirmed { dispatcher.confirm(commitPoints(of: [partition])) }
        attemptsEnd[place.partition] = max(attemptsEnd[place.partition] ?? 0, resume.attemptsEnd)
        world.kafka.follow(place, by: host) { [weak self, weak partition] in
            guard let self, let partition, !partition.isClosing else { return }
            partition.hasUnread = true
            turn()
        }
        turn()
    }

    /// What lay below is recorded as covered at once.
    func skip(_ place: Place, to offset: Int64) {
        guard let partition = partitions[place], !partition.isClosing, offset > partition.settlement.position else {
            return
        }
        partition.settlement.openBatch(attemptsEnd: attemptsEnd[place.partition] ?? 0)
        partition.settlement.skip(to: offset)
        partition.position = offset
        partition.hasUnread = true
        write(coverages: partition.settlement.closeBatch(), of: partition)
        turn()
    }

    func sorted(_ partitions: [Place: OwnedPartition]) -> [OwnedPartition] {
        partitions.values.sorted { $0.place < $1.place }
    }

    private func handOverCommits() {
        let points = sorted(partitions).filter { !$0.isClosing }.compactMap { partition in
            let point = commitPoint(of: partition)
            guard point != partition.committed else { return nil as (place: Place, point: CommitPoint)? }
            partition.committed = point
            return (partition.place, point)
        }
        if !points.isEmpty { dispatcher.commit(points) }
    }

    /// What was handed over is not committed: it is handed over again.
    func commitFailed(_ places: [Place]) {
        guard world.mutation != .commitOnce else { return }
        for place in places { partitions[place]?.committed = nil }
    }

    private func commitPoints(of partitions: [OwnedPartition]) -> [(place: Place, point: CommitPoint)] {
        partitions.map { ($0.place, commitPoint(of: $0)) }
    }

    private func commitPoint(of partition: OwnedPartition) -> CommitPoint {
        var point = partition.settlement.commitPoint()
        if world.mutation == .commitsPosition { point.offset = partition.settlement.position }
        if world.mutation == .noteNotInherited,
            let batch = partition.freshNotes.last(where: { $0.first <= point.offset })
        {
            point.note = batch.note
        }
        return point
    }

    // MARK: Giving back

    func release(
        _ places: [Place], isLost: Bool, graceMs: Int64,
        completion: @escaping ([(place: Place, point: CommitPoint)]) -> Void
    ) {
        let released = places.compactMap { partitions.removeValue(forKey: $0) }
        for partition in released {
            partition.isClosing = true
            partition.isLost = isLost
        }
        let abortAt = now + graceMs
        releases.append(
            Release(
                partitions: released, abortAt: abortAt, giveUpAt: abortAt + Figures.revokeAcknowledgementMs,
                completion: completion))
        if partitions.isEmpty { isConfirmed = true }
        turn()
    }

    private func advanceReleases() {
        var open: [Release] = []
        var done: [Release] = []
        for var release in releases {
            if let abortAt = release.abortAt, now >= abortAt {
                release.abortAt = nil
                abort(release.partitions)
            }
            let isIdle = release.partitions.allSatisfy { $0.busy == 0 }
            // In their order: who is told to stop amid a rebalance has nothing more to give back, and ends when that is complete.
            let isOver = (open.isEmpty || world.mutation == .releaseUnordered) && (isIdle || now >= release.giveUpAt)
            if isOver { done.append(release) } else { open.append(release) }
        }
        releases = open
        for release in done {
            for partition in release.partitions where partition.busy > 0 { world.ledger.gaveUp(self, partition) }
            release.completion(commitPoints(of: release.partitions))
        }
    }

    private func abort(_ partitions: [OwnedPartition]) {
        let requests = running.filter { entry in partitions.contains { $0 === entry.value.delivery.partition } }.keys
            .sorted()
        for request in requests { finished(request, .failed(.interrupted)) }
    }

    /// Memory stays bounded whatever happens.
    private func checkBounds() {
        // One fetch more, each record for each webhook, may have been taken on the way.
        let slack = figures.fetch * max(1, partitions.count) * world.webhooks.count
        if ready.count > Figures.maxReady + slack { world.fail("\(host.name) has \(ready.count) deliveries ready") }
        if held.bytes > figures.maxHeldBytes + slack * Figures.payloadBytes {
            world.fail("\(host.name) holds \(held.bytes) bytes, \(figures.maxHeldBytes) allowed")
        }
    }
}
