internal import Records
internal import Settling

/// What a group tells a member.
protocol Member: AnyObject {
    var host: Host { get }
    /// Its process has been started.
    func begin()
    /// Something that it has begun is not at its end.
    var isBusy: Bool { get }
    /// Gives everything back in order, and leaves; `done` when it has.
    func stop(_ done: @escaping () -> Void)
    /// These partitions are the member's from now on.
    func assigned(_ places: [Place])
    /// Those it has are to be given back; `done` when it has. Lost: others have them already.
    func revoked(isLost: Bool, done: @escaping () -> Void)
}

/// How a commit ended.
enum CommitResult {
    case committed
    /// No answer.
    case failed
    /// This member is none any more, or the commit is of an assignment that is past.
    case refused
}

/// A simulated consumer group with eager rebalances. A member that crashed or was stopped is a member until its session ends; one that was
/// stopped learns that it is none any more when it wakes, some time later.
final class Group {
    private final class Seat {
        /// nil: its process is gone, and its session not yet over.
        var member: (any Member)?
        let host: Host
        var incarnation: Int
        var places: [Place] = []
        var hasJoined = false
        /// Has been told to give its partitions back.
        var isAsked = false
        /// The generation of its last assignment.
        var told = 0
        /// Its member knows that this is over: what comes late for it is not heard.
        var isOver = false

        init(_ member: any Member) {
            self.member = member
            host = member.host
            incarnation = member.host.incarnation
        }
    }

    struct Commit {
        var place: Place
        var point: CommitPoint
        var metadata: String
    }

    private let timeline: Timeline
    private let kafka: Kafka
    private let topics: [Topic]
    private let partitions: Int
    private let isStatic: Bool
    private var random: Generator
    private var seats: [Seat] = []
    /// Those whose sessions ended.
    private var expired: [Seat] = []
    private var generation = 0
    private var isRebalancing = false
    private(set) var committed: [Place: (offset: Int64, metadata: String)] = [:]
    private(set) var rebalances = 0
    /// Called before a commit is taken: place, and the offset.
    var onCommit: (Place, Int64) -> Void = { _, _ in }

    static let sessionMs: Int64 = 6_000

    /// - Parameter isStatic: whether a process that is back within its session keeps its partitions.
    init(
        _ timeline: Timeline, _ kafka: Kafka, topics: [Topic], partitions: Int, isStatic: Bool, random: Generator
    ) {
        self.timeline = timeline
        self.kafka = kafka
        self.topics = topics
        self.partitions = partitions
        self.isStatic = isStatic
        self.random = random
    }

    // MARK: Members

    func join(_ member: any Member) {
        let incarnation = member.host.incarnation
        kafka.call(member.host) { [self] in
            // Whoever has died meanwhile would be a member until its session ends; that is left out.
            if member.host.incarnation == incarnation, member.host.isAlive { seat(member) }
        } _: { [weak self] answer in
            if answer == nil { self?.timeline.after(500, member.host) { self?.join(member) } }
        }
    }

    private func seat(_ member: any Member) {
        if let old = seats.first(where: { $0.host === member.host }) {
            guard old.member !== member else {
                old.hasJoined = true
                return
            }
            // Its process was started again before its session was over.
            if isStatic, old.hasJoined || !isRebalancing {
                old.member = member
                old.incarnation = member.host.incarnation
                return tell(old)
            }
            seats.removeAll { $0 === old }
        }
        seats.append(Seat(member))
        rebalance()
    }

    /// The member has given everything back and goes.
    func leave(_ member: any Member) {
        seats.removeAll { $0.member === member }
        rebalance()
    }

    /// A process died or was stopped: its session ends unless it is back in time.
    func lostSight(of host: Host) {
        guard let seat = seats.first(where: { $0.host === host }) else { return }
        let (incarnation, since) = (seat.incarnation, timeline.now)
        timeline.after(Self.sessionMs) { [self] in
            guard seats.contains(where: { $0 === seat }), seat.incarnation == incarnation,
                host.incarnation != incarnation || !host.isAlive || host.frozenAt.map({ $0 <= since }) == true
            else { return }
            seats.removeAll { $0 === seat }
            expired.append(seat)
            rebalance()
        }
    }

