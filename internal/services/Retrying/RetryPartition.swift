internal import CLinux
internal import EventLoops
internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import Redis
internal import Scheduling

/// One partition of `retries` while this process owns it: carries out what its `IndexOwner` says, and tells it what came of it.
/// One object for one assignment; confined to the manager's loop.
final class RetryPartition {
    let name: TopicPartition
    let commands: IndexCommands
    unowned let manager: RetryLoop
    let sweep: PayloadSweep
    var owner: IndexOwner
    var cache = PayloadCache()
    /// Flights whose payload is not at hand yet, by the offset of its record.
    var awaited: [Int64: IndexOwner.Flight] = [:]
    /// Tombstones of the batch being indexed that are not acknowledged yet.
    private var owedLeft = 0
    private var flightTombstones: [DeliveryID: Int] = [:]
    private var queue: PartitionQueue?
    private var hasUnread = false
    private var isPumping = false
    private var timer: TimerID?
    private(set) var isClosed = false
    /// When a flight's payload was due; for its lateness.
    private var dueAt: [DeliveryID: Int64] = [:]

    init(_ name: TopicPartition, _ manager: RetryLoop) {
        self.name = name
        self.manager = manager
        commands = IndexCommands(manager.redis, prefix: manager.options.keyPrefix, partition: name.partition)
        sweep = PayloadSweep(manager.reader, name)
        owner = IndexOwner(logID: manager.options.logID, limits: manager.options.limits)
    }

    private var now: Int64 { clinux_realtime_ms() }

    func close() {
        isClosed = true
        queue?.stop()
        if let timer { manager.loop.cancel(timer) }
        manager.held -= cache.byteCount
    }

    // MARK: Carrying out

    /// Does everything that there is to do now.
    func pump() {
        guard !isClosed, !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        var isIdle = false
        while !isIdle, !isClosed {
            isIdle = true
            while let action = nextAction() { perform(action) }
            if owner.wantsRecords, hasUnread {
                takeRecords()
                isIdle = owner.wantsRecords
            }
        }
        arm()
    }

    private func nextAction() -> IndexOwner.Action? {
        let (now, room) = (now, manager.room)
        return owner.next(now: now, room: room)
    }

    /// Lets an answer in, and goes on.
    private func answered(_ change: (inout IndexOwner) -> Void) {
        guard !isClosed else { return }
        let returned = owner.returned
        change(&owner)
        manager.metrics.returned.increment(by: owner.returned - returned)
        manager.feed()
        pump()
    }

    private func arm() {
        if let timer { manager.loop.cancel(timer) }
        timer = nil
        guard let wake = owner.wakeAt, !isClosed else { return }
        // Without room there is nothing to claim: whoever makes some lets this one know.
        let isStarving = wake <= now && manager.room <= 0
        if isStarving { manager.starves(self) }
        let delay = max(isStarving ? 20 : 0, wake - now)
        timer = manager.loop.after(milliseconds: UInt64(max(1, delay))) { [weak self] in
            self?.timer = nil
            self?.pump()
        }
    }

    private func perform(_ action: IndexOwner.Action) {
        switch action {
        case .readHeaders: commands.headers { [weak self] in self?.settle($0) { $0.headersRead($1) } }
        case .readFence(let offset): readFence(offset)
        case .writeFence:
            manager.write(
                .fence(self), to: manager.retries, name.partition, key: RetryKey.fence.description, value: [0x66])
        case .open(let opening): open(opening)
        case .seek(let position): manager.seek(self, to: position)
        case .look(let ids): commands.look(ids) { [weak self, now] in self?.settle($0) { $0.looked($1, now: now) } }
        case .run(let script): run(script)
        case .retire(let keys):
            owedLeft = keys.count
            for key in keys {
                manager.write(.owed(self), to: manager.retries, name.partition, key: key.description, value: nil)
            }
        case .fire(let flight): fire(flight)
        case .retireFlight(let id, let keys):
            flightTombstones[id] = keys.count
            for key in keys {
                manager.write(
                    .tombstone(self, id), to: manager.retries, name.partition, key: key.description, value: nil)
            }
        case .confirm: manager.confirm(self)
        case .stop:
            manager.log.warning("a partition belongs to another member", metadata: ["partition": "\(name)"])
        }
    }

