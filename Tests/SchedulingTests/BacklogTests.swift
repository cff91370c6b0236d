import Records
import Scheduling
import TestSupport
import Testing

/// A backlog of one webhook drains through the real protocol, in virtual time, at an endpoint that takes now more, now less.
@Suite struct BacklogTests {
    @Test func aMillionParkedDeliveriesDrainOldestFirst() throws {
        let count = 1_000_000
        let started = ContinuousClock.now
        var backlog = Backlog(count: count, inLane: true) { second in
            switch second {
            case ..<300: 1_000
            case ..<600: 300
            case ..<720: 0
            default: 2_000
            }
        }
        try backlog.run()
        let seconds = (ContinuousClock.now - started).components.seconds
        backlog.printFigures("backlog of \(count) parked deliveries", "\(seconds) s to simulate")
        #expect(backlog.served == count)
        #expect(backlog.returned * 10 <= backlog.fired)
        #expect(backlog.mostInFlight <= Backlog.batch)
        // A round of the fastest time; of a million, they come in order.
        #expect(backlog.worstDisorder <= 40_000)
        // What an endpoint takes is found out by trying: it is not idle for long.
        #expect(backlog.served * 2 >= backlog.couldServe)
    }

    /// What the lanes are for: due each by itself, most of what is fired comes back.
    @Test func withoutLanesMostComesBack() throws {
        var backlog = Backlog(count: 3_000, inLane: false) { _ in 200 }
        try backlog.run()
        backlog.printFigures("3000 due each by itself", "no lanes")
        var lanes = Backlog(count: 3_000, inLane: true) { _ in 200 }
        try lanes.run()
        lanes.printFigures("the same 3000 in a lane", "lanes")
        #expect(backlog.returned * 2 > backlog.fired)
        #expect(lanes.returned * 10 <= lanes.fired)
    }

    /// What has waited too long does not wait for its turn: it is to be closed.
    @Test func whatIsTooOldIsLetGoAtOnce() throws {
        var backlog = Backlog(count: 5_000, inLane: true, maxAgeMs: 60_000) { second in second < 50 ? 0 : 100_000 }
        try backlog.run()
        backlog.printFigures("5000 that grow too old", "closed within \(backlog.now / 1_000) s")
        #expect(backlog.served == 5_000)
        #expect(backlog.now < 90_000)
    }
}

/// One partition with one owner, and one endpoint behind a dispatcher's short queue.
private struct Backlog {
    static let batch = 256
    private static let tickMs: Int64 = 10
    /// Of the short queue.
    private static let waitMs: Int64 = 1_000
    private static let waiting = 500

    private struct Request {
        var number: Int
        var generation: UInt32
        var since: Int64
    }

    private let count: Int
    private let inLane: Bool
    private let maxAgeMs: Int64
    private let lane = LaneID(webhook: "wh_1")
    /// What the endpoint takes in a second, by the second.
    private let rate: (Int64) -> Int
    private var owner: IndexOwner
    private var index = ModelIndex(remembers: false)
    /// Records behind the first `count`, as far as the owner has not read them.
    private var tail: [RetryRecord] = []
    private var tailStart: Int64
    private var queue: [Request] = []
    private var head = 0
    private var credit = 0
    private(set) var now: Int64 = 0
    private(set) var fired = 0
    private(set) var returned = 0
    private(set) var served = 0
    private(set) var couldServe = 0
    private(set) var mostInFlight = 0
    /// By how many places a delivery came before or after its turn, at most.
    private(set) var worstDisorder = 0
    private var disorder = 0

    init(count: Int, inLane: Bool, maxAgeMs: Int64 = 1 << 40, rate: @escaping (Int64) -> Int) {
        self.count = count
        self.inLane = inLane
        self.rate = rate
        self.maxAgeMs = maxAgeMs
        tailStart = Int64(count)
        var limits = IndexOwner.Limits(leaseMs: 30_000, holdMs: 1 << 40)
        limits.maxAgeMs = maxAgeMs
        owner = IndexOwner(logID: "log", limits: limits)
    }

    private func since(_ number: Int) -> Int64 { Int64(number / 50) }

    private func id(_ number: Int) -> DeliveryID { DeliveryID(random: 7, UInt64(number)) }

    private func waits(_ number: Int, _ generation: UInt32, at offset: Int64, due: Int64) -> RetryRecord {
        RetryRecord(
            offset: offset, timestampMs: now, key: .delivery(id(number), generation: generation),
            content: .waiting(
                dueAtMs: due, place: inLane ? LanePlace(lane: lane, sinceMs: since(number)) : nil))
    }

