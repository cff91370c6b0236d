internal import Accounting
internal import Delivering
internal import Records
internal import Scheduling

/// Watches one world from above, where everything can be seen at once, and says which promise is broken. It shares nothing with what it
/// watches: it counts for itself what came into the logs, what the endpoints saw, and what was committed.
final class Ledger {
    unowned let world: World
    /// By partition of `events` and `deliveries`.
    var sources: [Place: SourceAccount] = [:]
    /// What the system's own ledger makes of the same outcomes.
    private var books: [Place: SourceLedger] = [:]
    var requests = RequestAccount()
    var retries: RetryAccount
    /// Every delivery that a log has ever named: whether it has come to an end.
    private(set) var isEnded: [DeliveryID: Bool] = [:]
    private var open = 0
    private(set) var figures = Counts()
    private let steady: [SimulatedWebhook]
    private let healthy: Set<String>

    /// What happened altogether.
    struct Counts {
        var events = 0
        var deliveries = 0
        var requests = 0
        var repeatedRequests = 0
        var fired = 0
        var firedAgain = 0
        var dead = 0
        var lostEvents = 0
        var worstHealthyMs: Int64 = 0
    }

    init(_ world: World) {
        self.world = world
        let scenario = world.scenario
        retries = RetryAccount(batch: scenario.figures.batch)
        steady = scenario.steady.map { scenario.webhooks[$0] }
        healthy = scenario.isCalm ? Set(scenario.healthy.map { scenario.webhooks[$0].id }) : []
        for partition in 0..<scenario.figures.partitions {
            for topic in [Topic.events, .deliveries] {
                sources[Place(topic: topic, partition: partition)] = SourceAccount()
                books[Place(topic: topic, partition: partition)] = SourceLedger(base: 0)
            }
        }
    }

    // MARK: What comes into the logs

    func appended(_ place: Place, _ offset: Int64, _ record: Record?) {
        switch record?.value {
        case nil: sources[place]!.gap()
        case .event(let type):
            figures.events += 1
            world.note(nil, "\(place)@\(offset): an event of type \(type)")
            sources[place]!.record(owedTo: steady.filter { $0.types.contains(type) }.map(\.id), at: world.timeline.now)
        case .delivery(let fields):
            heardOf(fields.id)
            sources[place]!.record(owedTo: [fields.webhook], at: world.timeline.now)
            world.note(fields.id, "\(place)@\(offset): generation \(fields.generation)")
            if let origin = record?.firedFrom {
                figures.fired += 1
                if retries.fired(place.partition, origin) { firedAgain(fields.id) }
            }
        case .outcome(let outcome): reported(outcome, place, offset)
        case .waiting(let fields, let due, let lane):
            heardOf(fields.id)
            // What waits in a lane may be let go with one that is due sooner.
            retries.waits(record!.key!, place.partition, offset, fields, lane == nil ? due : 0)
            world.note(fields.id, "\(place)@\(offset): waits as generation \(fields.generation)")
        case .command:
            retries.commanded(record!.key!)
            world.note(record?.key?.subject, "\(place)@\(offset): \(record!.key!)")
        case .fence: world.note(nil, "\(place)@\(offset): fence")
        case .tombstone:
            let key = record!.key!
            world.note(key.subject, "\(place)@\(offset): tombstone of \(key)")
            if !retries.retired(key) { world.fail("\(key) is retired, and was not handed on", key.subject) }
        case .dead(let fields):
            retries.died(fields.id)
            world.note(fields.id, "\(place)@\(offset): dead")
        }
    }

    private func heardOf(_ id: DeliveryID) {
        guard isEnded[id] == nil else { return }
        isEnded[id] = false
        open += 1
        figures.deliveries += 1
    }

