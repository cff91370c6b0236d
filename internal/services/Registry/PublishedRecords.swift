internal import Synchronization

/// Who waits for which outbox record to be published: by this process's relay, or by another's, of which the database's notifications
/// tell.
final class PublishedRecords: Sendable {
    private struct State {
        /// A record may be published before its change's transaction has been answered: so the latest are remembered.
        var recent: [Int64] = []
        var recentSet: Set<Int64> = []
        var waiting: [Int64: CheckedContinuation<Bool, Never>] = [:]
        var isStopped = false
    }

    private static let remembered = 4096

    private let state = Mutex(State())

    func published(_ numbers: [Int64]) {
        let woken = state.withLock { state in
            for number in numbers where state.recentSet.insert(number).inserted { state.recent.append(number) }
            let surplus = state.recent.count - Self.remembered
            if surplus > 0 {
                state.recentSet.subtract(state.recent[..<surplus])
                state.recent.removeFirst(surplus)
            }
            return numbers.compactMap { state.waiting.removeValue(forKey: $0) }
        }
        for continuation in woken { continuation.resume(returning: true) }
    }

    /// Whether the record was published within `limit`; false too where the task is cancelled. One caller per number.
    func wait(for number: Int64, within limit: Duration) async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> Bool? in
                    if state.recentSet.contains(number) { return true }
                    if state.isStopped { return false }
                    state.waiting[number] = continuation
                    return nil
                }
                if let answer { return continuation.resume(returning: answer) }
                if Task.isCancelled { return giveUp(number) }
                // Numbers never come again, so a timer that outlives its wait meets nobody.
                Task.detached { [self] in
                    try await Task.sleep(for: limit)
                    giveUp(number)
                }
            }
        } onCancel: {
            giveUp(number)
        }
    }

    /// The process stops: nobody waits any longer.
    func stopWaiting() {
        let woken = state.withLock { state in
            state.isStopped = true
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in woken.values { continuation.resume(returning: false) }
    }

    private func giveUp(_ number: Int64) {
        state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: false)
    }
}
