internal import Delivering
internal import Records
internal import Settling

/// The webhook-dispatcher's loops with the real decisions in them: what its `Coordinator` does. One object for each incarnation of
/// its process.
///
/// ```
/// assign ─► committed offsets ─► bounds of the logs ─► attempts since the notes ─► (first commit) ─► worker
/// revoke ─► the worker lets go ─► last commit ─► joined again
/// ```
final class Dispatcher: Member {
    let host: Host
    let world: World
    let group: Group
    private(set) var worker: Worker!
    private var epoch = 0
    private var owned: Set<Place> = []
    private var stopGraceMs: Int64?
    /// As this process has heard of them.
    private(set) var webhooks: [SimulatedWebhook]
    private var gates: [String: Gate] = [:]

    init(_ host: Host, _ world: World, _ group: Group) {
        self.host = host
        self.world = world
        self.group = group
        webhooks = world.webhooks
        worker = Worker(self, world)
    }

    var timeline: Timeline { world.timeline }
    var isBusy: Bool { worker.open > 0 }
    var kafka: Kafka { world.kafka }

    func begin() {
        group.join(self)
        worker.heartbeat()
    }

    // MARK: Webhooks

    /// A change has come; none that is older than what is known.
    func learn(_ number: Int, _ webhook: SimulatedWebhook) {
        let known = webhooks[number]
        guard known.version < webhook.version else { return }
        webhooks[number] = webhook
        gates[webhook.id]?.follow(webhook, resets: known.isEnabled != webhook.isEnabled)
    }

    func gate(_ id: String) -> Gate {
        if let gate = gates[id] { return gate }
        guard let webhook = webhooks.first(where: { $0.id == id }) else { preconditionFailure("\(id) is no webhook") }
        let gate = Gate(webhook, world)
        gates[id] = gate
        return gate
    }

    // MARK: Taking over

    private struct Takeover {
        var epoch: Int
        var places: [Place]
        var resumes: [Place: Resume] = [:]
    }

    func assigned(_ places: [Place]) {
        epoch += 1
        owned = Set(places)
        world.note(nil, "\(host.name) is assigned \(places)")
        readCommitted(Takeover(epoch: epoch, places: places))
    }

    private func again(_ takeover: Takeover, _ step: @escaping (Takeover) -> Void) {
        timeline.after(Figures.retryMs, host) { [weak self] in
            if self?.epoch == takeover.epoch { step(takeover) }
        }
    }

    private func readCommitted(_ takeover: Takeover) {
        kafka.call(host) { [group] in
            group.committed
        } _: { [self] committed in
            guard takeover.epoch == epoch else { return }
            guard let committed else { return again(takeover) { [self] in readCommitted($0) } }
            readBounds(takeover, committed)
        }
    }

    private func attempts(_ place: Place) -> Place { Place(topic: .attempts, partition: place.partition) }

    private func readBounds(_ takeover: Takeover, _ committed: [Place: (offset: Int64, metadata: String)]) {
        let (kafka, places) = (kafka, takeover.places)
        kafka.call(host) { [self] in
            Dictionary(uniqueKeysWithValues: (places + Set(places.map(attempts))).map { ($0, Self.extent(kafka[$0])) })
        } _: { [self] bounds in
            guard takeover.epoch == epoch else { return }
            guard let bounds else { return again(takeover) { [self] in readBounds($0, committed) } }
            var next = takeover
            for place in places {
                let resume = Resume(
                    committed: committed[place], source: bounds[place]!, attempts: bounds[attempts(place)]!)
                if resume.lost > 0 { world.ledger.lost(place, below: resume.offset) }
                next.resumes[place] = resume
            }
            readAttempts(next)
        }
    }

    private static func extent(_ log: Log) -> Resume.Extent { .init(start: log.start, end: log.end) }

