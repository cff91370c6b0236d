/// Sends a feed's events with a bound on those under way, and tells how it goes.
struct SendRun {
    /// Of failures, this many are told one by one.
    private static let toldFailures = 20

    let poster: EventPoster
    let concurrency: Int
    let output: CommandOutput

    /// Returns when each event of the feed has its outcome. Throws where the feed cannot be read on; what was under way is
    /// finished first.
    func sendAll(_ feed: SendFeed) async throws(SendError) -> SendSummary {
        var state = State(start: .now)
        let failure = await withTaskGroup(of: (Int, SendOutcome).self) { group in
            var readFailure: SendError?
            var running = 0
            do throws(SendError) {
                while let line = try await feed.next() {
                    if running == concurrency, let (number, outcome) = await group.next() {
                        record(outcome, number, &state)
                        running -= 1
                    }
                    running += 1
                    group.addTask { [poster] in (line.number, await poster.post(line.bytes)) }
                }
            } catch {
                readFailure = error
            }
            for await (number, outcome) in group { record(outcome, number, &state) }
            return readFailure
        }
        if let failure { throw failure }
        state.summary.elapsedMilliseconds = milliseconds(since: state.start)
        return state.summary
    }

    private struct State {
        var summary = SendSummary()
        let start: ContinuousClock.Instant
        var toldAt: ContinuousClock.Instant

        init(start: ContinuousClock.Instant) {
            self.start = start
            toldAt = start
        }
    }

    private func record(_ outcome: SendOutcome, _ line: Int, _ state: inout State) {
        state.summary.add(outcome, line: line)
        switch outcome {
        case .accepted: break
        case .refused(let reason), .gaveUp(let reason):
            if state.summary.failed <= Self.toldFailures { output.note("line \(line): \(reason)") }
            if state.summary.failed == Self.toldFailures { output.note("further failures are counted only") }
        }
        let now = ContinuousClock.now
        guard now - state.toldAt >= .seconds(1) else { return }
        state.toldAt = now
        let rate = state.summary.accepted * 1_000 / max(1, milliseconds(since: state.start))
        output.note("\(state.summary.accepted) accepted, \(state.summary.failed) not (\(rate) a second)")
    }

    private func milliseconds(since start: ContinuousClock.Instant) -> Int {
        let elapsed = ContinuousClock.now - start
        return Int(elapsed.components.seconds) * 1_000 + Int(elapsed.components.attoseconds / 1_000_000_000_000_000)
    }
}
