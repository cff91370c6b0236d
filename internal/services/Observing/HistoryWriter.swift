internal import EventLoops
internal import Logs
internal import Metrics
internal import Postgres
internal import ServiceSupport

/// Stores what the intake leaves in the inbox, one transaction after the other. While PostgreSQL is away it tries again and again; Kafka waits.
struct HistoryWriter: Sendable {
    let settings: HistorySettings
    let inbox: Inbox
    let intake: Intake
    let loop: EventLoop
    let store: HistoryStore
    let positions: Positions
    let metrics: HistoryMetrics
    let health: HistoryHealth
    let log: Logger
    private let failures = LogLimiter(every: .seconds(5))

    /// Runs until the inbox is closed and empty, or the task is cancelled.
    func run() async {
        var isBusy = false
        for await _ in inbox.arrivals {
            if !inbox.isFull {
                try? await Task.sleep(for: .milliseconds(isBusy ? settings.busyLingerMs : settings.lingerMs))
            }
            isBusy = await writeOne() >= settings.busyEntries
        }
        _ = await writeOne()
    }

    /// Returns how many entries there were to write.
    private func writeOne() async -> Int {
        guard !Task.isCancelled, let batch = inbox.take() else { return 0 }
        loop.execute { [intake] in intake.hasRoom() }
        let isStored = await write(batch)
        inbox.written()
        loop.execute { [intake] in intake.written(isStored ? batch.steps : [:], batch.epoch) }
        return batch.entries.count
    }

    /// Returns whether the batch was stored; else it is no longer this instance's.
    private func write(_ batch: HistoryBatch) async -> Bool {
        var delay = settings.retryDelayMs
        while inbox.isCurrent(batch.epoch), !Task.isCancelled {
            let started = EventLoop.monotonicNanoseconds()
            do {
                try await store.store(batch)
                metrics.batchSeconds.observe(nanoseconds: EventLoop.monotonicNanoseconds() - started)
                health.succeeded()
                return true
            } catch is PositionConflict {
                conflict(batch)
                return false
            } catch {
                metrics.failures.increment()
                health.failed("\(error)")
                log.warning("outcomes cannot be stored", metadata: [LogKey.error: "\(error)"], limit: failures)
            }
            try? await Task.sleep(for: .milliseconds(delay * UInt64.random(in: 80...120) / 100))
            delay = min(delay * 2, settings.maxRetryDelayMs)
            if await isStale(batch) { return false }
        }
        return false
    }

    private func conflict(_ batch: HistoryBatch) {
        metrics.conflicts.increment()
        log.warning("another position is stored than expected; it is read again")
        loop.execute { [intake] in intake.retake(batch.epoch) }
    }

    /// After a failure nobody knows whether the commit had happened. The positions do.
    private func isStale(_ batch: HistoryBatch) async -> Bool {
        guard let hold = try? await positions.hold(batch.steps.mapValues(\.expected)), !hold else { return false }
        conflict(batch)
        return true
    }
}