    private func readAttempts(_ takeover: Takeover) {
        let kafka = kafka
        kafka.call(host) { [self] in
            takeover.places.map { place in
                memory(of: place, takeover.resumes[place]!, kafka[attempts(place)])
            }
        } _: { [self] memories in
            guard takeover.epoch == epoch else { return }
            guard let memories else { return again(takeover) { [self] in readAttempts($0) } }
            commitFirst(takeover, memories)
        }
    }

    private func memory(of place: Place, _ resume: Resume, _ attempts: Log) -> SourceMemory {
        var memory = SourceMemory(
            topic: place.topic.name, partition: Int32(place.partition), committed: resume.offset)
        guard resume.note < resume.attemptsEnd else { return memory }
        for record in attempts.read(from: resume.note, limit: .max, end: resume.attemptsEnd).records {
            guard case .outcome(var outcome) = record.value else { continue }
            // Its offset counts, what it settles does not.
            if world.mutation == .memoryIgnored, outcome.kind != .covered { outcome.webhookID = "nobody" }
            memory.learn(outcome)
        }
        return memory
    }

    /// Offset and note, where none were committed, before the first request.
    private func commitFirst(_ takeover: Takeover, _ memories: [SourceMemory]) {
        let commits = takeover.places.filter { takeover.resumes[$0]!.commitsFirst }.map { place in
            let resume = takeover.resumes[place]!
            return commit(place, CommitPoint(offset: resume.offset, note: resume.note))
        }
        group.commit(commits, by: self) { [self] result in
            guard takeover.epoch == epoch else { return }
            guard result == .committed else { return again(takeover) { [self] in commitFirst($0, memories) } }
            for (place, memory) in zip(takeover.places, memories) {
                worker.own(place, takeover.resumes[place]!, memory)
            }
        }
    }

    private func commit(_ place: Place, _ point: CommitPoint) -> Group.Commit {
        Group.Commit(place: place, point: point, metadata: point.metadata)
    }

    // MARK: Giving back

    func revoked(isLost: Bool, done: @escaping () -> Void) {
        epoch += 1
        world.note(nil, "\(host.name) gives back\(isLost ? " what it has lost" : "")")
        giveBack(isLost: isLost, done)
    }

    private func giveBack(isLost: Bool, _ done: @escaping () -> Void) {
        let places = owned.sorted()
        owned = []
        worker.release(places, isLost: isLost, graceMs: stopGraceMs ?? Figures.revokeGraceMs) { [self] points in
            let commits = isLost ? [] : points.map { commit($0.place, $0.point) }
            group.commit(commits, by: self) { _ in done() }
        }
    }

    /// Lets running requests end within their own timeouts, commits, leaves the group.
    func stop(_ done: @escaping () -> Void) {
        stopGraceMs = world.figures.requestTimeoutMs + 500
        epoch += 1
        giveBack(isLost: false) { [self] in
            group.leave(self)
            done()
        }
    }

    // MARK: What the worker asks for

    func commit(_ points: [(place: Place, point: CommitPoint)]) {
        let current = points.filter { owned.contains($0.place) }
        group.commit(current.map { commit($0.place, $0.point) }, by: self) { [self] result in
            if result != .committed { worker.commitFailed(current.map(\.place)) }
        }
    }

    /// The worker slept: whether this member still owns its partitions shows in a commit.
    func confirm(_ points: [(place: Place, point: CommitPoint)]) {
        let epochThen = epoch
        group.commit(points.map { commit($0.place, $0.point) }, by: self) { [self] result in
            guard epochThen == epoch else { return }
            if result == .committed { return worker.confirmed() }
            timeline.after(Figures.retryMs, host) { [self] in
                if epochThen == epoch { confirm(points) }
            }
        }
    }

    /// The position lies below the log's start: retention was faster.
    func reposition(_ place: Place) {
        let epochThen = epoch
        let kafka = kafka
        kafka.call(host) {
            kafka[place].start
        } _: { [self] start in
            guard epochThen == epoch else { return }
            guard let start else { return timeline.after(Figures.retryMs, host) { [self] in reposition(place) } }
            world.ledger.lost(place, below: start)
            worker.skip(place, to: start)
        }
    }
}