    mutating func printFigures(_ name: String, _ note: String) {
        print(
            "\(name): \(served) delivered in \(now / 1_000) s, \(served * 100 / max(1, couldServe)) % of what the endpoint could take, "
                + "\(fired) fired, \(returned) came back (\(Double(returned * 1_000 / fired) / 10) %), "
                + "\(disorder / max(1, served)) places from their turn on average, \(worstDisorder) at most, \(note)")
    }

    mutating func run() throws {
        while served < count {
            guard now < 20_000_000 else { throw Broken("\(count - served) of \(count) are still there") }
            try manage()
            endpoint()
            now += Self.tickMs
        }
    }

    // MARK: The retry-manager

    private mutating func manage() throws {
        var isBusy = true
        while isBusy {
            isBusy = false
            while let action = owner.next(now: now, room: Self.batch - owner.inFlight) {
                try perform(action)
                mostInFlight = max(mostInFlight, owner.inFlight)
                isBusy = true
            }
            if owner.wantsRecords, owner.position < tailStart + Int64(tail.count) {
                read()
                isBusy = true
            }
        }
    }

    private mutating func read() {
        let position = owner.position
        if position < Int64(count) {
            let end = min(Int64(count), position + Int64(Self.batch))
            owner.took((position..<end).map { waits(Int($0), 1, at: $0, due: 0) }, end: end)
        } else {
            tail.removeFirst(Int(position - tailStart))
            tailStart = position
            let records = Array(tail.prefix(Self.batch))
            owner.took(records, end: position + Int64(records.count))
        }
    }

    private mutating func append(_ record: (Int64) -> RetryRecord) -> Int64 {
        let offset = tailStart + Int64(tail.count)
        tail.append(record(offset))
        return offset
    }

    private mutating func append(_ key: RetryKey, _ content: RetryRecord.Content) -> Int64 {
        let now = now
        return append { RetryRecord(offset: $0, timestampMs: now, key: key, content: content) }
    }

    private mutating func perform(_ action: IndexOwner.Action) throws {
        switch action {
        case .readHeaders: owner.headersRead(index.headers)
        case .writeFence: owner.fenced(at: append(.fence, .command), now: now)
        case .open(let opening): owner.opened(index.open(opening), now: now)
        case .seek: break
        case .look(let ids): owner.looked(index.look(ids), now: now)
        case .run(let script): owner.ran(index.run(script), now: now)
        case .retire(let keys):
            for key in keys { _ = append(key, .tombstone) }
            owner.retired()
        case .fire(let flight):
            fired += 1
            arrive(flight)
            owner.fired(flight.delivery)
        case .retireFlight(let id, let keys):
            for key in keys { _ = append(key, .tombstone) }
            owner.retiredFlight(id)
        case .readFence, .confirm, .stop: throw Broken("unexpected: \(action)")
        }
    }

    // MARK: The dispatcher and its endpoint

    private var queued: Int { queue.count - head }

    private mutating func arrive(_ flight: IndexOwner.Flight) {
        let number = Int(flight.delivery.bytes[8...].reduce(0) { $0 << 8 | UInt64($1) })
        let request = Request(number: number, generation: flight.entry.generation, since: now)
        if now - since(number) > maxAgeMs {
            serve(request)
        } else if queued < Self.waiting {
            queue.append(request)
        } else {
            park(request)
        }
    }

    private mutating func endpoint() {
        let perSecond = rate(now / 1_000)
        // What it could take is what it takes while something is left.
        couldServe += min(perSecond * Int(Self.tickMs) / 1_000, count - served)
        credit = min(credit + perSecond * Int(Self.tickMs), max(1_000, perSecond * Int(Self.tickMs)))
        while credit >= 1_000, queued > 0 {
            credit -= 1_000
            serve(queue[head])
            head += 1
        }
        while queued > 0, queue[head].since + Self.waitMs <= now {
            park(queue[head])
            head += 1
        }
        if head * 2 > queue.count {
            queue.removeFirst(head)
            head = 0
        }
    }

    private mutating func serve(_ request: Request) {
        let places = abs(served - request.number)
        disorder += places
        worstDisorder = max(worstDisorder, places)
        served += 1
    }

    /// It waits longer each time, as the dispatcher's do.
    private mutating func park(_ request: Request) {
        returned += 1
        let delay = min(60_000, 1_000 << Int64(min(6, request.generation - 1))) as Int64
        let due = now + delay
        let (number, generation) = (request.number, request.generation + 1)
        let record = waits(number, generation, at: 0, due: due)
        _ = append(record.key, record.content)
    }
}
