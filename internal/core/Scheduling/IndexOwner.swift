public import Records

/// One assignment of one partition of `retries` to one retry-manager: what to do next, and what an answer means. It does nothing
/// itself: `next` says what is to be done, the owner's service does it and brings the answer back.
///
/// ```
/// readHeaders ─► readFence ─► writeFence ─► open ─► seek ─► running ──┐
///      ▲                                                              │ a header is not as expected, Redis
///      └──────────── confirm (is the partition still ours?) ◄─────────┘ failed, an answer did not come
///                       └─► stopped
/// ```
/// Running, three things go on side by side, each script after the other: records are indexed; what is due is claimed, deliveries and
/// lanes, which then let go of some, once the index has reached the fence; and each flight goes deliveries ─► tombstone ─► removal, in this order.
///
/// Times are milliseconds since 1970. One thread at a time.
public struct IndexOwner: Sendable {
    private enum Phase: Equatable {
        /// An action of the opening is to be asked for, or under way.
        case begin, readingHeaders
        case readFence(IndexHeaders, Int64), readingFence(IndexHeaders)
        case writeFence(IndexHeaders, isRecreated: Bool), writingFence(IndexHeaders, isRecreated: Bool)
        case open(IndexOpening), opening(IndexOpening)
        case seek, running
        case failed(until: Int64)
        case confirming
        case stop, stopped
    }

    /// What a batch does to the index.
    private struct Prepared: Equatable {
        var changes: [IndexBatch.Change] = []
        var lanes: [LaneDue] = []
    }

    private enum Indexing: Equatable {
        case idle
        case look, looking
        case retire(Prepared, [RetryKey]), retiring(Prepared)
        case run(Prepared)
    }

    private enum FlightState: Equatable {
        case fire, firing, retire, retiring, remove
    }

    private let logID: String
    private let limits: Limits
    private var phase = Phase.begin
    private var header: IndexHeader
    /// Where the log ended when the fence was written.
    private var end: Int64 = .max
    private var script: IndexScript?
    private var indexing = Indexing.idle
    private var batch: [RetryRecord] = []
    private var batchEnd: Int64 = 0
    private var flights: [DeliveryID: Flight] = [:]
    private var states: [DeliveryID: FlightState] = [:]
    private var queue: [DeliveryID] = []
    private var lanes: LaneBook
    private var isDraining = false
    private var nextDue: Int64?
    private var nextRenewal: Int64 = .max
    private var nextCheck: Int64 = 0

    public init(logID: String, limits: Limits) {
        self.logID = logID
        self.limits = limits
        lanes = LaneBook(limits: limits)
        header = IndexHeader(logID: logID, position: 0, epoch: -1, turn: 0)
    }

    // MARK: What can be seen

    public var position: Int64 { header.position }
    public var epoch: Int64 { header.epoch }
    public var isRunning: Bool { phase == .running }
    public var isStopped: Bool { phase == .stopped }
    /// Whether the index has all that was in the log when it was opened: nothing is claimed before.
    public var isCaughtUp: Bool { phase == .running && header.position >= end }
    public var inFlight: Int { flights.count }
    /// How many more a claim or release under way may add to them.
    public var claiming: Int {
        switch script?.work {
        case .claim(_, _, let limit), .release(_, _, _, let limit): limit
        case .index, .renew, .remove, .check, nil: 0
        }
    }
    /// Lanes that it lets go of.
    public var laneCount: Int { lanes.count }
    /// Deliveries that came back to a lane that had let go of them.
    public var returned: Int { lanes.returned }
    public var wantsRecords: Bool { phase == .running && indexing == .idle }

    /// When `next` has something to do though nothing happens: nil, it has not.
    public var wakeAt: Int64? {
        switch phase {
        case .failed(let until): return until
        case .running:
            // An answer comes first.
            guard script == nil, indexing == .idle else { return nil }
            let due = isCaughtUp && !isDraining ? (lanes.hasDue ? 0 : nextDue ?? .max) : .max
            return min(due, nextCheck, nextRenewal)
        default: return nil
        }
    }

    // MARK: What to do

    /// The next thing to do; nil, nothing now.
    /// - Parameter room: how many more deliveries may be in flight.
    public mutating func next(now: Int64, room: Int) -> Action? {
        if let action = opening(now: now) { return action }
        if let action = flying() { return action }
        guard phase == .running, script == nil else { return nil }
        if let action = advanceIndexing() { return action }
        guard indexing == .idle, let work = work(now: now, room: room) else { return nil }
        return run(work, position: header.position)
    }

