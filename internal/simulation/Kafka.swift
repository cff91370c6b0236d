internal import Records

/// What a producer is told about a record.
enum WriteReport {
    /// nil: the broker took it, but does not tell where it lies (a repeated request of an idempotent producer).
    case acknowledged(Int64?)
    /// It is not in the log, or is, and nobody said so.
    case failed
}

/// A simulated Kafka: logs, and the ways to them. Each request reaches the broker, and each answer comes back, some milliseconds later; a
/// connection keeps their order. While the broker is down, requests wait until it is up, or their time is over.
final class Kafka {
    private let timeline: Timeline
    private var random: Generator
    /// Partition by partition, those of all topics together.
    private var logs: [Log]
    /// When the broker is up again; in the past, it is up.
    private var upAt: Int64 = 0
    /// Added to each request's and each answer's way, while it lasts.
    private var slowness: (ms: Int64, until: Int64) = (0, 0)
    /// Of a hundred acknowledgements, how many are lost, while it lasts.
    private var losses: (percent: Int, until: Int64) = (0, 0)
    /// Called when an offset of a log has been given to a record, or to none.
    var onAppend: (Place, Int64, Record?) -> Void = { _, _, _ in }
    /// Who waits for records of a log; by log, told once for each change.
    private var readers: [Place: [(host: Host, incarnation: Int, notice: () -> Void)]] = [:]
    /// Writes to `deliveries` that nobody was told of though they are in the log.
    private(set) var untoldDeliveries = 0

    init(_ timeline: Timeline, partitions: Int, random: Generator) {
        self.timeline = timeline
        self.random = random
        logs = Array(repeating: Log(), count: partitions * Topic.allCases.count)
    }

    private func index(_ place: Place) -> Int { place.partition * Topic.allCases.count + place.topic.rawValue }

    subscript(_ place: Place) -> Log { logs[index(place)] }

    // MARK: Faults

    func goDown(for ms: Int64) { upAt = max(upAt, timeline.now + ms) }

    func slow(by ms: Int64, for duration: Int64) { slowness = (ms, timeline.now + duration) }

    func loseAcknowledgements(percent: Int, for duration: Int64) { losses = (percent, timeline.now + duration) }

    func recover() {
        upAt = min(upAt, timeline.now)
        slowness = (0, 0)
        losses = (0, 0)
    }

    func compact(_ place: Place, dirty: Int, dropsTombstones: Bool) {
        logs[index(place)].compact(dirty: dirty, dropsTombstones: dropsTombstones)
    }

    func truncate(_ place: Place, to offset: Int64) { logs[index(place)].truncate(to: offset) }

    // MARK: Ways

    private func latency() -> Int64 {
        random.within(1...4) + (timeline.now < slowness.until ? slowness.ms : 0)
    }

    /// When something that is sent now on this channel is carried out.
    private func arrival(_ host: Host, _ channel: Host.Channel) -> Int64 {
        let time = max(max(timeline.now + latency(), upAt), host.channels[channel] ?? 0)
        host.channels[channel] = time
        return time
    }

    /// Asks the broker something, and brings the answer back: nil, it did not come in time.
    func call<Answer>(
        _ host: Host, _ serve: @escaping () -> Answer, _ reply: @escaping (Answer?) -> Void
    ) {
        let incarnation = host.incarnation
        let isLostWithHost = random.chance(50)
        let arrives = arrival(host, .group)
        guard arrives < timeline.now + Self.callTimeoutMs else {
            return timeline.after(Self.callTimeoutMs, host) { reply(nil) }
        }
        timeline.at(arrives) { [self] in
            if isLostWithHost, host.incarnation != incarnation || !host.isAlive { return }
            let answer = serve()
            let isLost = timeline.now < losses.until && random.chance(losses.percent)
            let back = timeline.now + (isLost ? Self.callTimeoutMs : latency())
            timeline.at(back, host, incarnation: incarnation) { reply(isLost ? nil : answer) }
        }
    }

    private static let callTimeoutMs: Int64 = 5_000

    /// Appends without a producer: what users and other programs write.
    @discardableResult
    func append(_ record: Record?, to place: Place) -> Int64 {
        let offset = logs[index(place)].append(record, at: timeline.now)
        onAppend(place, offset, logs[index(place)][offset])
        notify(place)
        return offset
    }

    /// Writes until the broker has it, or the time is over.
    func produce(
        _ record: Record, to place: Place, from host: Host, timeoutMs: Int64, _ report: @escaping (WriteReport) -> Void
    ) {
        let incarnation = host.incarnation
        let deadline = timeline.now + timeoutMs
        // What a process handed to its own kernel may arrive after its death.
        let isLostWithHost = random.chance(50)
        let arrives = arrival(host, .log(place))
        guard arrives < deadline else {
            timeline.at(deadline, host) { report(.failed) }
            return
        }
        timeline.at(arrives) { [self] in
            if isLostWithHost, host.incarnation != incarnation || !host.isAlive { return }
            let offset = append(record, to: place)
            acknowledge(place, offset, host, incarnation, deadline, report)
        }
    }

    private func acknowledge(
        _ place: Place, _ offset: Int64, _ host: Host, _ incarnation: Int, _ deadline: Int64,
        _ report: @escaping (WriteReport) -> Void
    ) {
        let isLossy = timeline.now < losses.until
        if isLossy, random.chance(losses.percent) {
            if place.topic == .deliveries { untoldDeliveries += 1 }
            timeline.at(deadline, host, incarnation: incarnation) { report(.failed) }
        } else {
            let isUntold = isLossy && random.chance(5)
            timeline.at(timeline.now + latency(), host, incarnation: incarnation) {
                report(.acknowledged(isUntold ? nil : offset))
            }
        }
    }

    // MARK: Reading

    /// Tells a process whenever there is something new in a log, from now on.
    func follow(_ place: Place, by host: Host, _ notice: @escaping () -> Void) {
        readers[place, default: []].removeAll { $0.incarnation != $0.host.incarnation || !$0.host.isAlive }
        readers[place, default: []].append((host, host.incarnation, notice))
    }

    private func notify(_ place: Place) {
        for reader in readers[place] ?? [] where reader.host.incarnation == reader.incarnation {
            timeline.at(max(upAt, timeline.now + random.within(1...4)), reader.host, reader.notice)
        }
    }

    var isUp: Bool { timeline.now >= upAt }

    func whenUp(_ host: Host, _ body: @escaping () -> Void) { timeline.at(upAt + 1, host, body) }

    /// Nobody is told of anything any more.
    func close() {
        readers = [:]
        onAppend = { _, _, _ in }
    }
}
