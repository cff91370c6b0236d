internal import CLinux
internal import EventLoops
internal import LifeCycle
public import Logs
internal import Metrics
public import Postgres

/// The way from topic `attempts` into the database: intake, writer, upkeep.
public struct HistoryPipeline: Sendable {
    private let settings: HistorySettings
    private let pool: PostgresPool
    private let metrics: HistoryMetrics
    private let health: HistoryHealth
    private let log: Logger

    /// How long a stop waits for what was read to be stored; the rest is read again by whoever comes next.
    private static let flushLimit = Duration.milliseconds(2_500)
    private static let leaveLimit = Duration.milliseconds(1_500)

    public init(
        _ settings: HistorySettings, pool: PostgresPool, metrics: HistoryMetrics, health: HistoryHealth, log: Logger
    ) {
        self.settings = settings
        self.pool = pool
        self.metrics = metrics
        self.health = health
        self.log = log
    }

    /// Runs until graceful shutdown or cancellation, then stores what was read and leaves the group. Throws `KafkaError` where a
    /// property of librdkafka is wrong, `SystemError` without descriptors.
    public func run() async throws {
        let thread = try EventLoopThread()
        thread.start(name: "history")
        let inbox = Inbox(maxEntries: settings.maxBufferedEntries, maxBytes: settings.maxBufferedBytes)
        let positions = Positions(pool, settings, metrics, log)
        let hours = HourPartitions(pool) { clinux_realtime_ms() }
        let intake: Intake
        do {
            intake = try await begin(thread, inbox, positions)
        } catch {
            await thread.stop()
            throw error
        }
        let writer = HistoryWriter(
            settings: settings, inbox: inbox, intake: intake, loop: thread.loop,
            store: HistoryStore(pool, settings, hours, metrics), positions: positions, metrics: metrics,
            health: health, log: log)
        let upkeep = Upkeep(pool: pool, hours: hours, settings: settings, metrics: metrics, log: log) {
            clinux_realtime_ms()
        }
        let writing = Task { await writer.run() }
        let keeping = Task { await upkeep.run() }
        await gracefulShutdown()
        keeping.cancel()
        await thread.run { _ in intake.stopReading() }
        await waitUntil(Self.flushLimit) { inbox.isIdle }
        inbox.close()
        writing.cancel()
        await leave(intake, thread)
        await thread.stop()
        await writing.value
    }

    private func begin(_ thread: EventLoopThread, _ inbox: Inbox, _ positions: Positions) async throws -> Intake {
        try await thread.run { [settings, metrics, health, log] loop in
            Result {
                let intake = try Intake(
                    settings, loop: loop, inbox: inbox, positions: positions, metrics: metrics, health: health,
                    log: log)
                try intake.begin()
                return intake
            }
        }.get()
    }

    /// Leaves the group; a cluster that is away is not waited for long: the session ends by itself.
    private func leave(_ intake: Intake, _ thread: EventLoopThread) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            thread.loop.execute { [loop = thread.loop] in
                var isDone = false
                let once = {
                    if !isDone { continuation.resume() }
                    isDone = true
                }
                intake.leave(once)
                loop.after(milliseconds: UInt64(Self.leaveLimit / .milliseconds(1)), once)
            }
        }
    }

    private func waitUntil(_ limit: Duration, _ condition: () -> Bool) async {
        let deadline = ContinuousClock.now + limit
        while !condition(), ContinuousClock.now < deadline, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