    private mutating func opening(now: Int64) -> Action? {
        switch phase {
        case .begin:
            phase = .readingHeaders
            return .readHeaders
        case .readFence(let found, let offset):
            phase = .readingFence(found)
            return .readFence(offset: offset)
        case .writeFence(let found, let isRecreated):
            phase = .writingFence(found, isRecreated: isRecreated)
            return .writeFence
        case .open(let opening):
            phase = .opening(opening)
            return .open(opening)
        case .seek:
            phase = .running
            return .seek(header.position)
        case .failed(let until) where now >= until:
            phase = .confirming
            return .confirm
        case .stop:
            phase = .stopped
            return .stop
        default: return nil
        }
    }

    /// Firing and retiring need no script, so they go on while the index is opened anew. In the order of the claims: the last ones
    /// of a batch are those that an endpoint does not take.
    private mutating func flying() -> Action? {
        while !queue.isEmpty {
            let id = queue.removeFirst()
            guard let flight = flights[id], let state = states[id] else { continue }
            switch state {
            case .fire:
                states[id] = .firing
                return .fire(flight)
            case .retire:
                states[id] = .retiring
                return .retireFlight(id, flight.keys)
            case .firing, .retiring, .remove: continue
            }
        }
        return nil
    }

    private mutating func advanceIndexing() -> Action? {
        switch indexing {
        case .look:
            indexing = .looking
            return .look(Array(Set(batch.compactMap(\.key.delivery))))
        case .retire(let prepared, let keys):
            indexing = .retiring(prepared)
            return .retire(keys)
        case .run(let prepared): return run(.index(prepared.changes, lanes: prepared.lanes), position: batchEnd)
        case .idle, .looking, .retiring: return nil
        }
    }

    private mutating func work(now: Int64, room: Int) -> IndexScript.Work? {
        if now >= nextRenewal {
            nextRenewal = flights.isEmpty ? .max : now + limits.leaseMs / 3
            if !flights.isEmpty { return .renew(Array(flights.keys), untilMs: now + limits.leaseMs) }
        }
        if isCaughtUp {
            let done = states.filter { $0.value == .remove }.keys
            if !done.isEmpty {
                return .remove(
                    Dictionary(uniqueKeysWithValues: done.compactMap { id in flights[id].map { (id, $0.removed) } }),
                    holdUntilMs: now + limits.holdMs)
            }
            if !isDraining, room > 0, lanes.hasDue {
                return .release(
                    lanes.release(now: now, room: room), untilMs: now + limits.leaseMs,
                    expiredMs: now - limits.maxAgeMs, limit: room)
            }
            if !isDraining, room > 0, let due = nextDue, due <= now {
                return .claim(nowMs: now, untilMs: now + limits.leaseMs, limit: room)
            }
        }
        return now >= nextCheck ? .check : nil
    }

    private mutating func run(_ work: IndexScript.Work, position: Int64) -> Action {
        var next = header
        next.position = position
        next.turn += 1
        let script = IndexScript(expected: header, next: next, work: work)
        self.script = script
        return .run(script)
    }

    // MARK: What came of it

    /// An action could not be carried out, or nobody knows whether it was: the index is opened anew, after a while.
    public mutating func failed(now: Int64) {
        guard phase != .stopped, phase != .stop else { return }
        script = nil
        indexing = .idle
        batch = []
        end = .max
        phase = .failed(until: now + limits.retryDelayMs)
    }

    public mutating func confirmed(_ isMember: Bool) {
        guard phase == .confirming else { return }
        phase = isMember ? .begin : .stop
        if !isMember { dropFlights() }
    }

    public mutating func headersRead(_ found: IndexHeaders) {
        guard phase == .readingHeaders else { return }
        if let stored = found.agreed, stored.logID == logID {
            phase = .readFence(found, stored.epoch)
        } else {
            phase = .writeFence(found, isRecreated: false)
        }
    }

    public mutating func fenceRead(_ isFence: Bool) {
        guard case .readingFence(let found) = phase else { return }
        phase = .writeFence(found, isRecreated: !isFence)
    }

    /// The fence was acknowledged at this offset; nil where the broker did not tell it: then another one is written.
    public mutating func fenced(at offset: Int64?, now: Int64) {
        guard case .writingFence(let found, let isRecreated) = phase else { return }
        guard let offset else {
            phase = .writeFence(found, isRecreated: isRecreated)
            return
        }
        let fresh = IndexHeader(logID: logID, position: 0, epoch: offset, turn: 1)
        guard let stored = found.agreed, stored.logID == logID, !isRecreated, stored.position <= offset else {
            phase = .open(IndexOpening(found: found, header: fresh, resets: true))
            return
        }
        // Somebody fenced after us and has opened already.
        guard stored.epoch <= offset else { return failed(now: now) }
        var header = stored
        header.epoch = offset
        header.turn += 1
        phase = .open(IndexOpening(found: found, header: header, resets: false))
    }