    /// A process goes on after it was stopped: its next heartbeat tells it that it is no member any more, if that is so.
    func awoke(_ member: any Member) {
        timeline.after(random.within(0...1_500), member.host) { [self] in
            guard !seats.contains(where: { $0.member === member }) else { return }
            for seat in expired where seat.member === member { seat.isOver = true }
            member.revoked(isLost: true) { [weak self] in self?.join(member) }
        }
    }

    /// Nobody is a member any more, and nobody is told.
    func close() {
        seats = []
        expired = []
        onCommit = { _, _ in }
    }

    /// Whether the process that runs there is a member.
    func hasMember(on host: Host) -> Bool {
        seats.contains { $0.host === host && $0.incarnation == host.incarnation }
    }

    func isMember(_ member: any Member) -> Bool { seats.contains { $0.member === member } }

    // MARK: Rebalancing

    private func rebalance() {
        isRebalancing = true
        for seat in seats {
            if seat.places.isEmpty { seat.hasJoined = true } else { ask(seat) }
        }
        finishRebalance()
    }

    private func ask(_ seat: Seat) {
        guard !seat.isAsked, let member = seat.member else { return }
        seat.isAsked = true
        seat.hasJoined = false
        // With its next heartbeat.
        let hears = timeline.now + random.within(0...1_000)
        timeline.at(hears, seat.host, incarnation: seat.incarnation) { [self] in
            guard seats.contains(where: { $0 === seat }), seat.member === member else { return }
            member.revoked(isLost: false) { [self] in
                kafka.call(seat.host) { [self] in
                    joined(seat)
                } _: { [self] answer in
                    if answer == nil { timeline.after(500, seat.host) { [self] in joined(seat) } }
                }
            }
        }
    }

    private func joined(_ seat: Seat) {
        // Asked a second time, because the first answer was lost.
        guard !seat.hasJoined else { return }
        seat.hasJoined = true
        seat.places = []
        finishRebalance()
    }

    private func finishRebalance() {
        guard isRebalancing, seats.allSatisfy(\.hasJoined) else { return }
        isRebalancing = false
        rebalances += 1
        generation += 1
        let sorted = seats.sorted { $0.host.name < $1.host.name }
        for (number, seat) in sorted.enumerated() {
            seat.isAsked = false
            let (share, rest) = (partitions / sorted.count, partitions % sorted.count)
            let first = number * share + min(number, rest)
            let mine = first..<first + share + (number < rest ? 1 : 0)
            seat.places = topics.flatMap { topic in mine.map { Place(topic: topic, partition: $0) } }
            tell(seat)
        }
    }

    private func tell(_ seat: Seat) {
        guard let member = seat.member else { return }
        // It hears of the last of them, even where its session has ended meanwhile.
        seat.told = generation
        let (places, generation) = (seat.places, generation)
        let hears = timeline.now + random.within(1...50)
        timeline.at(hears, seat.host, incarnation: seat.incarnation) {
            guard seat.member === member, !seat.isAsked, !seat.isOver, generation == seat.told else { return }
            member.assigned(places)
        }
    }

    // MARK: Commits

    /// The broker checks membership and generation, not who owns the partition: what a client sends late may be sent with a newer
    /// generation than it was meant for.
    func commit(_ commits: [Commit], by member: any Member, _ done: @escaping (CommitResult) -> Void) {
        guard !commits.isEmpty else { return done(.committed) }
        let generation = random.chance(5) ? nil : generation
        kafka.call(member.host) { [self] () -> CommitResult in
            guard isMember(member), generation == nil || generation == self.generation else { return .refused }
            for commit in commits {
                onCommit(commit.place, commit.point.offset)
                committed[commit.place] = (commit.point.offset, commit.metadata)
            }
            return .committed
        } _: {
            done($0 ?? .failed)
        }
    }
}
