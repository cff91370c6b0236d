import Records
import TestSupport

@testable import Scheduling

/// What an owner asked Redis or Kafka to do.
struct Operation {
    enum Kind {
        case readHeaders
        case readFence(Int64)
        case writeFence
        case open(IndexOpening)
        case look([DeliveryID])
        case run(IndexScript)
        case retire([RetryKey])
        /// With the payload at hand, or to be read.
        case fire(IndexOwner.Flight, isRead: Bool)
        case retireFlight(DeliveryID, [RetryKey])
        case confirm
    }

    enum Answer {
        case headers(IndexHeaders)
        case fence(Bool)
        case fenced(Int64)
        case opened(Bool)
        case looked([DeliveryID: IndexEntry])
        case ran(IndexReply)
        case retired
        case fired(DeliveryID)
        case gone(DeliveryID)
        case retiredFlight(DeliveryID)
        case confirmed(Bool)
    }

    var kind: Kind
    var owner: Int
    /// Counts the owner's failures: answers from before one are not heard, but for those about flights.
    var era: Int
    /// Nobody waits for the answer.
    var isSilent: Bool
    var answer: Answer?
    /// Tombstones that are in the log.
    private var written = 0

    init(kind: Kind, owner: Int, era: Int, isSilent: Bool) {
        self.kind = kind
        self.owner = owner
        self.era = era
        self.isSilent = isSilent
    }

    var isOfFlight: Bool {
        switch kind {
        case .fire, .retireFlight: true
        default: false
        }
    }

    /// One step: nothing comes of it before the last one.
    mutating func execute(_ world: inout World) throws -> Bool {
        switch kind {
        case .readHeaders: answer = .headers(world.index.headers)
        case .readFence(let offset):
            let record = offset >= 0 && offset < world.log.count ? world.log[Int(offset)] : nil
            answer = .fence(record?.key == .fence || world.mutation == .notCaughtUp)
        case .writeFence:
            let offset = world.append(.fence, .command)
            world.fences[offset] = owner
            answer = .fenced(offset)
        case .open(let opening):
            let isDone = world.index.open(opening)
            if isDone { world.holds(owner) }
            if isDone { world.trace(nil, "\(owner) opens \(opening.header.text) \(opening.resets)") }
            answer = .opened(isDone)
        case .look(let ids): answer = .looked(world.index.look(ids))
        case .run(let script):
            let reply = world.index.run(script)
            world.trace(nil, "\(owner) \(script.expected.text) \(script.work) \(reply)")
            answer = .ran(reply)
        case .retire(let keys):
            guard retire(keys, &world) else { return false }
            answer = .retired
        case .fire(let flight, let isRead):
            guard isRead || world.log[Int(flight.entry.offset)] != nil else {
                answer = .gone(flight.delivery)
                return true
            }
            try world.fire(flight)
            answer = .fired(flight.delivery)
        case .retireFlight(let id, let keys):
            guard retire(keys, &world) else { return false }
            answer = .retiredFlight(id)
        case .confirm: answer = .confirmed(owner == world.member || world.mutation == .confirmIgnored)
        }
        return true
    }

    /// One tombstone at a time; true with the last one.
    private mutating func retire(_ keys: [RetryKey], _ world: inout World) -> Bool {
        world.append(keys[written], .tombstone)
        written = (written + 1) % keys.count
        return written == 0
    }
}

/// One retry-manager that has, or thinks it has, the partition. Its requests reach Redis and Kafka, and their answers reach it, in
/// steps of their own.
final class Owner {
    let number: Int
    private(set) var core: IndexOwner
    private var pending: [Operation] = []
    private var answers: [Operation] = []
    private var era = 0
    private var flying: Set<DeliveryID> = []
    private var opensReplaced = 0
    /// How quickly it takes records, in a hundred steps.
    private let reading: Int

    init(_ world: inout World) {
        number = world.member + 1
        reading = 1 + world.random.below(25)
        core = IndexOwner(logID: "log", limits: world.limits)
        world.exposure[number] = world.batch
        world.living.insert(number)
        world.member = number
    }

    var isIdle: Bool { pending.isEmpty && answers.isEmpty }

    /// It is no more: what it asked for may be done yet.
    func crash(_ world: inout World) {
        // One that stopped has forgotten what it fired.
        if !core.isStopped { world.exposure[number] = core.inFlight }
        world.living.remove(number)
        for operation in pending where world.random.chance(50) { world.orphans.append(operation) }
    }

    func drain() { core.drain() }

    // MARK: Steps

    @discardableResult
    func step(_ world: inout World, faulty: Bool) throws -> Bool {
        switch world.random.below(100) {
        case ..<25: return issue(&world)
        case ..<(25 + reading): return take(&world) || issue(&world)
        case ..<70: return try execute(&world) || issue(&world)
        default: return hear(&world, faulty: faulty) || issue(&world)
        }
    }

