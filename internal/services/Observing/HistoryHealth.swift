internal import Synchronization

/// How history is doing: what `/ready` reports. Any thread.
public final class HistoryHealth: Sendable {
    private struct State {
        var isReading = false
        var hasBegun = false
        var error: String?
    }

    private let state = Mutex(State())

    public init() {}

    /// Partitions are being read (or the group has none for this instance).
    public internal(set) var isReading: Bool {
        get { state.withLock { $0.isReading } }
        set {
            state.withLock { state in
                state.isReading = newValue
                state.hasBegun = state.hasBegun || newValue
            }
        }
    }

    /// Partitions were being read at some time.
    public var hasBegun: Bool { state.withLock { $0.hasBegun } }

    /// What went wrong last, nil since something was stored or taken over again.
    public var error: String? { state.withLock { $0.error } }

    func failed(_ reason: String) { state.withLock { $0.error = reason } }
    func succeeded() { state.withLock { $0.error = nil } }
}
