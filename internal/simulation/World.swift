internal import Delivering
internal import Records

/// A promise that was seen broken.
struct Broken {
    var what: String
    var delivery: DeliveryID?
    var atMs: Int64
}

/// One simulated world: Kafka, Redis, endpoints, and instances of the services, which share one clock and one source of chance. Whoever
/// is in it lives until `close`.
final class World {
    let scenario: Scenario
    let mutation: Mutation?
    let timeline = Timeline()
    let kafka: Kafka
    let redis: Redis
    private(set) var ledger: Ledger!
    private(set) var dispatchers: [Process] = []
    private(set) var managers: [Process] = []
    /// As the registry has them.
    private(set) var webhooks: [SimulatedWebhook]
    private var behaviours: [String: Behaviour]
    private var random: Generator
    private var endpointRandom: Generator
    private var userRandom: Generator
    private var requests: UInt64 = 0
    private var ownerships = 0
    private let dispatching: Group
    private let retrying: Group
    private(set) var broken: Broken?
    private let traces: Bool
    private(set) var history: [(atMs: Int64, delivery: DeliveryID?, text: String)] = []

    var figures: Figures { scenario.figures }

    init(_ scenario: Scenario, mutation: Mutation?, traces: Bool) {
        self.scenario = scenario
        self.mutation = mutation
        self.traces = traces
        webhooks = scenario.webhooks
        behaviours = Dictionary(uniqueKeysWithValues: scenario.webhooks.map { ($0.id, $0.behaviour) })
        // Of its own for each part, so that what is left out of one changes the others as little as can be.
        random = Generator(seed: scenario.seed ^ 0x5eed)
        endpointRandom = random.fork()
        userRandom = random.fork()
        let figures = scenario.figures
        kafka = Kafka(timeline, partitions: figures.partitions, random: random.fork())
        redis = Redis(timeline, partitions: figures.partitions, mutation: mutation, random: random.fork())
        dispatching = Group(
            timeline, kafka, topics: [.events, .deliveries], partitions: figures.partitions,
            isStatic: figures.isStatic, random: random.fork())
        retrying = Group(
            timeline, kafka, topics: [.retries], partitions: figures.partitions, isStatic: false,
            random: random.fork())
        ledger = Ledger(self)
        kafka.onAppend = { [ledger] place, offset, record in ledger!.appended(place, offset, record) }
        dispatching.onCommit = { [ledger] place, offset in ledger!.committing(place, offset) }
        timeline.onCountedCrash = { [weak self] host in self?.crash(host) }
        settleIn()
    }

    private func settleIn() {
        dispatchers = (0..<figures.dispatchers).map { [dispatching] number in
            Process("dispatcher-\(number)", dispatching) { [unowned self] in Dispatcher($0, self, dispatching) }
        }
        managers = (0..<figures.managers).map { [retrying] number in
            Process("manager-\(number)", retrying) { [unowned self] in RetryManager($0, self, retrying) }
        }
        for process in dispatchers + managers { process.start(timeline) }
    }

    // MARK: The run

    /// As much as any world may need: what takes more runs in circles.
    private static let maxSteps = 2_000_000

    /// Until everything has come to its end, or a promise is broken.
    func run() {
        for step in scenario.steps {
            timeline.at(step.at) { [unowned self] in
                note(nil, "— \(step.action)")
                perform(step.action)
            }
        }
        timeline.at(scenario.healsAt) { [unowned self] in heal() }
        var isOver = false
        timeline.at(scenario.healsAt) { [unowned self] in watch { isOver = true } }
        while broken == nil, !isOver, timeline.step() {
            if timeline.steps > Self.maxSteps { fail("goes on and on: \(Self.maxSteps) things happened") }
        }
        if broken == nil { ledger.close() }
        close()
    }

    private func watch(_ done: @escaping () -> Void) {
        timeline.after(500) { [unowned self] in
            if ledger.isAtRest(committed: dispatching.committed) { return done() }
            if timeline.now > scenario.healsAt + figures.maxAgeMs + 120_000 {
                ledger.explainUnrest(committed: dispatching.committed)
            }
            watch(done)
        }
    }

    /// What refers to each other in a circle is taken apart.
    private func close() {
        timeline.close()
        kafka.close()
        dispatching.close()
        retrying.close()
        for process in dispatchers + managers { process.end(timeline) }
        dispatchers = []
        managers = []
    }

    func fail(_ what: String, _ delivery: DeliveryID? = nil) {
        guard broken == nil else { return }
        note(delivery, "BROKEN: \(what)")
        broken = Broken(what: what, delivery: delivery, atMs: timeline.now)
    }