    /// - Parameter isDone: false where the keys held something else than was found before.
    public mutating func opened(_ isDone: Bool, now: Int64) {
        guard case .opening(let opening) = phase else { return }
        guard isDone else { return failed(now: now) }
        header = opening.header
        if opening.resets { lanes.forget() }
        end = header.epoch + 1
        nextDue = 0
        nextCheck = now + limits.checkIntervalMs
        nextRenewal = flights.isEmpty ? .max : now
        phase = .seek
    }

    /// Records of `retries` from `position` on, in order, and the offset behind the last one.
    public mutating func took(_ records: [RetryRecord], end: Int64) {
        guard wantsRecords, end > header.position else { return }
        batch = records.filter { $0.offset >= header.position }
        batchEnd = end
        indexing = batch.contains { $0.key.delivery != nil } ? .look : .run(Prepared())
    }

    public mutating func looked(_ known: [DeliveryID: IndexEntry], now: Int64) {
        guard indexing == .looking else { return }
        var result = IndexBatch(
            known: known, flying: flights.mapValues(\.entry.generation), now: now, holdMs: limits.holdMs)
        for record in batch { result.apply(record) }
        let due = lanes.joined(result.joins, now: now)
        let prepared = Prepared(changes: result.changes, lanes: due)
        indexing = result.owed.isEmpty ? .run(prepared) : .retire(prepared, result.owed)
    }

    /// The tombstones of the batch are acknowledged.
    public mutating func retired() {
        guard case .retiring(let prepared) = indexing else { return }
        indexing = .run(prepared)
    }

    public mutating func ran(_ reply: IndexReply, now: Int64) {
        guard phase == .running, let script else { return }
        self.script = nil
        if reply == .mismatch {
            // Not after a delay: every second that the index stands still is one that retries are late.
            failed(now: now - limits.retryDelayMs)
            return
        }
        header = script.next
        nextCheck = now + limits.checkIntervalMs
        switch script.work {
        case .index(let changes, let lanes): indexed(changes, lanes)
        case .claim(_, let until, let limit), .release(_, let until, _, let limit):
            claimed(reply, of: script.work, limit: limit, until: until, now: now)
        case .remove(let entries, let holdUntil):
            for id in entries.keys { drop(id) }
            // Some may have become holds.
            nextDue = min(nextDue ?? .max, holdUntil)
        case .renew, .check: break
        }
    }

    private mutating func indexed(_ changes: [IndexBatch.Change], _ lanes: [LaneDue]) {
        indexing = .idle
        batch = []
        for change in changes where change.entry != nil && change.entry?.place == nil {
            nextDue = min(nextDue ?? .max, change.dueAtMs)
        }
        for lane in lanes { nextDue = min(nextDue ?? .max, lane.dueAtMs) }
    }

    private mutating func claimed(
        _ reply: IndexReply, of work: IndexScript.Work, limit: Int, until: Int64, now: Int64
    ) {
        guard case .claimed(let taken, let lanes, let due) = reply else { return }
        if case .release = work {
            self.lanes.released(taken, at: now)
            self.lanes.emptied(lanes)
            nextDue = due
        } else {
            self.lanes.claimed(lanes)
            nextDue = taken.count + lanes.count >= limit ? 0 : due
        }
        for claimed in taken where flights[claimed.delivery] == nil {
            var flight = Flight(delivery: claimed.delivery, entry: claimed.entry)
            flight.entry.place = nil
            flights[claimed.delivery] = flight
            states[claimed.delivery] = claimed.entry.mark == .hold ? .retire : .fire
            queue.append(claimed.delivery)
        }
        if nextRenewal == .max, !flights.isEmpty { nextRenewal = until - limits.leaseMs * 2 / 3 }
    }

    /// The record with its payload is gone from `retries`: retired meanwhile, or written again. Only the entry is removed, if it
    /// still is the same one: a tombstone would erase what was written again under the same key, and was never fired.
    public mutating func gone(_ id: DeliveryID) {
        guard states[id] == .firing, var flight = flights[id] else { return }
        flight.isGone = true
        flights[id] = flight
        if flight.keys.isEmpty {
            states[id] = .remove
        } else {
            states[id] = .retire
            queue.append(id)
        }
    }

    /// `deliveries` has it.
    public mutating func fired(_ id: DeliveryID) {
        guard states[id] == .firing else { return }
        states[id] = .retire
        queue.append(id)
    }

    public mutating func retiredFlight(_ id: DeliveryID) {
        if states[id] == .retiring { states[id] = .remove }
    }

    /// Claims nothing more: the partition is about to be given back.
    public mutating func drain() { isDraining = true }

    private mutating func drop(_ id: DeliveryID) {
        flights[id] = nil
        states[id] = nil
    }

    private mutating func dropFlights() {
        flights = [:]
        states = [:]
        queue = []
    }
}
