internal import Records
internal import Scheduling

/// One partition of `retries` while a retry-manager owns it: carries out what its `IndexOwner` says, and tells it what came of it.
final class RetryPartition {
    let number: Int
    /// Counts the ownerships of one world.
    let ownership: Int
    private unowned let manager: RetryManager
    private let world: World
    private let host: Host
    var owner: IndexOwner
    private(set) var isClosed = false
    private var position: Int64 = 0
    /// False before the consumer has been told where to read.
    private var isReading = false
    private var hasUnread = false
    private var isPumping = false
    /// When it is to be woken next.
    private var armedAt = Int64.max
    private var owedLeft = 0
    private var flightTombstones: [DeliveryID: Int] = [:]
    /// Payloads at hand, by the offsets of their records; first in, first out.
    private var cache: [Int64: Record] = [:]
    private var order: [Int64] = []
    private var awaited: [Int64: IndexOwner.Flight] = [:]
    private var isSweeping = false

    init(_ number: Int, _ manager: RetryManager) {
        self.number = number
        self.manager = manager
        world = manager.world
        ownership = manager.world.nextOwnership()
        host = manager.host
        owner = IndexOwner(logID: "log", limits: world.figures.limits)
    }

    private var place: Place { Place(topic: .retries, partition: number) }
    private var now: Int64 { world.wall(host) }

    func close() {
        isClosed = true
        world.ledger.closed(self)
    }

    // MARK: Carrying out

    func pump() {
        guard !isClosed, !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        var isIdle = false
        while !isIdle, !isClosed {
            isIdle = true
            while let action = owner.next(now: now, room: manager.room) { perform(action) }
            if owner.wantsRecords, hasUnread {
                takeRecords()
                isIdle = owner.wantsRecords
            }
        }
        arm()
    }

    func answered(_ change: (inout IndexOwner) -> Void) {
        guard !isClosed else { return }
        change(&owner)
        manager.feed()
        pump()
    }

    func failed() { answered { $0.failed(now: now) } }

    private func arm() {
        guard let wake = owner.wakeAt, !isClosed else { return }
        let isStarving = wake <= now && manager.room <= 0
        if isStarving { manager.starves(self) }
        let at = world.timeline.now + max(1, isStarving ? 20 : 0, wake - now)
        guard at < armedAt else { return }
        armedAt = at
        world.timeline.at(at, host) { [weak self] in
            self?.armedAt = .max
            self?.pump()
        }
    }

    private func redis<Answer>(
        writes: Bool, _ command: @escaping (inout SimulatedIndex) -> Answer,
        _ change: @escaping (inout IndexOwner, Answer) -> Void
    ) {
        world.redis.run(host, number, writes: writes, command) { [weak self] answer in
            guard let self else { return }
            guard let answer else { return failed() }
            answered { change(&$0, answer) }
        }
    }

    private func perform(_ action: IndexOwner.Action) {
        switch action {
        case .readHeaders: redis(writes: false, { $0.headers }) { $0.headersRead($1) }
        case .readFence(let offset): readFence(offset)
        case .writeFence: writeFence()
        case .open(let opening): open(opening)
        case .seek(let position):
            cache = [:]
            order = []
            manager.seek(self, to: position)
        case .look(let ids): redis(writes: false, { $0.look(ids) }) { [now] in $0.looked($1, now: now) }
        case .run(let script): run(script)
        case .retire(let keys):
            owedLeft = keys.count
            for key in keys { retire(key) { [weak self] in self?.owedRetired() } }
        case .fire(let flight): fire(flight)
        case .retireFlight(let id, let keys):
            flightTombstones[id] = keys.count
            for key in keys { retire(key) { [weak self] in self?.flightRetired(id) } }
        case .confirm: manager.confirm(self)
        case .stop: world.note(nil, "\(host.name) stops owning \(place)")
        }
    }

    private func retire(_ key: RetryKey, _ done: @escaping () -> Void) {
        manager.write(Record(timestamp: now, key: key, value: .tombstone), to: .retries, for: self) { _ in done() }
    }

    private func readFence(_ offset: Int64) {
        let (kafka, place) = (world.kafka, place)
        kafka.call(host) {
            kafka[place][offset]?.key == .fence
        } _: { [weak self] isFence in
            guard let self else { return }
            guard let isFence else { return failed() }
            answered { $0.fenceRead(isFence) }
        }
    }

    private func writeFence() {
        let fence = Record(timestamp: now, key: .fence, value: .fence)
        manager.write(fence, to: .retries, for: self, isFence: true) { [weak self] offset in
            guard let self else { return }
            // As if the log had ended where the index does.
            let early = world.mutation == .notCaughtUp ? offset.map { min($0, max(0, owner.position)) } : offset
            answered { [now] in $0.fenced(at: early, now: now) }
        }
    }

    private func open(_ opening: IndexOpening) {
        world.note(nil, "\(host.name) opens \(place) at \(opening.header.text)\(opening.resets ? ", empty" : "")")
        let command = { [weak self] (index: inout SimulatedIndex) in
            let isDone = index.open(opening)
            if isDone, let self { world.ledger.opened(self) }
            return isDone
        }
        redis(writes: true, command) { [now] owner, isDone in owner.opened(isDone, now: now) }
    }