    func issue(_ world: inout World) -> Bool {
        guard let action = core.next(now: world.now, room: world.batch - core.inFlight) else { return false }
        switch action {
        case .readHeaders: ask(.readHeaders)
        case .readFence(let offset): ask(.readFence(offset))
        case .writeFence: ask(.writeFence)
        case .open(let opening): ask(.open(opening))
        case .seek: break
        case .look(let ids): ask(.look(ids))
        case .run(let script): ask(.run(script))
        case .retire(let keys):
            ask(.retire(keys), silently: world.mutation == .owedEarly)
            if world.mutation == .owedEarly { core.retired() }
        case .fire(let flight):
            let isRead = world.log[Int(flight.entry.offset)] != nil && world.random.chance(50)
            ask(.fire(flight, isRead: isRead), silently: world.mutation == .tombstoneFirst)
            if world.mutation == .tombstoneFirst { core.fired(flight.delivery) }
            if world.mutation == .cancelEndsEarly, flight.entry.mark == .cancel {
                ask(.retire([.cancel(flight.delivery)]), silently: true)
            }
        case .retireFlight(let id, let keys):
            ask(.retireFlight(id, keys), silently: world.mutation == .flightTombstonesEarly)
            if world.mutation == .flightTombstonesEarly { core.retiredFlight(id) }
        case .confirm: ask(.confirm)
        case .stop: break
        }
        return true
    }

    private func ask(_ kind: Operation.Kind, silently isSilent: Bool = false) {
        pending.append(Operation(kind: kind, owner: number, era: era, isSilent: isSilent))
    }

    func take(_ world: inout World) -> Bool {
        guard core.wantsRecords, core.position < world.log.count else { return false }
        let (records, end) = world.read(from: core.position, limit: 1 + world.random.below(4))
        core.took(records, end: end)
        return true
    }

    func execute(_ world: inout World) throws -> Bool {
        guard !pending.isEmpty else { return false }
        let place = world.random.below(pending.count)
        guard try pending[place].execute(&world) else { return true }
        let operation = pending.remove(at: place)
        if !operation.isSilent { answers.append(operation) }
        return true
    }

    func hear(_ world: inout World, faulty: Bool) -> Bool {
        guard !answers.isEmpty else { return false }
        let operation = answers.remove(at: world.random.below(answers.count))
        if faulty, world.faults.lostAnswer, world.random.chance(4) {
            lose(operation, &world)
        } else if let answer = operation.answer, operation.isOfFlight || operation.era == era {
            hear(answer, operation, &world)
        }
        return true
    }

    /// Kafka's writes of flights are written again; after everything else the index is opened again.
    private func lose(_ operation: Operation, _ world: inout World) {
        if operation.isOfFlight {
            if case .fired = operation.answer { world.allowedExtra += 1 }
            pending.append(operation)
        } else if operation.era == era {
            fail(&world)
        }
    }

    private func fail(_ world: inout World) {
        core.failed(now: world.now)
        era += 1
        for operation in pending where !operation.isOfFlight && world.random.chance(50) {
            world.orphans.append(operation)
        }
        pending.removeAll { !$0.isOfFlight }
    }

    private func hear(_ answer: Operation.Answer, _ operation: Operation, _ world: inout World) {
        switch answer {
        case .headers(let found): core.headersRead(found)
        case .fence(let isFence): core.fenceRead(isFence)
        case .fenced(let offset):
            let isFake = world.mutation == .notCaughtUp && offset > core.epoch + 2
            core.fenced(
                at: isFake ? offset - 1 - Int64(world.random.below(Int(offset - core.epoch - 1))) : offset,
                now: world.now)
        case .opened(let isDone):
            // It may have been replaced while it asked, but is told so before it tries again.
            if isDone, number != world.member { opensReplaced += 1 }
            if opensReplaced > 1 { world.tookBack = number }
            core.opened(isDone, now: world.now)
        case .looked(let known): core.looked(known, now: world.now)
        case .ran(let reply):
            if world.mutation == .guardIgnored { fireAgain(reply) }
            let before = core.isRunning
            core.ran(reply, now: world.now)
            if core.inFlight > world.batch { world.overfull = number }
            if before, !core.isRunning { era += 1 }
        case .retired: core.retired()
        case .fired(let id): core.fired(id)
        case .gone(let id): if world.mutation == .goneIsFired { core.fired(id) } else { core.gone(id) }
        case .retiredFlight(let id): core.retiredFlight(id)
        case .confirmed(let isMember): core.confirmed(isMember)
        }
    }

    /// As if nobody remembered what is in flight.
    private func fireAgain(_ reply: IndexReply) {
        guard case .claimed(let claimed, _, _) = reply else { return }
        for claimed in claimed {
            if !flying.insert(claimed.delivery).inserted, claimed.entry.mark != .hold {
                ask(.fire(.init(delivery: claimed.delivery, entry: claimed.entry), isRead: true), silently: true)
            }
        }
    }
}