    /// What is to be read when something goes wrong.
    /// - Parameter delivery: nil: it concerns all of them.
    func note(_ delivery: DeliveryID?, _ text: @autoclosure () -> String) {
        guard traces else { return }
        history.append((timeline.now, delivery, text()))
    }

    // MARK: Clocks and chance

    /// Milliseconds since 1970, by this computer's clock.
    func wall(_ host: Host) -> Int64 { wallMs + host.clockError }

    /// By a clock that is right.
    var wallMs: Int64 { 1_700_000_000_000 + timeline.now }

    func fraction() -> Double { random.fraction() }

    func nextRequest() -> UInt64 {
        requests += 1
        return requests
    }

    func nextOwnership() -> Int {
        ownerships += 1
        return ownerships
    }

    // MARK: Endpoints

    /// A request leaves: how it will end, and when.
    func request(_ request: UInt64, _ delivery: Delivery, _ host: Host) -> (end: RequestEnd, afterMs: Int64) {
        let behaviour = behaviours[delivery.webhookID] ?? .refuses
        let answer = behaviour.answer(&endpointRandom, timeoutMs: figures.requestTimeoutMs)
        if !dispatching.hasMember(on: host) {
            fail("\(host.name) makes a request, and is no member any more", delivery.id)
        }
        note(delivery.id, "\(host.name) makes request \(request) to \(delivery.webhookID), which is \(behaviour)")
        ledger.requested(request, delivery, host, answer.end)
        return answer
    }

    func ended(_ request: UInt64, _ host: Host, _ delivery: Delivery) { ledger.ended(request) }

    // MARK: Steps

    func perform(_ action: Scenario.Action) {
        switch action {
        case .events(let partition, let type, let count):
            for _ in 0..<count {
                kafka.append(
                    Record(timestamp: wallMs, value: .event(type: type)),
                    to: Place(topic: .events, partition: partition))
            }
        case .gap(let topic, let partition, let count):
            for _ in 0..<count { kafka.append(nil, to: Place(topic: topic, partition: partition)) }
        case .retryNow(let number), .cancel(let number), .resend(let number): command(action, number)
        case .change(let webhook, let change): self.change(webhook, change)
        case .behave(let webhook, let behaviour): behaviours[webhooks[webhook].id] = behaviour
        case .crash(let service, let number, let steps, let amidWork, let back):
            let process = process(service, number)
            process.backAfterMs = back
            timeline.crash(process.host, afterSteps: steps) { [unowned process] in
                !amidWork || process.member?.isBusy == true
            }
        case .freeze(let service, let number, let ms): freeze(process(service, number), ms)
        case .stop(let service, let number, let back): stop(process(service, number), back)
        case .clock(let service, let number, let by, let duration):
            let host = process(service, number).host
            host.clockError = by
            timeline.after(duration) { host.clockError = 0 }
        default: performOutside(action)
        }
    }

    private func performOutside(_ action: Scenario.Action) {
        switch action {
        case .kafkaDown(let ms): kafka.goDown(for: ms)
        case .kafkaSlow(let by, let duration): kafka.slow(by: by, for: duration)
        case .acknowledgementsLost(let percent, let duration):
            kafka.loseAcknowledgements(percent: percent, for: duration)
        case .compaction(let partition, let dirty, let dropsTombstones):
            kafka.compact(Place(topic: .retries, partition: partition), dirty: dirty, dropsTombstones: dropsTombstones)
        case .retention(let partition): retain(partition)
        case .overrun(let partition, let count): overrun(Place(topic: .events, partition: partition), count)
        case .redisWiped:
            redis.wipe()
            ledger.retries.redisForgot()
        case .redisRestarts(let ms, let isEmpty):
            redis.restart(after: ms, isEmpty: isEmpty)
            ledger.retries.redisForgot()
        case .redisLosesKey(let partition, let key): redis.loseKey(partition, key)
        case .redisFull(let ms): redis.fill(for: ms)
        case .redisAnswersLost(let percent, let duration): redis.loseAnswers(percent: percent, for: duration)
        default: preconditionFailure("\(action) is not performed")
        }
    }

    // MARK: Processes

    private func process(_ service: Scenario.Service, _ number: Int) -> Process {
        service == .dispatcher ? dispatchers[number] : managers[number]
    }

    private func crash(_ host: Host) {
        guard let process = (dispatchers + managers).first(where: { $0.host === host }), let member = process.member
        else { return }
        note(nil, "\(host.name) crashes")
        ledger.crashed(member)
        process.end(timeline)
        process.group.lostSight(of: host)
        timeline.after(process.backAfterMs) { [unowned self] in process.start(timeline) }
    }