    private func run(_ script: IndexScript) {
        var carried = script
        if world.mutation == .positionFirst, case .index = script.work { carried.work = .check }
        // What only takes away is taken also by a Redis that is full.
        let command = { [weak self, carried] (index: inout SimulatedIndex) in
            let reply = index.run(carried)
            if case .claimed = reply, let self { world.ledger.claims(self, host) }
            return reply
        }
        redis(writes: true, command) { [weak self, now] owner, reply in
            guard let self else { return }
            if case .claimed(let claimed, _, _) = reply {
                for one in claimed { world.note(one.delivery, "\(host.name) claims \(one.entry)") }
            }
            owner.ran(reply, now: now)
        }
    }

    private func owedRetired() {
        owedLeft -= 1
        if owedLeft == 0 { answered { $0.retired() } }
    }

    private func flightRetired(_ id: DeliveryID) {
        let left = (flightTombstones[id] ?? 1) - 1
        flightTombstones[id] = left == 0 ? nil : left
        if left == 0 { answered { $0.retiredFlight(id) } }
    }

    // MARK: Records

    /// Records come from `position` on from now on.
    func begin(at position: Int64) {
        self.position = position
        hasUnread = true
        if !isReading {
            isReading = true
            world.kafka.follow(place, by: host) { [weak self] in
                self?.hasUnread = true
                self?.pump()
            }
        }
        world.timeline.after(1, host) { [weak self] in self?.pump() }
    }

    private func takeRecords() {
        guard isReading else {
            hasUnread = false
            return
        }
        guard world.kafka.isUp else {
            hasUnread = false
            return world.kafka.whenUp(host) { [weak self] in
                self?.hasUnread = true
                self?.pump()
            }
        }
        let (records, next) = world.kafka[place].read(from: position, limit: world.figures.fetch)
        hasUnread = records.count == world.figures.fetch
        guard !records.isEmpty else { return }
        position = next
        let horizon = now + 60_000
        let known = records.compactMap { record in
            record.retry.map { retry in
                if retry.fields != nil, retry.place == nil, retry.dueAtMs < horizon { keep(record) }
                return RetryRecord(
                    offset: record.offset, timestampMs: record.timestamp, key: retry.key, content: Self.content(record))
            }
        }
        owner.took(known, end: next)
    }

    private static func content(_ record: Record) -> RetryRecord.Content {
        switch record.value {
        case .waiting(_, let due, let place): .waiting(dueAtMs: due, place: place)
        case .tombstone: .tombstone
        default: .command
        }
    }

    private func keep(_ record: Record) {
        guard cache[record.offset] == nil, world.figures.cachedPayloads > 0 else { return }
        cache[record.offset] = record
        order.append(record.offset)
        if order.count > world.figures.cachedPayloads { cache[order.removeFirst()] = nil }
    }

    // MARK: Firing

    private func fire(_ flight: IndexOwner.Flight) {
        if let record = cache.removeValue(forKey: flight.entry.offset) {
            order.removeAll { $0 == flight.entry.offset }
            return fire(flight, record.retry?.fields)
        }
        awaited[flight.entry.offset] = flight
        readAhead()
    }

    private func fire(_ flight: IndexOwner.Flight, _ fields: DeliveryFields?) {
        guard var fields else { return }
        fields.isCancelled = flight.entry.mark == .cancel
        world.ledger.firing(flight, self, host)
        let record = Record(timestamp: now, value: .delivery(fields), firedFrom: flight.entry.offset)
        let id = flight.delivery
        if world.mutation == .tombstoneFirst {
            manager.write(record, to: .deliveries, for: self) { _ in }
            return world.timeline.after(0, host) { [weak self] in self?.answered { $0.fired(id) } }
        }
        manager.write(record, to: .deliveries, for: self) { [weak self] _ in self?.answered { $0.fired(id) } }
    }

    /// Reads what is awaited, and with it what is due soon and not at hand.
    func readAhead() {
        guard !isSweeping, owner.isRunning, !isClosed else { return }
        let until = now + 5_000
        world.redis.run(host, number, writes: false, { $0.upcoming(until: until, limit: 8) }) { [weak self] soon in
            guard let self, !isClosed, !isSweeping else { return }
            var offsets = Set(awaited.keys)
            for claimed in soon ?? [] where claimed.entry.mark != .hold && cache[claimed.entry.offset] == nil {
                offsets.insert(claimed.entry.offset)
            }
            if !offsets.isEmpty { sweep(offsets.sorted()) }
        }
    }

    private func sweep(_ offsets: [Int64]) {
        isSweeping = true
        let (kafka, place) = (world.kafka, place)
        kafka.call(host) {
            offsets.map { kafka[place][$0] }
        } _: { [weak self] found in
            guard let self, !isClosed else { return }
            isSweeping = false
            for (offset, record) in zip(offsets, found ?? []) { swept(offset, record) }
            guard !awaited.isEmpty else { return }
            world.timeline.after(Figures.rewriteMs, host) { [weak self] in self?.readAhead() }
        }
    }

    private func swept(_ offset: Int64, _ record: Record?) {
        guard let flight = awaited[offset] else {
            if let record { keep(record) }
            return
        }
        awaited[offset] = nil
        if let fields = record?.retry?.fields { return fire(flight, fields) }
        answered { $0.gone(flight.delivery) }
    }
}