    /// An outcome is proof that nothing more is owed: what it names is there before it.
    private func reported(_ outcome: Outcome, _ place: Place, _ offset: Int64) {
        let source = Place(
            topic: outcome.sourceTopic == Topic.events.name ? .events : .deliveries,
            partition: Int(outcome.sourcePartition))
        books[source]!.learn(outcome)
        if outcome.kind == .covered {
            for span in outcome.spans { sources[source]!.covered(span) }
            return world.note(
                nil, "\(place)@\(offset): \(source) \(outcome.spans.map { "\($0.first)–\($0.last)" }) covered")
        }
        guard let id = outcome.delivery else { return world.fail("an outcome without a delivery") }
        world.note(id, "\(place)@\(offset): \(source)@\(outcome.sourceOffset) \(outcome.kind) \(outcome.reason)")
        heardOf(id)
        let isFirst = sources[source]!.settled(outcome.sourceOffset, outcome.webhookID, Int(outcome.fanOut))
        requests.landed(outcome, in: source, at: offset)
        switch outcome.kind {
        case .failed, .parked:
            if !retries.hasSeen(.delivery(id, generation: outcome.generation)) {
                world.fail("its outcome says that it waits, and it is not in retries", id)
            }
        case .dead:
            figures.dead += isFirst ? 1 : 0
            if !retries.dead.contains(id) { world.fail("its outcome says dead, and it is not in dead-letters", id) }
        case .delivered:
            if !requests.taken.contains(id) { world.fail("its outcome says delivered, and no endpoint took it", id) }
            checkHealthy(outcome, source)
        case .cancelled, .covered, .unspecified: break
        }
        if outcome.kind.isFinal, isEnded[id] == false {
            isEnded[id] = true
            open -= 1
        }
    }

    /// I4: one bad endpoint is nobody else's problem.
    private func checkHealthy(_ outcome: Outcome, _ source: Place) {
        guard healthy.contains(outcome.webhookID), source.topic == .events else { return }
        let took = world.timeline.now - sources[source]!.records[Int(outcome.sourceOffset)].appendedAt
        figures.worstHealthyMs = max(figures.worstHealthyMs, took)
        if took > Self.maxHealthyMs {
            world.fail("a healthy endpoint's delivery took \(took) ms, beside others that are not", outcome.delivery)
        }
    }

    /// From the event's record to the outcome's, in a world where nothing but endpoints goes wrong. A request takes 120 ms at most.
    private static let maxHealthyMs: Int64 = 400

    // MARK: Commits

    /// What lies below a commit is accounted for, or will never be.
    func committing(_ place: Place, _ offset: Int64) {
        // Of `retries` no offsets are accounted for.
        guard sources[place] != nil else { return }
        if let open = sources[place]!.commit(offset) {
            return world.fail("\(place) is committed at \(offset), and \(open) is not settled")
        }
        let gaps = books[place]!.gaps(below: offset).filter { !sources[place]!.isLost($0.span) }
        if let gap = gaps.first {
            world.fail("the ledger finds \(place)@\(gap.span.first) open, below a commit that owes nothing")
        }
    }

    func overrun(_ place: Place, below offset: Int64) { sources[place]!.lostBelow(offset) }

    // MARK: Requests

    func requested(_ number: UInt64, _ delivery: Delivery, _ host: Host, _ end: RequestEnd) {
        figures.requests += 1
        let request = RequestAccount.Request(
            delivery: delivery.id,
            source: .init(place: delivery.partition.place, offset: delivery.offset, webhook: delivery.webhookID),
            owner: delivery.partition.number, host: ObjectIdentifier(host))
        if case .answered(200...299, _) = end { requests.taken.insert(delivery.id) }
        do throws(RequestAccount.Violation) {
            let isRepeated = try requests.began(
                number, request, knownBelow: delivery.partition.attemptsEnd, at: world.timeline.now,
                bound: world.figures.maxOpen, ageMs: Figures.maxUnacknowledgedMs,
                limit: delivery.webhook?.limit ?? .max)
            if isRepeated { repeated(delivery.id) }
        } catch {
            world.fail("\(host.name): \(error.what)", delivery.id)
        }
    }

    /// I2: no more is repeated than what happened has exposed to that.
    private func repeated(_ id: DeliveryID) {
        figures.repeatedRequests += 1
        world.note(id, "that repeats a request")
        if figures.repeatedRequests > requests.exposed {
            world.fail("\(figures.repeatedRequests) requests repeated, \(requests.exposed) were exposed to that", id)
        }
    }

    private func firedAgain(_ id: DeliveryID) {
        figures.firedAgain += 1
        world.note(id, "that fires it again")
        let exposed = retries.exposed + world.kafka.untoldDeliveries
        if figures.firedAgain > exposed {
            world.fail("\(figures.firedAgain) fired again, \(exposed) were exposed to that", id)
        }
    }

