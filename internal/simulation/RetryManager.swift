internal import Records
internal import Scheduling
internal import Settling

/// The retry-manager's loop with the real decisions in it. One object for each incarnation of its process.
///
/// ```
/// assign ─► each partition opens its index ─► all of them seek ─► records, claims, flights
/// revoke ─► nothing more is claimed, flights come to their end ─► joined again
/// ```
final class RetryManager: Member {
    let host: Host
    let world: World
    let group: Group
    private(set) var partitions: [Int: RetryPartition] = [:]
    private var seeks: [Int: Int64] = [:]
    private var isAssigned = false
    private var starving: [RetryPartition] = []

    init(_ host: Host, _ world: World, _ group: Group) {
        self.host = host
        self.world = world
        self.group = group
    }

    private var sorted: [RetryPartition] { partitions.keys.sorted().map { partitions[$0]! } }
    var inFlight: Int { partitions.values.reduce(0) { $0 + $1.owner.inFlight } }
    var isBusy: Bool { inFlight > 0 }
    /// How many more deliveries may be in flight, or be asked for.
    var room: Int { world.figures.batch - partitions.values.reduce(0) { $0 + $1.owner.inFlight + $1.owner.claiming } }

    /// Has something due, and no room for it: is next when there is some.
    func starves(_ partition: RetryPartition) {
        if !starving.contains(where: { $0 === partition }) { starving.append(partition) }
    }

    func feed() {
        guard !starving.isEmpty, room > 0 else { return }
        let waiting = starving
        starving = []
        for partition in waiting { partition.pump() }
    }

    func begin() {
        group.join(self)
        tick()
    }

    /// Payloads ahead of need.
    private func tick() {
        world.timeline.after(1_000, host) { [weak self] in
            guard let self else { return }
            for partition in sorted { partition.readAhead() }
            tick()
        }
    }

    // MARK: The group

    func assigned(_ places: [Place]) {
        world.note(nil, "\(host.name) is assigned \(places)")
        // A member that is told the same again begins anew.
        for partition in sorted { partition.close() }
        isAssigned = false
        seeks = [:]
        partitions = Dictionary(
            uniqueKeysWithValues: places.map { ($0.partition, RetryPartition($0.partition, self)) })
        for partition in sorted { partition.pump() }
    }

    func revoked(isLost: Bool, done: @escaping () -> Void) {
        world.note(nil, "\(host.name) gives back\(isLost ? " what it has lost" : "")")
        giveBack(isLost: isLost, done)
    }

    func stop(_ done: @escaping () -> Void) {
        giveBack(isLost: false) { [self] in
            group.leave(self)
            done()
        }
    }

    private func giveBack(isLost: Bool, _ done: @escaping () -> Void) {
        for partition in sorted {
            partition.owner.drain()
            partition.pump()
        }
        check(until: world.timeline.now + (isLost ? 0 : Figures.drainMs), done)
    }

    private func check(until deadline: Int64, _ done: @escaping () -> Void) {
        guard inFlight > 0, world.timeline.now < deadline else {
            for partition in sorted { partition.close() }
            partitions = [:]
            isAssigned = false
            return done()
        }
        world.timeline.after(10, host) { [self] in check(until: deadline, done) }
    }

    /// The first positions are assigned together.
    func seek(_ partition: RetryPartition, to position: Int64) {
        guard !isAssigned else { return partition.begin(at: position) }
        seeks[partition.number] = position
        guard seeks.count == partitions.count else { return }
        isAssigned = true
        for (number, position) in seeks.sorted(by: { $0.key < $1.key }) { partitions[number]?.begin(at: position) }
    }

    /// Only a commit that the group accepts proves that a partition is still ours.
    func confirm(_ partition: RetryPartition) {
        let point = CommitPoint(offset: partition.owner.position, note: 0)
        let commit = Group.Commit(
            place: Place(topic: .retries, partition: partition.number), point: point, metadata: "")
        group.commit([commit], by: self) { [weak self] result in
            guard let self, partitions[partition.number] === partition else { return }
            switch result {
            case .committed: partition.answered { $0.confirmed(true) }
            case .refused: partition.answered { $0.confirmed(false) }
            case .failed: partition.failed()
            }
        }
    }

    // MARK: Writing

    /// Until Kafka has it: what it did not take is written again, as long as the partition is ours.
    func write(
        _ record: Record, to topic: Topic, for partition: RetryPartition, isFence: Bool = false,
        _ done: @escaping (Int64?) -> Void
    ) {
        guard !partition.isClosed else { return }
        world.kafka.produce(
            record, to: Place(topic: topic, partition: partition.number), from: host,
            timeoutMs: min(Figures.messageTimeoutMs, world.figures.limits.leaseMs / 2)
        ) { [weak self, weak partition] report in
            guard let self, let partition, !partition.isClosed else { return }
            if case .acknowledged(let offset) = report { return done(offset) }
            if isFence { return partition.failed() }
            world.timeline.after(Figures.rewriteMs, host) { [weak self, weak partition] in
                if let self, let partition { write(record, to: topic, for: partition, done) }
            }
        }
    }
}