    /// An answer from Redis, or the lack of one.
    private func settle<Value>(_ result: Result<Value, RedisError>, _ change: (inout IndexOwner, Value) -> Void) {
        switch result {
        case .success(let value): answered { change(&$0, value) }
        case .failure(let error): failed("\(error)")
        }
    }

    func failed(_ reason: String) {
        guard !isClosed else { return }
        manager.complain("the retry index cannot be used; it is opened again", name, reason)
        answered { $0.failed(now: now) }
    }

    private func open(_ opening: IndexOpening) {
        manager.metrics.refused.increment()
        if opening.resets {
            manager.metrics.rebuilt.increment()
            manager.log.info("the retry index is read from the log's start", metadata: ["partition": "\(name)"])
        }
        commands.open(opening) { [weak self, now] result in
            FaultPoint.opened.pass()
            self?.settle(result) { $0.opened($1, now: now) }
        }
    }

    private func run(_ script: IndexScript) {
        if case .remove = script.work { FaultPoint.beforeRemove.pass() }
        commands.run(script, again: { [metrics = manager.metrics] in metrics.firedAgain.increment(by: $0) }) {
            [weak self] result in
            guard let self else { return }
            switch script.work {
            case .index: FaultPoint.indexed.pass()
            case .claim: FaultPoint.claimed.pass()
            case .remove: FaultPoint.removed.pass()
            case .release: FaultPoint.released.pass()
            case .renew, .check: break
            }
            if case .release = script.work, case .success(.claimed(let claimed, _, _)) = result {
                manager.metrics.released.increment(by: claimed.count)
            }
            if case .success(.mismatch) = result {
                manager.complain("the retry index is not as it was left; it is opened again", name, "mismatch")
            }
            settle(result) { [now] in $0.ran($1, now: now) }
        }
    }

    private func readFence(_ offset: Int64) {
        var isFence = false
        manager.reader.read(name, from: offset, to: offset + 1) { record in
            isFence = record.key.flatMap { RetryKey($0) } == .fence
        } completion: { [weak self] result in
            guard let self else { return }
            switch result {
            case .success: answered { $0.fenceRead(isFence) }
            case .failure(let error): failed("\(error)")
            }
        }
    }

    // MARK: Reports

    func fenced(at offset: Int64?) {
        FaultPoint.fenceWritten.pass()
        answered { [now] in $0.fenced(at: offset, now: now) }
    }

    func confirmed(_ isMember: Bool) { answered { $0.confirmed(isMember) } }

    func owedRetired() {
        owedLeft -= 1
        guard owedLeft == 0 else { return }
        FaultPoint.owedRetired.pass()
        answered { $0.retired() }
    }

    func flightFired(_ id: DeliveryID) {
        FaultPoint.fired.pass()
        manager.metrics.fired.increment()
        if let due = dueAt.removeValue(forKey: id) { manager.metrics.late(milliseconds: now - due) }
        answered { $0.fired(id) }
    }

    func flightRetired(_ id: DeliveryID) {
        let left = (flightTombstones[id] ?? 1) - 1
        flightTombstones[id] = left == 0 ? nil : left
        guard left == 0 else { return }
        FaultPoint.retired.pass()
        answered { $0.retiredFlight(id) }
    }

    // MARK: Records

    /// Records come from `queue` from now on.
    func begin(_ queue: PartitionQueue) {
        self.queue = queue
        do {
            try queue.start(on: manager.loop) { [weak self] event in self?.handle(event) }
        } catch {
            manager.log.critical("a partition's queue cannot be watched", metadata: ["error": "\(error)"])
        }
    }

    private func handle(_ event: PartitionEvent) {
        switch event {
        case .readable:
            hasUnread = true
            pump()
        case .offsetOutOfRange: manager.reposition(self)
        case .failed(let error): manager.complain("a partition cannot be read", name, "\(error)")
        }
    }

    private func takeRecords() {
        guard let queue else { return }
        var records: [RetryRecord] = []
        let horizon = now + RetryManagerOptions.horizonMs * 12
        let count = queue.drain(max: RetryManagerOptions.batchRecords) { record in
            guard let known = RetryRecord(record) else {
                manager.complain("a record of retries has no key of ours; it is passed over", name, "\(record.offset)")
                return
            }
            records.append(known)
            // What waits in a lane is read when its turn is near.
            if case .waiting(let due, nil) = known.content, due < horizon { keep(record) }
        }
        hasUnread = count == RetryManagerOptions.batchRecords
        guard count > 0 else { return }
        manager.metrics.indexed.increment(by: count)
        let position = queue.nextOffset
        owner.took(records, end: position)
        manager.metrics.at(name.partition, position: position, lag: max(0, owner.epoch + 1 - position))
    }