    func ended(_ number: UInt64) { requests.ended(number, at: world.timeline.now) }

    func abandoned(_ number: UInt64) { requests.abandoned(number) }

    // MARK: What may cause repeats

    func crashed(_ member: any Member) {
        requests.crashed(ObjectIdentifier(member.host), exposing: world.figures.maxOpen)
        if let manager = member as? RetryManager { leave(manager) }
    }

    func stopped(_ member: any Member) {
        requests.forget(ObjectIdentifier(member.host))
        if let manager = member as? RetryManager { leave(manager) }
    }

    private func leave(_ manager: RetryManager) {
        for partition in manager.partitions.values { closed(partition) }
    }

    /// It gets no time for so long that others may take over meanwhile.
    func mayLose(_ member: any Member) {
        if member is Dispatcher { requests.exposed += world.figures.maxOpen }
    }

    /// A partition is given back though something of it has not come to its end.
    func gaveUp(_ worker: Worker, _ partition: OwnedPartition) { requests.exposed += world.figures.maxOpen }

    func closed(_ partition: RetryPartition) {
        retries.left(partition.ownership, partition.number, inFlight: partition.owner.inFlight)
    }

    func opened(_ partition: RetryPartition) { retries.took(partition.ownership, partition.number) }

    func claims(_ partition: RetryPartition, _ host: Host) {
        guard !retries.holds(partition.ownership, partition.number) else { return }
        world.fail("\(host.name) claims from the index of retries-\(partition.number), which is another's")
    }

    func firing(_ flight: IndexOwner.Flight, _ partition: RetryPartition, _ host: Host) {
        let due = retries.due(partition.number, flight.entry.offset)
        if flight.entry.mark == .none, host.clockError == 0, let due, world.wall(host) < due,
            !world.scenario.hasWrongClocks
        {
            world.fail("fired \(due - world.wall(host)) ms before it is due", flight.delivery)
        }
    }

    // MARK: Overruns

    /// A dispatcher says that events are gone that it never read.
    func lost(_ place: Place, below offset: Int64) {
        if offset > world.kafka[place].start {
            return world.fail("\(place)@\(offset) is said to be lost, and is there")
        }
        world.note(nil, "\(place): what lay below \(offset) is gone")
    }

    // MARK: Rest

    func seenInRetries(_ number: Int) -> (partition: Int, fields: DeliveryFields)? { retries.seen(number) }

    func isAtRest(committed: [Place: (offset: Int64, metadata: String)]) -> Bool {
        open == 0 && retries.living.isEmpty
            && sources.allSatisfy { place, source in
                (committed[place]?.offset ?? 0) >= source.end && source.firstOpen == nil
            }
    }

    /// What has not come to its end, though nothing has been in its way for long.
    func explainUnrest(committed: [Place: (offset: Int64, metadata: String)]) {
        if let id = isEnded.filter({ !$0.value }).keys.min(by: { "\($0)" < "\($1)" }) {
            return world.fail("neither delivered nor dead nor cancelled, and nothing goes on", id)
        }
        for (place, source) in sources.sorted(by: { $0.key < $1.key }) {
            if let open = source.firstOpen { return world.fail("\(place)@\(open) is never settled") }
            let offset = committed[place]?.offset ?? 0
            if offset < source.end { return world.fail("\(place) is never committed beyond \(offset)") }
        }
        let key = retries.living.min { "\($0)" < "\($1)" }
        world.fail("\(key.map { "\($0)" } ?? "something") stays in retries for ever", key?.subject)
    }

    /// At the end: the history has at least what the endpoints saw (I5).
    func close() {
        figures.lostEvents = sources.values.reduce(0) { $0 + $1.lost }
        if requests.silent > requests.exposed {
            world.fail("\(requests.silent) requests are in no history, \(requests.exposed) were exposed to that")
        }
    }
}

extension RetryKey {
    /// The delivery that it is about.
    var subject: DeliveryID? {
        switch self {
        case .delivery(let id, _), .retryNow(let id, _), .cancel(let id): id
        case .fence: nil
        }
    }
}