    private func freeze(_ process: Process, _ ms: Int64) {
        guard process.host.isAlive, !process.host.isFrozen, let member = process.member else { return }
        timeline.freeze(process.host)
        process.group.lostSight(of: process.host)
        if ms >= Group.sessionMs { ledger.mayLose(member) }
        timeline.after(ms) { [unowned self] in thaw(process) }
    }

    private func thaw(_ process: Process) {
        guard process.host.isFrozen, let member = process.member else { return }
        note(nil, "\(process.host.name) goes on")
        timeline.thaw(process.host)
        process.group.awoke(member)
    }

    private func stop(_ process: Process, _ backAfterMs: Int64) {
        guard process.host.isAlive, !process.host.isFrozen, let member = process.member else { return }
        member.stop { [unowned self] in
            guard process.member === member else { return }
            note(nil, "\(process.host.name) has ended")
            ledger.stopped(member)
            process.end(timeline)
            timeline.after(backAfterMs) { [unowned self] in process.start(timeline) }
        }
    }

    /// Everything works again, and every clock is right.
    private func heal() {
        note(nil, "— everything works again")
        kafka.recover()
        redis.recover()
        for process in dispatchers + managers {
            process.host.clockError = 0
            thaw(process)
            process.start(timeline)
        }
        for (id, behaviour) in behaviours where behaviour == .status(410) { behaviours[id] = .well }
        for number in webhooks.indices {
            if !webhooks[number].isEnabled { change(number, .enable) }
            if webhooks[number].isPaused { change(number, .resume) }
        }
    }

    // MARK: Users

    private func command(_ action: Scenario.Action, _ number: Int) {
        guard let known = ledger.seenInRetries(number) else { return }
        let place = Place(topic: .retries, partition: known.partition)
        switch action {
        case .retryNow:
            let key = RetryKey.retryNow(known.fields.id, generation: known.fields.generation)
            kafka.append(Record(timestamp: wallMs, key: key, value: .command), to: place)
        case .cancel:
            kafka.append(Record(timestamp: wallMs, key: .cancel(known.fields.id), value: .command), to: place)
        default:
            let fields = DeliveryFields(
                id: DeliveryID(random: userRandom.next(), userRandom.next()), webhook: known.fields.webhook,
                generation: 0, attempt: 0, originOffset: known.fields.originOffset,
                originTimestamp: known.fields.originTimestamp, since: wallMs)
            kafka.append(
                Record(timestamp: wallMs, value: .delivery(fields)),
                to: Place(topic: .deliveries, partition: known.partition))
        }
    }

    /// An endpoint is gone: the registry switches its webhook off, unless it was changed meanwhile.
    func disable(_ id: String, version: Int) {
        timeline.after(random.within(5...100)) { [unowned self] in
            guard let number = webhooks.firstIndex(where: { $0.id == id }), webhooks[number].version == version else {
                return
            }
            change(number, .disable)
        }
    }

    private func change(_ number: Int, _ change: Scenario.Change) {
        webhooks[number].version += 1
        switch change {
        case .disable: webhooks[number].isEnabled = false
        case .enable: webhooks[number].isEnabled = true
        case .delete: webhooks[number].exists = false
        case .pause: webhooks[number].isPaused = true
        case .resume: webhooks[number].isPaused = false
        case .takes(let type): webhooks[number].types.insert(type)
        case .takesNot(let type): webhooks[number].types.remove(type)
        }
        let webhook = webhooks[number]
        note(nil, "\(webhook.id) is changed: \(change)")
        for process in dispatchers {
            timeline.after(random.within(2...60), process.host) {
                (process.member as? Dispatcher)?.learn(number, webhook)
            }
        }
    }

    // MARK: Retention

    private func retain(_ partition: Int) {
        let sources = [Topic.events, .deliveries].map { Place(topic: $0, partition: partition) }
        for place in sources { kafka.truncate(place, to: dispatching.committed[place]?.offset ?? 0) }
        let attempts = Place(topic: .attempts, partition: partition)
        // Outcomes are kept as long as the records that they are about.
        let oldest = sources.compactMap { kafka[$0].first?.appendedAt }.min() ?? timeline.now
        let kept = kafka[attempts].firstOffset(where: { $0.appendedAt >= oldest })
        kafka.truncate(attempts, to: kept)
    }

    private func overrun(_ place: Place, _ count: Int) {
        kafka.truncate(place, to: (dispatching.committed[place]?.offset ?? 0) + Int64(count))
        ledger.overrun(place, below: kafka[place].start)
    }
}