    private func keep(_ record: borrowing Record) {
        guard !cache.contains(record.offset), let payload = Payload(record) else { return }
        insert(payload, at: record.offset)
    }

    private func insert(_ payload: Payload, at offset: Int64) {
        guard !cache.contains(offset) else { return }
        while manager.held + payload.byteCount > manager.options.memoryBytes, cache.count > 0 {
            let before = cache.byteCount
            cache.evict()
            manager.held -= before - cache.byteCount
        }
        guard manager.held + payload.byteCount <= manager.options.memoryBytes else { return }
        cache.insert(payload, at: offset)
        manager.held += payload.byteCount
    }

    // MARK: Firing

    private func fire(_ flight: IndexOwner.Flight) {
        FaultPoint.beforeFire.pass()
        if let payload = cache[flight.entry.offset] {
            manager.metrics.cacheHits.increment()
            return fire(flight, payload)
        }
        manager.metrics.cacheMisses.increment()
        awaited[flight.entry.offset] = flight
        readAhead()
    }

    private func fire(_ flight: IndexOwner.Flight, _ payload: Payload, isLost: Bool = false) {
        let before = cache.byteCount
        cache.remove(flight.entry.offset)
        manager.held -= before - cache.byteCount
        var headers = payload.headers
        if flight.entry.mark == .cancel {
            headers.append(RecordHeader.command, "cancel")
            manager.metrics.cancelled.increment()
        } else if flight.entry.mark == .none, payload.dueAtMs > 0 {
            dueAt[flight.delivery] = payload.dueAtMs
        }
        manager.write(
            .flight(self, flight.delivery), to: manager.deliveries, name.partition, key: payload.webhook,
            value: isLost ? nil : payload.value, headers: headers)
    }

    /// Reads what is awaited, and with it what is due soon and not at hand.
    func readAhead() {
        guard !sweep.isRunning, owner.isRunning, !isClosed else { return }
        let until = now + RetryManagerOptions.horizonMs
        commands.upcoming(
            untilMs: until, limit: RetryManagerOptions.maxAhead, inLane: RetryManagerOptions.maxAheadInLane
        ) { [weak self] result in
            guard let self, !isClosed, !sweep.isRunning else { return }
            var offsets = Set(awaited.keys)
            if case .success(let soon) = result {
                for claimed in soon where claimed.entry.mark != .hold && !cache.contains(claimed.entry.offset) {
                    offsets.insert(claimed.entry.offset)
                }
            }
            if !offsets.isEmpty { startSweep(offsets) }
        }
    }

    private func startSweep(_ offsets: Set<Int64>) {
        manager.metrics.sweeps.increment()
        sweep.read(offsets) { [weak self] offset, payload in
            guard let self, !isClosed else { return }
            if let flight = awaited.removeValue(forKey: offset) {
                fire(flight, payload)
            } else {
                insert(payload, at: offset)
            }
        } completion: { [weak self] count, result in
            guard let self, !isClosed else { return }
            manager.metrics.sweptRecords.increment(by: count)
            switch result {
            case .success(let missing): for offset in missing.offsets { gone(offset, logStart: missing.logStart) }
            case .failure(let error): manager.complain("payloads cannot be read", name, "\(error)")
            }
            // What was claimed meanwhile, or could not be read.
            if !awaited.isEmpty {
                manager.loop.after(milliseconds: RetryManagerOptions.retryDelayMs) { [weak self] in self?.readAhead() }
            }
        }
    }

    /// A record is no more: retired meanwhile, or, below the log's start, lost.
    private func gone(_ offset: Int64, logStart: Int64) {
        guard let flight = awaited.removeValue(forKey: offset) else { return }
        guard offset < logStart else { return answered { $0.gone(flight.delivery) } }
        manager.metrics.lost.increment()
        manager.log.error(
            "a delivery's record is gone from retries",
            metadata: ["partition": "\(name)", "delivery": "\(flight.delivery)"])
        fire(flight, Payload(lost: flight.delivery, flight.entry), isLost: true)
    }
}
